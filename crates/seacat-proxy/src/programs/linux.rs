//! Processes and their sockets, from `/proc` (proc(5)).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Program;
use super::name::describe;

/// Arguments behind this many bytes are not read: the name of a script comes early.
const ARGUMENTS: usize = 16 * 1024;

/// The process that holds a socket, among those that this user may look at.
#[must_use]
pub fn process_with_socket(inode: u64) -> Option<u32> {
    holder(inode, &[])
}

/// The same; `first` are asked before all others, then the newest: a program that makes one request
/// has been started just now.
pub(super) fn holder(inode: u64, first: &[u32]) -> Option<u32> {
    let socket = format!("socket:[{inode}]");
    let holds = |process: &u32| holds(*process, socket.as_bytes());
    first.iter().copied().find(holds).or_else(|| newest_first().into_iter().find(holds))
}

fn newest_first() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut processes: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    processes.sort_unstable_by(|a, b| b.cmp(a));
    processes
}

fn of(process: u32, file: &str) -> PathBuf {
    Path::new("/proc").join(process.to_string()).join(file)
}

fn holds(process: u32, socket: &[u8]) -> bool {
    let descriptors = fs::read_dir(of(process, "fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| target.as_os_str().as_bytes() == socket)
}

/// What a process runs. `None`: it has ended.
pub(super) fn program(process: u32) -> Option<Program> {
    let file = fs::read_link(of(process, "exe")).ok()?;
    let mut line = fs::read(of(process, "cmdline")).unwrap_or_default();
    line.truncate(ARGUMENTS);
    let arguments: Vec<&[u8]> = line.split(|&b| b == 0).collect();
    let arguments: Vec<_> = arguments.iter().map(|it| String::from_utf8_lossy(it)).collect();
    let arguments: Vec<&str> = arguments.iter().map(|it| &**it).collect();
    // The kernel says so of a file that was replaced, by an update for instance.
    let name = file.as_os_str().as_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    Some(describe(Path::new(OsStr::from_bytes(name)), &arguments))
}
