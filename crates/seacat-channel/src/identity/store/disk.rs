//! Files that are whole or not there: written beside, synced, renamed, and the folder synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
        fs::rename(&temporary, self.path(name))?;
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

    fn make_folder(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        // It may have been there, open to others.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&self.folder)?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
            }
        }
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        // Windows cannot open a folder as a file, and needs no such thing.
        #[cfg(unix)]
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// Where a test may pull the plug.
    pub(crate) fn point(&self) -> io::Result<()> {
        #[cfg(test)]
        self.fuse.point()?;
        Ok(())
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
