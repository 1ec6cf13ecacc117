//! The `seacat-gateway` program.

mod admin;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use seacat_gateway::config::Identities;
use seacat_gateway::enroll::Policy;
use seacat_gateway::{ClientName, Config, Gateway, pki};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// With ten thousand clients, half of the memory accesses of a request were glibc's bookkeeping
/// (docs/performance-diary.md, "Growth").
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A small SeaCat gateway: clients reach HTTP back ends through one TLS connection each.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Log level: error, warn, info, debug, trace, or a filter such as seacat_gateway=debug
    #[arg(long, global = true, default_value = "info", env = "SEACAT_GATEWAY_LOG")]
    log: String,
    /// Log JSON lines instead of text
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Create a CA, a server certificate and a configuration in a directory
    Init {
        /// Directory; created if missing, and nothing in it is overwritten
        dir: PathBuf,
        /// DNS name or IP address of the gateway for clients; can be repeated
        #[arg(long = "name")]
        names: Vec<String>,
        /// Create what old clients require for a gateway of this name: RSA keys and a CA named
        /// ca.seacat.mobi
        #[arg(long, value_name = "NAME")]
        reference: Option<String>,
    },
    /// Serve clients until Ctrl-C or SIGTERM
    Run {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
        /// Address to listen on, instead of the configured one
        #[arg(long)]
        listen: Option<SocketAddr>,
    },
    /// Check a configuration
    Check {
        /// Configuration file
        #[arg(long)]
        config: PathBuf,
    },
    /// List the clients that wait for approval
    Pending(Place),
    /// List all clients
    Clients(Place),
    /// Approve a client; it fetches its certificate within seconds
    Approve(One),
    /// Reject a client that waits for approval
    Reject(One),
    /// Revoke a client's certificates and close its connections
    Revoke(One),
    /// Delete all records of a client, or of clients that wait for approval
    Forget(Forget),
    /// Print a shell completion script
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a folder (for packaging)
    #[command(hide = true)]
    Man {
        /// Existing folder to write to
        folder: PathBuf,
    },
}

/// The gateway to manage; it may be running.
#[derive(clap::Args)]
struct Place {
    /// Configuration file of the gateway
    #[arg(long, default_value = "gateway.toml")]
    config: PathBuf,
}

/// A client of a gateway.
#[derive(clap::Args)]
struct One {
    /// Client Tag, with or without brackets, or client id
    #[arg(value_name = "TAG|ID")]
    client: ClientName,
    #[command(flatten)]
    place: Place,
}

/// The records to delete.
#[derive(clap::Args)]
struct Forget {
    /// Tag, with or without brackets, or client id
    #[arg(value_name = "TAG|ID", required_unless_present_any = ["older_than", "address"],
        conflicts_with_all = ["older_than", "address"])]
    client: Option<ClientName>,
    /// Clients that have waited for approval for longer: 90m, 12h, 7d
    #[arg(long, value_name = "AGE")]
    older_than: Option<Age>,
    /// Clients that wait for approval at this address
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    #[command(flatten)]
    place: Place,
}

/// A number of minutes, hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Age(Duration);

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "an age is a number with m, h or d: 90m, 12h, 7d";
        let units = [("m", 60), ("h", 3600), ("d", 86_400)];
        let parsed = units.into_iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            Some(Duration::from_secs(u64::from(number) * seconds))
        });
        parsed.map(Self).ok_or(wrong)
    }
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
        Command::Forget(Forget { client: Some(client), place, .. }) => {
            admin::forget(&place.config, &client)
        }
        Command::Forget(Forget { older_than, address, place, .. }) => {
            admin::forget_pending(&place.config, older_than.map(|age| age.0), address)
        }
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), folder).map_err(Into::into)
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr is closed, the exit code still reports the failure.
            let _ = writeln!(io::stderr(), "seacat-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The CA of the gateway's certificate, as `init` writes it.
const CA_FILE: &str = "ca.pem";

type Outcome = Result<(), Box<dyn Error>>;

fn init(dir: &Path, names: &[String], reference: Option<&str>) -> Outcome {
    let config = match reference {
        Some(name) => pki::init_reference(dir, name, names)?,
        None => pki::init(dir, names)?,
    };
    let ca = dir.join(CA_FILE);
    writeln!(io::stdout(), "give clients this CA: {}", ca.display())?;
    print_fingerprint(&ca)?;
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
    let Config { hosts, identities, .. } = Config::load(config)?;
    writeln!(io::stdout(), "{}: OK, {} host(s)", config.display(), hosts.len())?;
    if let Identities::Enroll(enroll) = identities
        && enroll.policy.validity < Policy::REFERENCE_RENEWAL
    {
        let note = "note: enroll.validity is under 30 days: clients of the reference era ask for \
                    their next certificate every 20 seconds";
        writeln!(io::stdout(), "{note}")?;
    }
    // As `init` leaves it. A certificate of a public CA has none of ours.
    let ca = config.with_file_name(CA_FILE);
    if ca.exists() {
        writeln!(io::stdout(), "CA of the clients:    {}", ca.display())?;
        print_fingerprint(&ca)?;
    }
    Ok(())
}

/// For users to compare with what their window says.
fn print_fingerprint(ca: &Path) -> Outcome {
    let fingerprint = pki::fingerprint(&std::fs::read(ca)?)?;
    writeln!(io::stdout(), "its fingerprint:      {fingerprint}")?;
    writeln!(io::stdout(), "in four words:        {}", fingerprint.words())?;
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
    // Before the configuration, whose limits follow it.
    if let Err(error) = seacat_link::descriptors::raise_limit() {
        warn!(%error, "the limit on open files stays as it is");
    }
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
        // Without a console there is no Ctrl-C.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_minutes_hours_and_days() {
        let seconds = |text: &str| text.parse::<Age>().ok().map(|age| age.0.as_secs());
        assert_eq!(["90m", "12h", "7d"].map(seconds), [Some(5400), Some(43_200), Some(604_800)]);
        assert_eq!(["", "7", "d", "-1d", "7 d", "1w"].map(seconds), [None; 6]);
    }
}
