//! A process that belongs to a test: started, waited for, signalled, measured, ended with it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to become ready. Generous: the machine may be busy, and a test that
/// passes never waits for it.
const READY: Duration = Duration::from_secs(20);
/// How often [`wait_for`] looks.
const LOOK: Duration = Duration::from_millis(10);
/// How many of its last lines a process is quoted with when its test fails.
const LAST_WORDS: usize = 40;

/// Waits until `look` finds what it looks for.
///
/// # Panics
/// When that has not happened within `limit`; the message names `what`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        thread::sleep(LOOK);
    }
}

/// A running process. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both its outputs go into `NAME.log` in `dir`.
    ///
    /// It is started through setpriv, so that the kernel ends it when the test's thread is gone
    /// for any reason: Ctrl-C, a time limit, SIGKILL.
    pub fn start(name: &str, dir: &Path, command: &Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("the log opens");
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
        wrapped.args(command.get_args());
        // std keeps env_clear() to itself, so the environment starts empty here as well.
        wrapped.env_clear();
        wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = command.get_current_dir() {
            wrapped.current_dir(dir);
        }
        wrapped.stdin(Stdio::null()).stderr(out.try_clone().expect("a file can be shared"));
        wrapped.stdout(out);
        let child = wrapped.spawn().unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        Self { name: name.to_owned(), child, log }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `look` returns a value; fails at once if the process ends instead.
    pub fn wait_until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let what = format!("{}: {what}", self.name);
        wait_for(&what, READY, || {
            if let Some(status) = self.ended() {
                panic!("{} ended with {status} before it was ready", self.name);
            }
            look(self)
        })
    }

    /// Waits until it accepts connections on a port of 127.0.0.1.
    pub fn wait_for_port(&mut self, port: u16) {
        self.wait_until(&format!("a listener on port {port}"), |_| {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Sends a signal by its short name: INT, TERM, KILL, …
    pub fn signal(&self, name: &str) {
        // The shell's builtin: the program of that name is in a package that may be missing.
        let line = format!("kill -s {name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &line]).status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send SIG{name} to {}",
            self.name
        );
    }

    /// Waits until it has exited.
    pub fn wait_to_end(&mut self, limit: Duration) -> ExitStatus {
        wait_for(&format!("the end of {}", self.name), limit, || self.ended())
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// All of its memory that can be read, as a core would hold it: the mappings one after the other.
    pub fn memory(&self) -> Vec<u8> {
        memory_of(self.id())
    }

    /// The memory it costs now, in KiB: its own, and its share of what it shares (PSS).
    pub fn memory_kib(&self) -> u64 {
        self.kib("smaps_rollup", "Pss:")
    }

    /// The memory it has written to and that no file backs, in KiB: heap and stacks. Unlike the pages of its
    /// program, which the kernel maps in units as large as its page cache happens to hold.
    pub fn anonymous_kib(&self) -> u64 {
        self.kib("smaps_rollup", "Pss_Anon:")
    }

    /// How often any of its threads was given the processor so far.
    pub fn wake_ups(&self) -> u64 {
        let path = format!("/proc/{}/task", self.id());
        let threads = fs::read_dir(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let turns = |thread: fs::DirEntry| {
            // Time on the processor, time waiting for it, turns on it.
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().nth(2)?.parse::<u64>().ok()
        };
        threads.flatten().filter_map(turns).sum()
    }

    /// The most memory it has had resident so far, in KiB (VmHWM).
    pub fn peak_memory_kib(&self) -> u64 {
        self.kib("status", "VmHWM:")
    }

    /// What it has resident now, in KiB (VmRSS): shared libraries whole.
    pub fn resident_kib(&self) -> u64 {
        self.kib("status", "VmRSS:")
    }

    /// A number of kB in one of the process's files.
    fn kib(&self, file: &str, field: &str) -> u64 {
        let path = format!("/proc/{}/{file}", self.id());
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let digits = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        digits
            .and_then(|d| d.trim().parse().ok())
            .unwrap_or_else(|| panic!("{path}: no {field} in kB"))
    }
}

/// Bytes of a page of memory on x86-64 and most others.
const PAGE: u64 = 4096;
/// Bits of an entry in `/proc/PID/pagemap` (proc(5)): there is something in this page.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;

/// See [`Process::memory`]. Only pages that were ever touched: an allocator reserves a GiB and uses a few MiB.
fn memory_of(id: u32) -> Vec<u8> {
    let pages = File::open(format!("/proc/{id}/pagemap")).expect("a child's pages can be read");
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).expect("the process is there");
    let memory = File::open(format!("/proc/{id}/mem")).expect("a child's memory can be read");
    let mut all = Vec::new();
    for line in maps.lines() {
        // 7f00-7f80 r-xp …
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let bound = |text: &str| u64::from_str_radix(text, 16).ok();
        let Some((from, to)) =
            range.split_once('-').and_then(|(from, to)| bound(from).zip(bound(to)))
        else {
            continue;
        };
        if !mode.starts_with('r') {
            continue;
        }
        let page = |at: u64| at / PAGE;
        let mut entries =
            vec![0; 8 * usize::try_from(page(to - from)).expect("it fits into memory")];
        if pages.read_exact_at(&mut entries, 8 * page(from)).is_err() {
            // The kernel's own ([vsyscall]).
            continue;
        }
        for (n, entry) in (0..).zip(entries.as_chunks().0) {
            let mut piece = [0; PAGE as usize];
            // Some of the kernel's own ([vvar]) cannot be read.
            let is_there = u64::from_ne_bytes(*entry) & (PRESENT | SWAPPED) != 0;
            if is_there && memory.read_exact_at(&mut piece, from + n * PAGE).is_ok() {
                all.extend_from_slice(&piece);
            }
        }
    }
    all
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
            eprintln!("--- the last words of {}:\n{}", self.name, last.join("\n"));
        }
    }
}
