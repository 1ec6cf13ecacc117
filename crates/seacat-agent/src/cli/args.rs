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
    /// Configuration file [env: SEACAT_PROXY_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Folder for the log, the lock and the control socket [env: SEACAT_PROXY_STATE_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overrides: Overrides,
    #[command(subcommand)]
    pub(super) action: Action,
}

/// Settings that override the configuration for one run. `config show` lists the names for --set.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Override settings")]
pub(super) struct Overrides {
    /// Port to listen on; 0 for any free port
    #[arg(long, global = true)]
    pub(super) port: Option<u16>,
    /// Address to listen on; can be repeated
    #[arg(long, global = true, value_name = "IP")]
    pub(super) listen: Vec<String>,
    /// Gateway to connect to; can be repeated
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub(super) gateway: Vec<String>,
    /// Log level: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// Set any setting by its name; can be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Run the proxy in the foreground
    Run {
        /// Use the built-in gateway instead of the configured ones
        #[arg(long)]
        demo: bool,
    },
    /// Run the proxy with an icon in the panel and open the window; if it is already running, only
    /// open the window
    #[cfg(all(feature = "tray", target_os = "linux"))]
    App {
        /// Don't open the window
        #[arg(long)]
        background: bool,
        /// Page to open
        #[arg(long, value_enum, default_value_t)]
        page: Page,
        /// Enable or disable starting at login, then exit
        #[arg(long, value_enum, value_name = "ON|OFF")]
        autostart: Option<Autostart>,
    },
    /// Show the status of the running proxy (exit code 0 only if it is connected)
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Print the status again after every change, until Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Print the six status letters of the reference client, for support
        #[arg(long, conflicts_with = "json")]
        reference: bool,
    },
    /// Follow requests as they happen, until Ctrl-C; with a code, explain one that failed
    Requests {
        /// Code of a failed request, as on its error page
        code: Option<String>,
        /// Print JSON, one object per line
        #[arg(long)]
        json: bool,
    },
    /// List the programs that use the proxy, and whether it works for them
    ///
    /// The program that sent a request is looked up while this list is watched (or the window shows
    /// it), and for every request that fails.
    Apps {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Print the list again after every change, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Connect to the gateway now
    Connect,
    /// Disconnect from the gateway and stay disconnected
    Disconnect,
    /// Request a certificate from the gateway
    Enroll {
        /// Common name for the certificate, instead of the configured one
        #[arg(long, value_name = "NAME")]
        cn: Option<String>,
        /// Wait until the certificate is issued or the request is rejected
        #[arg(long)]
        wait: bool,
    },
    /// Manage this computer's key and certificate
    Identity {
        #[command(subcommand)]
        action: IdentityAction,
    },
    /// Stop the running proxy after its active requests have finished
    Stop,
    /// Print the settings that make other programs use the proxy
    Env {
        /// Shell to print for [default: your login shell]
        #[arg(long, value_enum)]
        shell: Option<Shell>,
    },
    /// List, add, choose and test gateways
    Gateway {
        #[command(subcommand)]
        action: GatewayAction,
    },
    /// Find out why it doesn't work: check every step from the local port to a response (exit code 0
    /// only if all steps pass)
    Diagnose {
        /// Host behind the gateway to send a test request to [default: the last one used]
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// As the answers of the control protocol, one a line (for the window)
        #[arg(long, hide = true, conflicts_with = "json")]
        stream: bool,
    },
    /// Write a report for support to a text file (without keys and passwords)
    SupportBundle {
        /// File to write, or - for standard output
        #[arg(default_value = "seacat-support.txt")]
        file: PathBuf,
    },
    /// Show, check and change the configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
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

#[derive(Debug, Subcommand)]
pub(super) enum IdentityAction {
    /// Show the enrolment status, the Client Tag, the certificate and the facts sent to the gateway
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Renew the certificate now
    Renew,
    /// Delete the key, the request and the certificate
    Reset {
        /// Don't ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Import a key and its certificate from PKCS#12 (.p12, .pfx) or PEM
    Import {
        /// File to import
        file: PathBuf,
        /// File whose first line is the password, or - for standard input [default: ask on the
        /// terminal]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print the certificate request as PEM
    ExportCsr,
    /// Print the certificate as PEM
    ExportCert,
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayAction {
    /// List the configured gateways
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add a gateway to the configuration file
    Add {
        /// Gateway to add
        #[arg(value_name = "HOST[:PORT]")]
        wanted: String,
        /// Display name
        #[arg(long)]
        name: Option<String>,
        /// PEM file with the private CA that issued its certificate
        #[arg(long, value_name = "FILE")]
        ca_file: Option<PathBuf>,
        /// TLS profile: modern or compat
        #[arg(long)]
        tls: Option<String>,
    },
    /// Prefer a configured gateway, and connect to it
    Use {
        /// What it is called in the list
        name: String,
    },
    /// Remove a gateway from the configuration file
    Remove {
        /// What it is called in the list
        name: String,
    },
    /// Test the connection to a gateway step by step
    Test {
        /// Gateway to test [default: all configured gateways]
        // Not `gateway`: that is the global option's name.
        #[arg(value_name = "HOST[:PORT]")]
        wanted: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigAction {
    /// Show every setting with its value and the source of the value
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration and the files it refers to
    Check,
    /// Print the paths of the files in use
    Path,
    /// Change a setting in the configuration file; comments are kept
    Set {
        /// Name of the setting
        key: String,
        /// TOML value, or plain text
        value: String,
    },
    /// Remove a setting from the configuration file
    Unset {
        /// Name of the setting
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
