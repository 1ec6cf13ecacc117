//! `cargo xtask bench`: our proxy beside its peers, on this machine.

use std::process::Command;

use crate::Outcome;
use crate::packages::{self, Need, OPENSSL, PKG_CONFIG, program};
use crate::step::{cargo, check, root, shown, target_dir};

/// The peers, and what starts them.
const TO_BENCH: &[Need] = &[
    program("cc", "gcc", "ring holds C and assembler"),
    PKG_CONFIG,
    OPENSSL,
    program("nghttpx", "nghttp2-proxy", "a peer (HTTP/2)"),
    program("haproxy", "haproxy", "a peer (HTTP/2)"),
    program("stunnel", "stunnel4", "a peer (TLS for each connection)"),
    program("setpriv", "util-linux", "no process outlives the bench"),
    program("prlimit", "util-linux", "ten thousand clients at once"),
    program("unshare", "util-linux", "networks of the bench's own, with a long line between them"),
    program("nsenter", "util-linux", "starts the ends in them"),
    program("ip", "iproute2", "lays the line"),
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
