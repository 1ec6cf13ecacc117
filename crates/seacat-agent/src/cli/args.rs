//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::client_settings::Shell;
use crate::exit::Exit;
#[cfg(all(feature = "tray", target_os = "linux"))]
use crate::page::Page;

/// An HTTP proxy on this computer whose requests all travel over one TLS connection to a SeaCat
/// gateway.
#[derive(Debug, Parser)]
#[command(name = "seacat-proxy", version, after_help = Exit::help(), max_term_width = 100)]
pub struct Cli {
    /// The configuration file [environment: SEACAT_PROXY_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The folder of lock, log and control socket [environment: SEACAT_PROXY_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    #[command(subcommand)]
    pub(super) action: Action,
}

/// Settings for this run alone. `config show` lists all names for --set.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings for this run")]
pub(super) struct Overrides {
    /// The port the proxy listens on, 0 for any free one
    #[arg(long, global = true)]
    pub(super) port: Option<u16>,
    /// An address to listen on; may be repeated
    #[arg(long, global = true, value_name = "IP")]
    pub(super) listen: Vec<String>,
    /// A gateway; may be repeated
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub(super) gateway: Vec<String>,
    /// error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// Any setting by its name; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Run the proxy in the foreground
    Run {
        /// Use the built-in gateway, whatever is configured
        #[arg(long)]
        demo: bool,
    },
    /// Run the proxy with its icon in the panel, and open its window; where one runs already, only
    /// the window (for the launcher of a desktop)
    #[cfg(all(feature = "tray", target_os = "linux"))]
    App {
        /// Do not open the window
        #[arg(long)]
        background: bool,
        /// Which page of the window
        #[arg(long, value_enum, default_value_t)]
        page: Page,
        /// Start in the background when you log in, or do so no more; nothing else is done
        #[arg(long, value_enum, value_name = "ON|OFF")]
        autostart: Option<Autostart>,
    },
    /// Show how the running proxy is doing (exit code 0 only when it is connected)
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Again after every change, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// As the six letters of the reference client, for support
        #[arg(long, conflicts_with = "json")]
        reference: bool,
    },
    /// Show the latest requests and those to come, until Ctrl-C
    Requests {
        /// As JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Connect to the gateway; try now if waiting
    Connect,
    /// Disconnect from the gateway, and stay so
    Disconnect,
    /// Ask the gateway for a certificate, or again after a rejection
    Enroll {
        /// The name in the certificate, instead of the configured one
        #[arg(long, value_name = "NAME")]
        cn: Option<String>,
        /// Until the certificate is there, or the request is rejected
        #[arg(long)]
        wait: bool,
    },
    /// About key and certificate
    Identity {
        #[command(subcommand)]
        action: IdentityAction,
    },
    /// End the running proxy once its requests have finished
    Stop,
    /// Print the settings that make other programs use the proxy
    Env {
        /// For which shell; guessed when left out
        #[arg(long, value_enum)]
        shell: Option<Shell>,
    },
    /// About gateways
    Gateway {
        #[command(subcommand)]
        action: GatewayAction,
    },
    /// Why doesn't it work? Every step from the local port to an answer, with time and advice (exit
    /// code 0 only when all is well)
    Diagnose {
        /// The host behind the gateway that a request is sent to; guessed when left out
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write what helps support into one text file: no keys, no passwords
    SupportBundle {
        /// Which file, - for standard output
        #[arg(default_value = "seacat-support.txt")]
        file: PathBuf,
    },
    /// About the configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder (for those who make packages)
    #[command(hide = true)]
    Man {
        /// Which folder; it is there
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum IdentityAction {
    /// Where it stands, the Client Tag, the certificate, and what the gateway is told
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Renew the certificate now
    Renew,
    /// Delete key, request and certificate
    Reset {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take over a key and its certificate: PKCS#12 (.p12, .pfx) or PEM
    Import {
        /// Which file
        file: PathBuf,
        /// The file whose first line is the password, - for standard input; asked for on a
        /// terminal when left out
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print the request as PEM
    ExportCsr,
    /// Print the certificate as PEM
    ExportCert,
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayAction {
    /// The configured gateways
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a gateway to the configuration file
    Add {
        /// Which one
        #[arg(value_name = "HOST[:PORT]")]
        wanted: String,
        /// What it is called
        #[arg(long)]
        name: Option<String>,
        /// PEM file with the private CA that issues its certificate
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// modern or compat
        #[arg(long)]
        tls: Option<String>,
    },
    /// Try to reach a gateway, step by step
    Test {
        /// Which one; all configured ones when left out
        // Not `gateway`: that is the global option's name.
        #[arg(value_name = "HOST[:PORT]")]
        wanted: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Every setting with its value and where the value came from
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration and the files it names
    Check,
    /// Print where the files are
    Path,
    /// Change a setting in the file; comments stay
    Set {
        /// Which
        key: String,
        /// As in the file, or the bare text
        value: String,
    },
    /// Remove a setting from the file
    Unset {
        /// Which
        key: String,
    },
}

/// What `--autostart` takes.
#[cfg(all(feature = "tray", target_os = "linux"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Autostart {
    On,
    Off,
}
