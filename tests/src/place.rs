//! Where things are: the programs under test, scratch folders, free ports, files' sums.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use sha2::{Digest, Sha256};

/// The variable that names a folder with programs built otherwise than the tests: as released.
pub const PROGRAMS: &str = "SEACAT_PROGRAMS";

/// The variable that is set when the `seacat-proxy` in [`PROGRAMS`] is the one for Windows, started through
/// Wine.
const WINE: &str = "SEACAT_WINE";

/// Whether `seacat-proxy` is the program for Windows.
pub fn is_under_wine() -> bool {
    std::env::var_os(WINE).is_some()
}

/// A path as `seacat-proxy` reads it. Wine has the root of the file system on its drive Z, and Windows takes
/// slashes as well.
pub fn for_proxy(path: &Path) -> String {
    let drive = if is_under_wine() { "Z:" } else { "" };
    format!("{drive}{}", path.display())
}

/// The path of one of our own programs: in the folder that [`PROGRAMS`] names, or built beside the
/// test that asks.
///
/// # Panics
/// When it has not been built: cargo builds programs for `cargo build`, not for the tests of
/// another package.
pub fn binary(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let named = std::env::var_os(PROGRAMS).map(|folder| Path::new(&folder).join(&file));
    if let Some(path) = named.filter(|path| path.is_file()) {
        return path;
    }
    // target/debug/deps/clients-0123abcd -> target/debug/NAME
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests are built in PROFILE/deps");
    let path = profile.join(file);
    assert!(
        path.is_file(),
        "{} is not built; `cargo build --workspace --bins` builds it (or `cargo xtask test`, \
         which does all that the suite needs)",
        path.display()
    );
    path
}

/// Where cargo builds, and where the artefacts of a run are kept.
///
/// # Panics
/// When this is not a test.
pub fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.ancestors().nth(3).expect("tests are built in TARGET/PROFILE/deps");
    target.to_owned()
}

/// What a program prints, if it ends well.
pub fn program_output(command: &mut Command) -> Option<String> {
    let done = command.output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The folder of the clients and servers that are not Rust.
pub fn program_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

/// The path of one of them.
pub fn program_file(name: &str) -> PathBuf {
    let path = program_folder().join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The packages that `programs/package.json` names, for `NODE_PATH`.
pub fn node_modules() -> PathBuf {
    installed("node/node_modules")
}

/// A Python with the packages that `programs/requirements.txt` names.
pub fn python_with_packages() -> PathBuf {
    installed("python/bin/python3")
}

fn installed(name: &str) -> PathBuf {
    let path = target_folder().join("suite").join(name);
    assert!(path.exists(), "{} is missing: `cargo xtask test tools` installs it", path.display());
    path
}

/// A new folder that goes away with the value.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("seacat-").tempdir().expect("the system has room for a folder")
}

/// A command with an empty environment but for the path, so that no proxy variable and no
/// configuration of the user who runs the tests affects them.
pub fn clean_command(program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", format!("{path}:/usr/sbin:/sbin")).env("HOME", home);
    command.env("LC_ALL", "C.UTF-8").current_dir(home);
    command
}

/// The same command with a limit on its open files, soft and hard. Arguments can still be added.
pub(crate) fn limited(command: &Command, files: u32) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--nofile={files}:{files}")).arg(command.get_program());
    limited.args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

/// The same with all of a user's folders in `home`.
pub fn user_command(program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
    let mut command = clean_command(program, home);
    user_folders(&mut command, home);
    command
}

/// Gives a program folders of its own in `home`.
pub(crate) fn user_folders(command: &mut Command, home: &Path) {
    for (name, folder) in [
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_RUNTIME_DIR", "runtime"),
    ] {
        let folder = home.join(folder);
        private_dir(&folder);
        command.env(name, folder);
    }
}

/// A private folder, as the system would have made it.
fn private_dir(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A port that is free on both loopback addresses, and stays this process's own until it ends: a server
/// that is killed finds its port again.
///
/// Taken from below the range the system hands out for outgoing connections, out of a block that
/// other tests leave alone.
pub fn free_port() -> u16 {
    /// What is left of this process's block.
    static PORTS: Mutex<Range<u16>> = Mutex::new(0..0);
    let mut ports = PORTS.lock().unwrap();
    loop {
        let Some(port) = ports.next() else {
            *ports = reserve_ports();
            continue;
        };
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if four.is_ok() && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A block that no other process has: its file is locked for as long as this one runs.
fn reserve_ports() -> Range<u16> {
    const FIRST: u16 = 16_000;
    const SIZE: u16 = 100;
    const BLOCKS: u16 = 160;
    let user = std::env::var("USER").unwrap_or_default();
    let folder = std::env::temp_dir().join(format!("seacat-test-ports-{user}"));
    fs::create_dir_all(&folder).unwrap();
    for block in 0..BLOCKS {
        let lock = File::create(folder.join(block.to_string())).unwrap();
        if lock.try_lock().is_ok() {
            std::mem::forget(lock);
            let first = FIRST + block * SIZE;
            return first..first + SIZE;
        }
    }
    panic!("no port is free: {} is full", folder.display());
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of everything a reader gives, and how many bytes that was.
///
/// # Errors
/// What reading met.
pub fn sha256_of(mut reader: impl Read) -> io::Result<(String, u64)> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut length = 0;
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            return Ok((hex(&sum.finalize()), length));
        }
        sum.update(&buffer[..n]);
        length += n as u64;
    }
}

/// The SHA-256 of a file.
pub fn sha256_of_file(path: &Path) -> (String, u64) {
    let sum = File::open(path).and_then(sha256_of);
    sum.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where a proxy with this home has its identity at the gateway on this port of `localhost`.
pub fn identity_folder(home: &Path, gateway_port: u16) -> PathBuf {
    home.join(format!("state/seacat-proxy/identities/localhost,{gateway_port}"))
}

#[cfg(test)]
mod harness {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports: Vec<u16> = (0..16).map(|_| free_port()).collect();
        for (i, port) in ports.iter().enumerate() {
            assert!(!ports[..i].contains(port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap();
        }
    }

    #[test]
    fn sum_of_nothing_and_of_abc() {
        let (empty, length) = sha256_of(io::empty()).unwrap();
        assert_eq!(length, 0);
        assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let (abc, _) = sha256_of(&b"abc"[..]).unwrap();
        assert_eq!(abc, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
