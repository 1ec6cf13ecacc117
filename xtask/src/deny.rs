//! `cargo xtask deny`: licences, sources and bans of everything we link (deny.toml says which).

use crate::Outcome;
use crate::step::{cargo, check};

/// Runs cargo-deny, and installs it first where it is missing (some minutes, once).
pub(crate) fn deny() -> Outcome {
    let there = cargo("deny --version").output().is_ok_and(|out| out.status.success());
    if !there {
        println!("cargo-deny is not installed; building it takes some minutes, once");
        check(&mut cargo("install cargo-deny --locked"))?;
    }
    check(&mut cargo("deny --workspace --all-features check bans licenses sources"))
}
