//! Files and folders that belong to this user alone.
//!
//! A folder that the user names may have been there before: made by another user, or open to one. What
//! is in it could then be a link to a file of ours, which we would write to.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

#[cfg(unix)]
use crate::places::PlaceError;

/// What others may not have of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Any access.
    Fully,
    /// The right to change what is in it.
    ToWriters,
}

/// Checks that a folder belongs to `owner` and is closed to others.
///
/// # Errors
/// [`PlaceError`], which says what is wrong with the folder.
#[cfg(unix)]
pub fn check_folder(path: &Path, owner: u32, closed: Closed) -> Result<(), PlaceError> {
    let failed = |source| PlaceError::Folder { path: path.to_owned(), doing: "looked at", source };
    let (link, mut folder) = {
        let entry = std::fs::symlink_metadata(path).map_err(failed)?;
        (entry.is_symlink().then(|| entry.uid()), entry)
    };
    if link.is_some() && closed == Closed::ToWriters {
        // People keep their state elsewhere by a link of their own.
        folder = std::fs::metadata(path).map_err(failed)?;
    }
    let mode = folder.permissions().mode() & 0o777;
    let open = match closed {
        Closed::Fully => mode & 0o077,
        Closed::ToWriters => mode & 0o022,
    };
    let foreign = [link, Some(folder.uid())].into_iter().flatten().find(|uid| *uid != owner);
    let fault = if !folder.is_dir() {
        "is not a folder".to_owned()
    } else if let Some(uid) = foreign {
        format!("belongs to another user (uid {uid})")
    } else if open != 0 {
        format!("is open to others (mode {mode:03o})")
    } else {
        return Ok(());
    };
    Err(PlaceError::Unsafe { path: path.to_owned(), fault })
}

/// Who we are.
#[cfg(unix)]
#[must_use]
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Opens or creates a file for this user alone. A link is not followed, and a file that was open to
/// others is closed to them.
///
/// # Errors
/// What the system says.
pub fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.create(true);
    #[cfg(unix)]
    {
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
        options.mode(0o600).custom_flags(no_follow.cast_signed());
    }
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        let found = file.metadata()?;
        if found.is_file() && found.uid() == own_uid() && found.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_of_others_or_open_to_them_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, link) = (dir.path().join("folder"), dir.path().join("link"));
        fs::create_dir(&folder).unwrap();
        symlink(&folder, &link).unwrap();
        let me = own_uid();
        // (mode, path, owner, how closed, fits)
        let cases = [
            (0o700, &folder, me, Closed::Fully, true),
            (0o755, &folder, me, Closed::Fully, false),
            (0o700, &link, me, Closed::Fully, false),
            (0o755, &folder, me, Closed::ToWriters, true),
            (0o755, &link, me, Closed::ToWriters, true),
            (0o775, &folder, me, Closed::ToWriters, false),
            (0o707, &link, me, Closed::ToWriters, false),
            (0o700, &folder, me + 1, Closed::ToWriters, false),
        ];
        for (mode, path, owner, closed, fits) in cases {
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            let checked = check_folder(path, owner, closed);
            assert_eq!(checked.is_ok(), fits, "{mode:o} {path:?} {closed:?}: {checked:?}");
        }
    }

    #[test]
    fn a_link_is_not_followed_and_an_open_file_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "precious").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        symlink(&file, &link).unwrap();
        let open = |path| open_file(path, OpenOptions::new().write(true).truncate(true));
        assert!(open(&link).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        open(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        open(&dir.path().join("new")).unwrap();
        let new = fs::metadata(dir.path().join("new")).unwrap();
        assert_eq!(new.permissions().mode() & 0o777, 0o600);
    }
}
