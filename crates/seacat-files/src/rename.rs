//! Renaming over a file that another program may be reading.

use std::fs;
use std::io;
use std::path::Path;
#[cfg(windows)]
use std::time::{Duration, Instant};

/// ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: what Windows answers while another program has one of
/// the two files open.
#[cfg(windows)]
const IN_USE: [i32; 2] = [5, 32];

/// A virus scanner or an indexer opens a new file at once, and for much less than this.
#[cfg(windows)]
const PATIENCE: Duration = Duration::from_secs(1);

/// From one try to the next.
#[cfg(windows)]
const PAUSE: Duration = Duration::from_millis(10);

/// Renames a file or folder, and replaces a file that has the new name. On Windows, which refuses that while
/// another program has one of the files open, it is tried again for a second.
///
/// # Errors
/// What the system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        let began = Instant::now();
        while let Err(error) = fs::rename(from, to) {
            let in_use = error.raw_os_error().is_some_and(|code| IN_USE.contains(&code));
            if !in_use || began.elapsed() > PATIENCE {
                return Err(error);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
    #[cfg(not(windows))]
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        fs::write(&new, "new").unwrap();
        fs::write(&old, "old").unwrap();
        rename(&new, &old).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "new");
        assert!(rename(&new, &old).is_err(), "there is nothing to rename");
    }

    /// As a virus scanner has it: open, and no other program may write or delete.
    #[cfg(windows)]
    #[test]
    fn a_file_that_is_open_is_replaced_when_it_is_closed() {
        use std::os::windows::fs::OpenOptionsExt as _;
        const FILE_SHARE_READ: u32 = 1;
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        fs::write(&new, "new").unwrap();
        fs::write(&old, "old").unwrap();
        let scanner =
            fs::OpenOptions::new().read(true).share_mode(FILE_SHARE_READ).open(&old).unwrap();
        assert!(fs::rename(&new, &old).is_err(), "the system refuses");
        let closing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(scanner);
        });
        rename(&new, &old).unwrap();
        closing.join().unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "new");
    }
}
