//! The disk operations of the store, one by one, so that a test can simulate a crash between any
//! two of them.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use seacat_files::{create_private_folder, rename};

/// A flat folder of small files.
///
/// Nothing is durable before it is synced: the content of a file after [`Disk::sync`], its name
/// after [`Disk::sync_names`].
pub(crate) trait Disk: Send + Sync + fmt::Debug {
    /// Excludes all other writers, in this process and in others, until the value is dropped or the
    /// process ends.
    fn lock(&self) -> io::Result<Box<dyn Lock>>;
    /// All files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A whole file; `None` when there is none of that name.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Creates or replaces a file, in place.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Renames a file and replaces the file of that name, if any, atomically.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_names(&self) -> io::Result<()>;
    /// When a file was last created, deleted or renamed, within the resolution of the disk's clock.
    fn changed(&self) -> io::Result<SystemTime>;
    /// When a file was last written, if it is there.
    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>>;
}

/// Held while something is changed.
pub(crate) trait Lock {}
impl Lock for File {}
impl Lock for () {}

/// A folder of the file system, accessible to its owner only.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: PathBuf,
}

impl Folder {
    /// How long to wait for a lock that another process holds. It is held for a few writes; a
    /// process that holds it longer is stopped or blocked, and waiting longer would block this one
    /// too.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// Between two attempts to take the lock: a write takes some milliseconds.
    const LOOK_AGAIN: Duration = Duration::from_millis(2);

    /// Creates the folder if it is missing. `lock` is a file beside it.
    pub(crate) fn open(path: &Path, lock: &Path) -> io::Result<Self> {
        create_private_folder(path)?;
        Ok(Self { path: path.to_owned(), lock: lock.to_owned() })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file for writing, or creates it for the owner of the folder: an administrator may be
    /// root, and the gateway must be able to read files that root wrote.
    fn open_own(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let (owner, is) = (fs::metadata(&self.path)?, file.metadata()?);
            if (owner.uid(), owner.gid()) != (is.uid(), is.gid()) {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        Ok(file)
    }
}

impl Disk for Folder {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        let file = self.open_own(&self.lock)?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if since.elapsed() > Self::PATIENCE => {
                    let held = format!("another process holds the lock {}", self.lock.display());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, held));
                }
                Err(TryLockError::WouldBlock) => sleep(Self::LOOK_AGAIN),
            }
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let names: io::Result<Vec<_>> = names.collect();
        // The store's own names are UTF-8.
        Ok(names?.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.at(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.open_own(&self.at(name))?;
        file.set_len(0)?;
        file.write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        // Opened for writing because Windows requires it.
        let file = OpenOptions::new().write(true).open(self.at(name))?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rename(&self.at(from), &self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        // Windows has no such call for a folder; its file systems journal names.
        #[cfg(unix)]
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }

    fn changed(&self) -> io::Result<SystemTime> {
        fs::metadata(&self.path)?.modified()
    }

    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        match fs::metadata(self.at(name)) {
            Ok(file) => file.modified().map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A folder in memory, for a gateway inside another program.
#[derive(Debug)]
pub(crate) struct Memory(Mutex<Remembered>);

#[derive(Debug)]
struct Remembered {
    files: HashMap<String, Vec<u8>>,
    changed: SystemTime,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Remembered { files: HashMap::new(), changed: SystemTime::now() }))
    }

    fn now(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for Memory {
    /// There is no other process, and the gateway itself makes one change at a time.
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.now().files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.now().files.get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.now().files.insert(name.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn sync(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut now = self.now();
        let bytes = now.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        now.files.insert(to.to_owned(), bytes);
        now.changed = SystemTime::now();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut now = self.now();
        now.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        now.changed = SystemTime::now();
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn changed(&self) -> io::Result<SystemTime> {
        Ok(self.now().changed)
    }

    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        let now = self.now();
        Ok(now.files.contains_key(name).then_some(now.changed))
    }
}
