//! The failed requests in the state folder: one JSON object a line, appended as they come. No
//! queries, no headers, no bodies. A line that cannot be read is left out.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::failures::KEPT;
use crate::access::AccessView;
use crate::config::edit::save;
use crate::private::open_file;

const NAME: &str = "failed-requests.jsonl";

/// A longer file is not ours: a line has about 350 bytes, and 1000 at most (`access::MAX_TEXT`).
const READ_MAX: u64 = 2 * KEPT as u64 * 1024;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct FailureFile {
    path: PathBuf,
    /// How many lines it has.
    lines: usize,
}

impl FailureFile {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(NAME), lines: 0 }
    }

    /// What an earlier run has kept.
    pub(super) fn read(&mut self) -> Vec<AccessView> {
        let mut text = Vec::new();
        let file = fs::File::open(&self.path);
        if file.and_then(|file| file.take(READ_MAX).read_to_end(&mut text)).is_err() {
            return Vec::new();
        }
        self.lines = text.iter().filter(|&&b| b == b'\n').count();
        text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Appends lines; `all` are those that are to be kept, these included.
    pub(super) fn append(
        &mut self,
        new: &[AccessView],
        all: impl FnOnce() -> Vec<AccessView>,
    ) -> io::Result<()> {
        if self.lines + new.len() > 2 * KEPT {
            let all = all();
            save(&self.path, &lines(&all)?)?;
            self.lines = all.len();
            return Ok(());
        }
        let mut file = open_file(&self.path, OpenOptions::new().append(true))?;
        file.write_all(&lines(new)?)?;
        self.lines += new.len();
        Ok(())
    }

    /// Removes it.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.lines = 0;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn lines(all: &[AccessView]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in all {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_and_stays_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = FailureFile::new(folder.path());
        assert_eq!(file.read(), []);
        let (one, other) = (line("erp", 403), line("crm", 500));
        file.append(std::slice::from_ref(&one), Vec::new).unwrap();
        file.append(&[one.clone(), other.clone()], Vec::new).unwrap();
        // As after a crash in the middle of a line.
        let path = folder.path().join(NAME);
        fs::write(&path, [&fs::read(&path).unwrap()[..], b"{\"time_ms\":"].concat()).unwrap();
        let mut again = FailureFile::new(folder.path());
        assert_eq!(again.read(), [one.clone(), one.clone(), other]);
        again.append(&vec![one.clone(); 2 * KEPT], || vec![one.clone()]).unwrap();
        assert_eq!(FailureFile::new(folder.path()).read(), [one]);
        again.remove().unwrap();
        again.remove().unwrap();
        assert_eq!(again.read(), []);
    }
}
