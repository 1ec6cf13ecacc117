//! Folders for one user.

use std::fs;
use std::io;
use std::path::Path;

/// Creates a folder for its owner alone, with its parents, or accepts the one that exists, as it is.
///
/// On Unix others may do nothing with it (mode 0700). On Windows it has an access list of its own for the
/// owner and the system, which everything in it inherits.
///
/// # Errors
/// When it cannot be created.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    let is_new = !path.is_dir();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(windows)]
    if is_new {
        seacat_windows::folder::close(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_with_its_parents_and_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a").join("b");
        create_private_folder(&folder).unwrap();
        create_private_folder(&folder).unwrap();
        assert!(folder.is_dir());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(create_private_folder(&file).is_err());
    }
}
