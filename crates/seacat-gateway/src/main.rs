//! The `seacat-gateway` program.

mod admin;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use seacat_gateway::{ClientName, Config, Gateway, pki};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// Half of what a request fetches from memory beside ten thousand clients was glibc's bookkeeping
/// (docs/performance.md, "Growth").
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A small SeaCat gateway: clients reach HTTP back ends through one TLS connection each.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How much to log: error, warn, info, debug, trace, or a filter like seacat_gateway=debug.
    #[arg(long, global = true, default_value = "info", env = "SEACAT_GATEWAY_LOG")]
    log: String,
    /// Log JSON lines instead of text.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a CA, a server certificate and a configuration in a directory.
    Init {
        /// The directory. It is made if it is not there; nothing in it is overwritten.
        dir: PathBuf,
        /// A DNS name or IP address by which clients will reach the gateway. May be repeated.
        #[arg(long = "name")]
        names: Vec<String>,
        /// Make what a client of the reference era demands, for a gateway that it finds by this
        /// name: RSA keys and a CA called ca.seacat.mobi.
        #[arg(long, value_name = "NAME")]
        reference: Option<String>,
    },
    /// Serve clients until Ctrl-C or SIGTERM.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Listen here instead of where the configuration says.
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Say whether a configuration is fit to run.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// List the clients that wait for your word.
    Pending(Place),
    /// List all clients.
    Clients(Place),
    /// Let a client have a certificate. It gets it when it next asks, some seconds from now.
    Approve(One),
    /// Say no to a client that waits.
    Reject(One),
    /// Take a client's certificates back and end its connections.
    Revoke(One),
    /// Forget a client, as if it had never been here.
    Forget(One),
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder (for those who make packages).
    #[command(hide = true)]
    Man {
        /// Which folder; it is there.
        folder: PathBuf,
    },
}

/// Which gateway. It may run meanwhile.
#[derive(clap::Args)]
struct Place {
    /// The configuration file of the gateway.
    #[arg(long, default_value = "gateway.toml")]
    config: PathBuf,
}

/// Which client of which gateway.
#[derive(clap::Args)]
struct One {
    /// The client's tag, with or without brackets, or its id.
    #[arg(value_name = "TAG|ID")]
    client: ClientName,
    #[command(flatten)]
    place: Place,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = start_log(&arguments).and_then(|()| match arguments.command {
        Command::Init { dir, names, reference } => init(&dir, &names, reference.as_deref()),
        Command::Check { config } => check(&config),
        Command::Run { config, listen } => run(&config, listen),
        Command::Pending(place) => admin::pending(&place.config),
        Command::Clients(place) => admin::clients(&place.config),
        Command::Approve(one) => admin::approve(&one.place.config, &one.client),
        Command::Reject(one) => admin::reject(&one.place.config, &one.client),
        Command::Revoke(one) => admin::revoke(&one.place.config, &one.client),
        Command::Forget(one) => admin::forget(&one.place.config, &one.client),
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), folder).map_err(Into::into)
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if this fails.
            let _ = writeln!(io::stderr(), "seacat-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn Error>>;

fn init(dir: &Path, names: &[String], reference: Option<&str>) -> Outcome {
    let config = match reference {
        Some(name) => pki::init_reference(dir, name, names)?,
        None => pki::init(dir, names)?,
    };
    let ca = dir.join("ca.pem");
    writeln!(io::stdout(), "give clients this CA: {}", ca.display())?;
    writeln!(
        io::stdout(),
        "keep its key in a safe: {} (the gateway runs without it)",
        dir.join("ca.key").display()
    )?;
    writeln!(
        io::stdout(),
        "start the gateway:    seacat-gateway run --config {}",
        config.display()
    )?;
    Ok(())
}

fn check(config: &Path) -> Outcome {
    let hosts = Config::load(config)?.hosts.len();
    writeln!(io::stdout(), "{}: good, {hosts} host(s)", config.display())?;
    Ok(())
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    // By way of a vector, because clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "seacat-gateway", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

/// Configure, bind, announce, wait, drain with a deadline, say how it went.
fn run(config: &Path, listen: Option<SocketAddr>) -> Outcome {
    let mut config = Config::load(config)?;
    config.listen = listen.unwrap_or(config.listen);
    runtime(config.threads)?.block_on(async {
        let gateway = Gateway::bind(config)?;
        let mut signals = Signals::new()?;
        writeln!(io::stdout(), "listening on {}", gateway.local_addr())?;
        let stopped = gateway.run(signals.next()).await;
        match stopped.cut {
            0 => info!("stopped"),
            cut => warn!(cut, "stopped; connections were cut because they did not end in time"),
        }
        Ok(())
    })
}

fn runtime(threads: usize) -> io::Result<tokio::runtime::Runtime> {
    // A single thread spares the wake-ups between threads, which is faster until it is full.
    match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
        }
    }
}

fn start_log(arguments: &Arguments) -> Outcome {
    let filter = EnvFilter::try_new(&arguments.log)
        .map_err(|error| format!("--log {}: {error}", arguments.log))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match arguments.log_json {
        true => log.json().init(),
        false => log.with_target(false).init(),
    }
    Ok(())
}

/// Ctrl-C and SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // Without a console there is nobody to press Ctrl-C.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
