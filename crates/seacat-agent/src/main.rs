//! `seacat-proxy`: see `seacat-proxy --help`.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    seacat_agent::cli::main(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr()).into()
}
