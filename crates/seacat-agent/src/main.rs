//! `seacat-proxy`: see `seacat-proxy --help`.

use std::io;
use std::process::ExitCode;

/// Half of what a request fetches from memory beside ten thousand clients was glibc's bookkeeping
/// (docs/performance-diary.md, "Growth").
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seacat_agent::cli::main(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr()).into()
}
