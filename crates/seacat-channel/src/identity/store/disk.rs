//! Files that are whole or not there: written beside, synced, renamed, and the folder synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use seacat_files::{create_private_folder, rename};

/// A folder for its owner alone.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    #[cfg(test)]
    pub(crate) fuse: super::fuse::Fuse,
}

impl Disk {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            #[cfg(test)]
            fuse: super::fuse::Fuse::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The content of a file, if there is one.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file. After a crash at any point there is the old one or the new one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        let temporary = self.path(&format!("{name}.new"));
        self.point()?;
        let mut file = private_file(&temporary)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        file.write_all(first)?;
        self.point()?;
        file.write_all(second)?;
        self.point()?;
        file.sync_all()?;
        self.point()?;
        rename(&temporary, &self.path(name))?;
        self.point()?;
        self.sync_folder()
    }

    /// Removes a file that may not be there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.point()?;
        match fs::remove_file(self.path(name)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        self.point()?;
        self.sync_folder()
    }

    /// The names of the files that begin with this and end with `.der`, in order.
    pub(crate) fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.starts_with(prefix) && name.ends_with(".der") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes the folder `legacy` ours, if it is there and ours is not.
    pub(crate) fn adopt(&self, legacy: &Path) -> io::Result<()> {
        let Some(parent) = self.folder.parent() else { return Ok(()) };
        if self.folder.exists() || !legacy.is_dir() {
            return Ok(());
        }
        make_private_folder(parent)?;
        self.point()?;
        rename(legacy, &self.folder)?;
        self.point()?;
        sync_folder(parent)?;
        legacy.parent().map_or(Ok(()), sync_folder)
    }

    fn make_folder(&self) -> io::Result<()> {
        make_private_folder(&self.folder)
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_folder(&self.folder)
    }

    /// Where a test may pull the plug.
    pub(crate) fn point(&self) -> io::Result<()> {
        #[cfg(test)]
        self.fuse.point()?;
        Ok(())
    }
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    create_private_folder(folder)?;
    // It may have been there, open to others.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot open a folder as a file, and needs no such thing.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
