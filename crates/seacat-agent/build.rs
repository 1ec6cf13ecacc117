//! Hands the linker the order of functions that `cargo xtask layout` has found.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=layout.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|it| it == value);
    // Whoever chooses a linker may have one that does not know such scripts.
    let other_linker = var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("fuse-ld"));
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") && !other_linker {
        let here = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=seacat-proxy=-T{here}/layout.ld");
    }
}
