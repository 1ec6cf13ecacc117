//! Measurements of a process: processor time, memory, threads, wake-ups.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::Outcome;

/// Clock ticks a second in `/proc/PID/stat`: the kernel's USER_HZ, the same on every Linux that
/// matters here.
const TICKS: f64 = 100.0;

/// The source of a process's processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The sum over its threads of `schedstat`, exact to the nanosecond.
    Threads,
    /// `stat`, exact to a hundredth of a second: it includes threads that have ended.
    Process,
}

/// A process in /proc.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proc(pub(crate) u32);

impl Proc {
    fn read(self, file: &str) -> Outcome<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    }

    fn tasks(self) -> Outcome<Vec<String>> {
        let path = format!("/proc/{}/task", self.0);
        let list = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        let names = list.flatten().map(|entry| entry.file_name());
        Ok(names.map(|n| n.to_string_lossy().into_owned()).collect())
    }

    /// The sum over all threads of a number found in one of their files. A thread that ends
    /// meanwhile counts as nothing.
    fn sum(self, file: &str, number: fn(&str) -> Option<u64>) -> Outcome<u64> {
        let tasks = self.tasks()?;
        let texts = tasks.iter().filter_map(|task| self.read(&format!("task/{task}/{file}")).ok());
        Ok(texts.filter_map(|text| number(&text)).sum())
    }

    /// Time on a processor so far.
    pub(crate) fn cpu(self, clock: Clock) -> Outcome<Duration> {
        match clock {
            Clock::Threads => {
                let ns = self.sum("schedstat", |t| t.split_whitespace().next()?.parse().ok())?;
                Ok(Duration::from_nanos(ns))
            }
            Clock::Process => {
                let text = self.read("stat")?;
                let ticks = ticks(&text).ok_or("/proc/PID/stat has changed its form")?;
                Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
            }
        }
    }

    /// A field of `status` that is given in kB, in KiB.
    fn status_kib(self, name: &str) -> Outcome<f64> {
        let text = self.read("status")?;
        kib(&text, name).ok_or_else(|| format!("/proc/{}/status has no {name}", self.0))
    }

    /// The most memory it has had resident so far, in MiB.
    pub(crate) fn peak_mib(self) -> Outcome<f64> {
        Ok(self.status_kib("VmHWM")? / 1024.0)
    }

    /// Memory resident now, in MiB.
    pub(crate) fn resident_mib(self) -> Outcome<f64> {
        Ok(self.status_kib("VmRSS")? / 1024.0)
    }

    /// Memory that is its own, and its share of what it shares, in KiB.
    pub(crate) fn proportional_kib(self) -> Outcome<f64> {
        let text = self.read("smaps_rollup")?;
        kib(&text, "Pss").ok_or_else(|| "smaps_rollup has no Pss".to_owned())
    }

    /// How often its threads have gone to sleep so far, which equals the wake-ups.
    pub(crate) fn sleeps(self) -> Outcome<u64> {
        self.sum("status", |text| {
            let mut lines = text.lines();
            let rest = lines.find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
            rest.trim().parse().ok()
        })
    }

    /// How many threads it has.
    pub(crate) fn threads(self) -> Outcome<usize> {
        Ok(self.tasks()?.len())
    }

    /// Whether there is a listener on a port in its network. Read from the kernel, so that no
    /// connection is needed.
    pub(crate) fn sees_listener(self, port: u16) -> bool {
        let tables = ["net/tcp", "net/tcp6"].map(|table| self.read(table).unwrap_or_default());
        tables.iter().any(|table| has_listener(table, port))
    }

    /// The disk usage of its open unnamed files, in MiB.
    pub(crate) fn nameless_files_mib(self) -> Outcome<f64> {
        let path = format!("/proc/{}/fd", self.0);
        let list = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
        let files = list.flatten().filter_map(|entry| fs::metadata(entry.path()).ok());
        let nameless = files.filter(|file| file.is_file() && file.nlink() == 0);
        // st_blocks counts in 512 bytes whatever the file system does.
        let bytes: u64 = nameless.map(|file| file.blocks() * 512).sum();
        Ok(bytes as f64 / 1024.0 / 1024.0)
    }
}

/// Whether a table of sockets has a listener on a port.
fn has_listener(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let here = format!(":{port:04X}");
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().is_some_and(|address| address.ends_with(&here));
        local && words.nth(1) == Some(LISTEN)
    })
}

/// utime + stime of a `stat`: the 14th and 15th field. The second, the name, may contain any
/// character.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The value of a line `NAME:   123 kB`.
fn kib(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(n, _)| *n == name)?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_there_and_has_done_something() {
        let this = Proc(std::process::id());
        let before = this.cpu(Clock::Threads).unwrap();
        let mut sum = 0_u64;
        while this.cpu(Clock::Threads).unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(this.resident_mib().unwrap() <= this.peak_mib().unwrap());
        assert!(this.proportional_kib().unwrap() > 0.0);
        assert!(this.threads().unwrap() >= 1);
    }

    #[test]
    fn counts_files_that_have_lost_their_name_and_no_others() {
        let this = Proc(std::process::id());
        let before = this.nameless_files_mib().unwrap();
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, &vec![1; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        assert!(this.nameless_files_mib().unwrap() - before >= 3.0);
    }

    #[test]
    fn sees_who_listens_and_not_who_talks() {
        let this = Proc(std::process::id());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert!(this.sees_listener(port));
        assert!(!this.sees_listener(client.local_addr().unwrap().port()));
        drop(listener);
        assert!(!this.sees_listener(port));
    }

    #[test]
    fn reads_stat_whatever_the_program_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 50 25 0 0 20";
        assert_eq!(ticks(stat), Some(75));
    }
}
