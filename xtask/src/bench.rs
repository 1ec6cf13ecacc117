//! `cargo xtask bench`: our proxy beside its peers, on this machine.

use std::process::Command;

use crate::Outcome;
use crate::packages::{self, Need, program};
use crate::step::{cargo, check, root, shown, target_dir};

/// The peers, and what starts them.
const TO_BENCH: &[Need] = &[
    program("cc", "gcc", "ring holds C and assembler"),
    program("nghttpx", "nghttp2-proxy", "a peer (HTTP/2)"),
    program("haproxy", "haproxy", "a peer (HTTP/2)"),
    program("stunnel", "stunnel4", "a peer (TLS for each connection)"),
    program("setpriv", "util-linux", "no process outlives the bench"),
    program("prlimit", "util-linux", "a thousand clients at once"),
];

/// Builds what is measured, optimised as it is released, and becomes the bench. All arguments
/// are the bench's own.
pub(crate) fn bench(arguments: &[&str]) -> Outcome {
    packages::install(TO_BENCH)?;
    check(&mut cargo("build --release -p seacat-agent -p seacat-gateway -p seacat-bench --bins"))?;
    let target = target_dir();
    let mut command = Command::new(target.join("release").join("seacat-bench"));
    command.arg("--out").arg(target.join("bench"));
    command.args(arguments).current_dir(root());
    println!("{}\n", shown(&command));
    check(&mut command)
}
