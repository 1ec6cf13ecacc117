//! The log file: rotated by size, capped, never a reason to stop.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use seacat_files::rename;

use crate::private;

/// A file that is rotated by size, with a cap on all its generations. Each write is one whole line.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    /// `None` while it could not be opened: every write tries again.
    file: Option<File>,
    size: u64,
    max_file: u64,
    /// How many old generations fit under the cap beside the newest.
    generations: u64,
    /// Lines lost since the last one that was written.
    lost: u64,
}

impl RotatingFile {
    pub(super) fn open(path: PathBuf, max_file: u64, max_total: u64) -> io::Result<Self> {
        let generations = (max_total / max_file.max(1)).saturating_sub(1);
        let mut log = Self { path, file: None, size: 0, max_file, generations, lost: 0 };
        log.reopen()?;
        log.remove_beyond_cap();
        Ok(log)
    }

    fn reopen(&mut self) -> io::Result<&mut File> {
        let file = private::open_file(&self.path, OpenOptions::new().append(true))?;
        self.size = file.metadata()?.len();
        Ok(self.file.insert(file))
    }

    fn generation(&self, n: u64) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }

    /// `log` → `log.1` → `log.2` …; what is beyond the cap goes.
    fn rotate(&mut self) {
        self.file = None;
        for n in (1..self.generations).rev() {
            let _ = rename(&self.generation(n), &self.generation(n + 1));
        }
        // Without room for old generations, or when the rename fails, the newest starts anew: the
        // cap matters more than old lines.
        if self.generations == 0 || rename(&self.path, &self.generation(1)).is_err() {
            let _ = fs::remove_file(&self.path);
        }
        self.remove_beyond_cap();
    }

    /// Generations that an earlier, larger cap allowed.
    fn remove_beyond_cap(&self) {
        let mut n = self.generations + 1;
        while fs::remove_file(self.generation(n)).is_ok() {
            n += 1;
        }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.size + line.len() as u64 > self.max_file && self.size > 0 {
            self.rotate();
        }
        let note = (self.lost > 0).then(|| {
            format!("{{\"level\":\"WARN\",\"fields\":{{\"message\":\"{} log lines could not be written\"}}}}\n", self.lost)
        });
        let note = note.as_deref().unwrap_or_default().as_bytes();
        let file = match self.file.as_mut() {
            Some(file) => file,
            None => self.reopen()?,
        };
        // One write: a crash or a full disk cuts at most one line.
        let bytes = [note, line].concat();
        let written = file.write(&bytes)?;
        self.size += written as u64;
        if written < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.lost = 0;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.write_line(line).is_err() {
            self.lost += 1;
            // Opened anew next time: the folder may have been removed, the disk mounted again.
            self.file = None;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::LOG_FILE;
    use super::*;

    fn total(folder: &std::path::Path) -> u64 {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn the_cap_holds_and_the_newest_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        let mut log = RotatingFile::open(path.clone(), 100, 350).unwrap();
        for n in 0..1000 {
            log.write_all(format!("line number {n:04}\n").as_bytes()).unwrap();
            assert!(total(folder.path()) <= 350);
        }
        // Three files fit; 17 bytes a line, five lines a file.
        let names = |n: u64| {
            if n == 0 { path.clone() } else { log.generation(n) }
        };
        let all: String = (0..3).rev().map(|n| fs::read_to_string(names(n)).unwrap()).collect();
        let kept: Vec<&str> = all.lines().collect();
        assert_eq!(kept.len(), 15);
        assert_eq!((kept[0], kept[14]), ("line number 0985", "line number 0999"));
    }

    #[test]
    fn a_restart_goes_on_where_the_last_one_stopped_and_a_smaller_cap_applies_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        let mut log = RotatingFile::open(path.clone(), 10, 100).unwrap();
        for _ in 0..20 {
            log.write_all(b"123456789\n").unwrap();
        }
        assert_eq!(total(folder.path()), 100);
        drop(log);
        let mut log = RotatingFile::open(path.clone(), 10, 30).unwrap();
        assert_eq!(total(folder.path()), 30);
        log.write_all(b"abcdefghi\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "abcdefghi\n");
    }

    /// The folder vanishes and comes back, as a network disk does: nothing fails, the gap is named.
    #[test]
    fn lines_that_could_not_be_written_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let mut log = RotatingFile::open(inner.join(LOG_FILE), 1000, 5000).unwrap();
        log.file = None;
        fs::remove_dir_all(&inner).unwrap();
        log.write_all(b"lost\n").unwrap();
        log.write_all(b"lost too\n").unwrap();
        fs::create_dir(&inner).unwrap();
        log.write_all(b"back\n").unwrap();
        log.write_all(b"and on\n").unwrap();
        let text = fs::read_to_string(inner.join(LOG_FILE)).unwrap();
        assert!(text.contains("2 log lines could not be written"), "{text}");
        assert!(text.ends_with("\nback\nand on\n"), "{text}");
    }

    /// `/dev/full` answers every write as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_survived() {
        let mut log = RotatingFile::open("/dev/full".into(), 1000, 5000).unwrap();
        log.write_all(b"no room\n").unwrap();
        log.write_all(b"no room\n").unwrap();
        assert_eq!(log.lost, 2);
    }

    #[cfg(unix)]
    #[test]
    fn the_log_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        RotatingFile::open(path.clone(), 10, 100).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
