//! One copy at a time: a lock held by the operating system on a file in the state folder.
//!
//! The system lets go of the lock when the process ends, however it ends, so there is no stale lock
//! to clean up. A port would be a poor lock: it can be taken by anybody, and two copies can have
//! different ones.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::places::{PlaceError, make_private_folder};
use crate::private;

/// Why this copy may not run.
#[derive(Debug, Error)]
pub enum InstanceError {
    /// Another one does.
    #[error("already running{}; see `seacat-proxy status`", pid_text(.pid))]
    AlreadyRunning {
        /// Its process id, when it could be read.
        pid: Option<u32>,
    },
    /// The state folder cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The lock file cannot be used.
    #[error("cannot use the lock file {path}: {source}")]
    Lock {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn pid_text(pid: &Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}

const LOCK: &str = "instance.lock";
const PID: &str = "instance.pid";

/// The right to be the only copy. Given back when dropped.
#[derive(Debug)]
pub struct Instance {
    lock: File,
    pid_file: PathBuf,
}

impl Instance {
    /// Takes the lock in the state folder, which is made if it is missing.
    ///
    /// # Errors
    /// When another copy runs, or the folder or file cannot be used.
    pub fn claim(state_dir: &Path) -> Result<Self, InstanceError> {
        make_private_folder(state_dir)?;
        #[cfg(unix)]
        private::check_folder(state_dir, private::own_uid(), private::Closed::ToWriters)?;
        let path = state_dir.join(LOCK);
        // The process id is in a file of its own: Windows lets nobody read a locked one.
        let pid_file = state_dir.join(PID);
        let failed = |source| InstanceError::Lock { path: path.clone(), source };
        let file = private::open_file(&path, OpenOptions::new().write(true).truncate(false))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(InstanceError::AlreadyRunning { pid: read_pid(&pid_file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Only for the message to a second copy: not worth failing for on a full disk.
        let written = private::open_file(&pid_file, OpenOptions::new().write(true).truncate(true))
            .and_then(|mut file| file.write_all(std::process::id().to_string().as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, "cannot write the process id");
        }
        Ok(Self { lock: file, pid_file })
    }
}

impl Instance {
    /// Whether a copy runs with this state folder, and its process id when it could be read. Nothing
    /// is made or written.
    #[must_use]
    pub fn holder(state_dir: &Path) -> Option<Option<u32>> {
        // Without it nothing runs, and the lock is not touched: another process may be taking it.
        if !state_dir.join(PID).exists() {
            return None;
        }
        let lock = OpenOptions::new().write(true).open(state_dir.join(LOCK)).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_pid(&state_dir.join(PID))),
            _ => None,
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.pid_file);
        // Not left to closing: a process forked at this very moment holds a copy of the file.
        let _ = self.lock.unlock();
    }
}

fn read_pid(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    /// Set for the child process of the test below, to the state folder it shall lock.
    const CHILD: &str = "INSTANCE_TEST_STATE_DIR";

    /// Not a test of its own: what the child process runs. Without its variable there is nothing
    /// to do.
    #[test]
    fn child_that_holds_the_lock() {
        let Some(folder) = std::env::var_os(CHILD) else {
            return;
        };
        let _instance = Instance::claim(Path::new(&folder)).unwrap();
        println!("locked");
        io::stdout().flush().unwrap();
        let mut line = String::new();
        io::stdin().read_line(&mut line).unwrap();
    }

    #[test]
    fn a_second_process_is_told_who_runs_and_a_dead_one_leaves_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "instance::tests::child_that_holds_the_lock", "--nocapture"])
            .env(CHILD, folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("locked")));

        match Instance::claim(folder.path()) {
            Err(InstanceError::AlreadyRunning { pid }) => assert_eq!(pid, Some(child.id())),
            other => panic!("{other:?}"),
        }
        // kill -9: nothing of the child's own tidying runs.
        child.kill().unwrap();
        child.wait().unwrap();
        Instance::claim(folder.path()).unwrap();
    }

    #[test]
    fn two_claims_in_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        let first = Instance::claim(&state).unwrap();
        let error = Instance::claim(&state).expect_err("the first still holds it").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(Instance::holder(&state), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(Instance::holder(&state), None);
        Instance::claim(&state).unwrap();
    }
}
