//! `cargo xtask fuzz`: libFuzzer on stable Rust, without cargo-fuzz.
//!
//! The compiler's own coverage pass is enough: the flags below instrument our crates and their
//! dependencies, an explicit `--target` keeps build scripts out of it, and libfuzzer-sys
//! compiles libFuzzer's C++ sources and brings `main`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::step::{cargo, check, root, target_dir};

/// The default duration of a run, in seconds.
pub(crate) const DEFAULT_SECONDS: u32 = 60;

/// What `cargo fuzz` passes too, less the sanitizer, which stable Rust does not have; our code
/// forbids `unsafe`, so what a sanitizer would find is not ours.
const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on --cfg fuzzing";

/// The longest input tried, in bytes: room for four frames of the largest size.
const MAX_INPUT: u32 = 65_536;
/// An input that takes longer than this, in seconds, is a finding.
const TIMEOUT: u32 = 10;
/// A run that needs more memory than this, in MiB, is a finding: nothing a peer sends may
/// make us allocate without a bound.
const MEMORY: u32 = 1024;

/// Searches for inputs that break `target` for `seconds`. Such an input is added to the corpus, so
/// that it is tried first ever after.
pub(crate) fn fuzz(target: &str, seconds: u32) -> Outcome {
    let program = build(target)?;
    let found = found_dir(target)?;
    let kept = corpus_dir(target);
    seed(target, &found)?;
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_INPUT}"))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", kept.display()))
        .args(["-print_final_stats=1", "-verbosity=0"])
        // libFuzzer writes what it finds into the first folder and only reads the others.
        .args([&found, &kept]);
    check(&mut command).map_err(|why| {
        format!("{why}\nthe input is stored in {}; it is a test from now on", kept.display())
    })
}

/// Adds the inputs found by runs to the repository's corpus, minimised.
pub(crate) fn merge(target: &str) -> Outcome {
    let program = build(target)?;
    let found = found_dir(target)?;
    let kept = corpus_dir(target);
    seed(target, &found)?;
    let before = kept.with_extension("before");
    std::fs::rename(&kept, &before).map_err(|e| format!("cannot move {}: {e}", kept.display()))?;
    std::fs::create_dir_all(&kept).map_err(|e| format!("cannot make {}: {e}", kept.display()))?;
    check(Command::new(program).arg("-set_cover_merge=1").args([&kept, &before, &found]))?;
    // A crash that was found once stays, by its name, whether it adds coverage or not.
    for entry in files(&before)? {
        let name = entry.file_name().unwrap_or_default().to_owned();
        if name.to_string_lossy().contains('-') {
            std::fs::copy(&entry, kept.join(&name)).map_err(|e| format!("cannot copy: {e}"))?;
        }
    }
    std::fs::remove_dir_all(&before).map_err(|e| format!("cannot remove: {e}"))?;
    println!("{} inputs in {}", files(&kept)?.len(), kept.display());
    Ok(())
}

/// Writes the golden frames as inputs for `target`: real traffic is the best seed.
fn seed(target: &str, dir: &Path) -> Outcome {
    for file in files(&root().join("crates/seacat-proto/tests/golden"))? {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (nth, frame) in hex_strings(&text).enumerate() {
            for (variant, input) in inputs(target, &frame).into_iter().enumerate() {
                let path = dir.join(format!("golden-{name}-{nth}-{variant}"));
                std::fs::write(&path, input).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The values of all `"hex": "…"` in a JSON text, decoded.
fn hex_strings(text: &str) -> impl Iterator<Item = Vec<u8>> {
    text.split("\"hex\":").skip(1).filter_map(|after| {
        let digits = after.split('"').nth(1)?.as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        digits
            .chunks_exact(2)
            .map(|two| u8::try_from(digit(two[0])? * 16 + digit(two[1])?).ok())
            .collect()
    })
}

/// A frame as the targets read their inputs (fuzz/targets/*.rs): the decoder's first byte says
/// how to cut, the connection's first byte is role and limits, then come steps.
fn inputs(target: &str, frame: &[u8]) -> Vec<Vec<u8>> {
    const INPUT: u8 = 0;
    const OPEN: u8 = 3;
    if target != "connection" {
        return vec![[&[0], frame].concat()];
    }
    let length = u16::try_from(frame.len()).unwrap_or(u16::MAX).to_be_bytes();
    let received = [&[INPUT], length.as_slice(), frame].concat();
    // A client has opened streams 1 to 63 before it receives the frame, so that it belongs to one.
    let opened = [OPEN, 0].repeat(32);
    vec![[&[0xFE], opened.as_slice(), &received].concat(), [&[0xFF], received.as_slice()].concat()]
}

fn corpus_dir(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

/// Where new inputs go, beside the build: the repository grows only by `merge`.
fn found_dir(target: &str) -> Result<PathBuf, String> {
    let dir = target_dir().join("fuzz-found").join(target);
    std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    Ok(dir)
}

fn build(target: &str) -> Result<PathBuf, String> {
    if !root().join(format!("fuzz/targets/{target}.rs")).is_file() {
        let known: Vec<String> = files(&root().join("fuzz/targets"))?
            .iter()
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect();
        return Err(format!("no fuzz target {target:?}; there are: {}", known.join(", ")));
    }
    let triple = host()?;
    let dir = target_dir().join("fuzz");
    let line = format!("build --manifest-path fuzz/Cargo.toml --release --locked --bin {target}");
    let mut command = cargo(&line);
    command.args(["--target", &triple, "--target-dir"]).arg(&dir).env("RUSTFLAGS", FLAGS);
    check(&mut command)?;
    Ok(dir.join(triple).join("release").join(target))
}

/// The machine's own target triple, as printed by the compiler.
fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = Command::new(rustc).arg("-vV").output().map_err(|e| format!("no rustc: {e}"))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not name its host".to_owned())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("no {}: {e}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    Ok(files)
}
