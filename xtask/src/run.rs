//! `cargo xtask run`: from a clone to a proxy that answers, in one command.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::packages;
use crate::step::{cargo, check, shown, target_dir};

/// Builds and becomes `seacat-proxy run`, with the built-in gateway when none is configured.
///
/// The development profile unless `--release` is given: it is there in half the time, its
/// dependencies (TLS above all) are optimised in it too, and `cargo xtask test` can use what was
/// built.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (release, rest) = match arguments {
        ["--release", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let passed_on = match rest {
        ["--", passed_on @ ..] => passed_on,
        [] => &[],
        [other, ..] => {
            return Err(format!("{other:?} is not ours; put what the proxy is to get after `--`"));
        }
    };
    packages::install(packages::TO_RUN)?;
    let profile = if release { "release" } else { "debug" };
    let flag = if release { " --release" } else { "" };
    check(&mut cargo(&format!("build --package seacat-agent --bin seacat-proxy{flag}")))?;
    let name = format!("seacat-proxy{}", std::env::consts::EXE_SUFFIX);
    let program = target_dir().join(profile).join(name);
    let mut command = Command::new(&program);
    command.arg("run").args(passed_on);
    if has_no_gateway(&program, passed_on) {
        command.arg("--demo");
    }
    println!("{}\n", shown(&command));
    become_it(&mut command)
}

/// Whether no gateway is configured. If the list is not available, the proxy itself reports why.
fn has_no_gateway(program: &Path, passed_on: &[&str]) -> bool {
    let mut list = Command::new(program);
    list.args(passed_on).args(["gateway", "list", "--json"]);
    let listed = list.output().ok().filter(|done| done.status.success());
    listed.is_some_and(|done| done.stdout.trim_ascii() == b"[]")
}

/// Our process becomes the proxy: Ctrl-C is its own, and so is the exit code.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(format!("cannot start {}: {error}", shown(command)))
}

/// Where a process cannot become another one we wait for it, and end as it ended.
#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("cannot start {}: {e}", shown(command)))?;
    std::process::exit(status.code().unwrap_or(1))
}
