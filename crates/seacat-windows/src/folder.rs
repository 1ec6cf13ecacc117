//! Folders for one user.

use std::io;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::ERROR_SUCCESS;
use windows_sys::Win32::Security::Authorization::{
    GetNamedSecurityInfoW, SE_FILE_OBJECT, SetNamedSecurityInfoW,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl, PROTECTED_DACL_SECURITY_INFORMATION,
};

use crate::security::{Descriptor, OWNER_AND_ACCESS, check, own_user, path_as_wide};

/// Takes a folder of ours, and what will be made in it, out of the reach of other users. The system keeps its
/// rights, as in a user's profile; administrators can take the folder over, which Windows records.
///
/// # Errors
/// What the system says.
pub fn close(path: &Path) -> io::Result<()> {
    let descriptor = Descriptor::parse(&access_list(&own_user()?))?;
    let (mut present, mut list, mut defaulted) = (0, null_mut(), 0);
    // SAFETY: the descriptor is valid, and the others are places for results.
    check(unsafe {
        GetSecurityDescriptorDacl(
            descriptor.as_ptr(),
            &raw mut present,
            &raw mut list,
            &raw mut defaulted,
        )
    })?;
    let path = path_as_wide(path);
    // SAFETY: the path ends with a zero, the list is in the descriptor, which is alive, and what is not
    // set may be left out.
    let failed = unsafe {
        SetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            list,
            null_mut(),
        )
    };
    if failed == ERROR_SUCCESS {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(failed.cast_signed()))
    }
}

/// P: nothing is inherited from above. OICI: files and folders in it inherit. FA: every right. SY: the system.
fn access_list(owner: &str) -> String {
    format!("D:P(A;OICI;FA;;;{owner})(A;OICI;FA;;;SY)")
}

/// Owner and access list of a file or folder, as SDDL.
///
/// # Errors
/// What the system says.
pub fn descriptor(path: &Path) -> io::Result<String> {
    let path = path_as_wide(path);
    let mut descriptor = null_mut();
    // SAFETY: the path ends with a zero, `descriptor` is a place for the result, and what is not asked for
    // may be left out.
    let failed = unsafe {
        GetNamedSecurityInfoW(
            path.as_ptr(),
            SE_FILE_OBJECT,
            OWNER_AND_ACCESS,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if failed != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(failed.cast_signed()));
    }
    // SAFETY: the call above made this descriptor, to be freed with LocalFree.
    unsafe { Descriptor::from_raw(descriptor) }.sddl()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_closed(path: &Path) {
        let (me, found) = (own_user().unwrap(), descriptor(path).unwrap());
        // WD: everyone. AU: who has logged in. BU: users.
        for others in [";;;WD)", ";;;AU)", ";;;BU)"] {
            assert!(!found.contains(others), "{}: {found}", path.display());
        }
        assert!(found.contains(&format!(";FA;;;{me})")), "{}: {found}", path.display());
    }

    #[test]
    fn the_access_list_names_the_owner_and_the_system_alone() {
        let me = own_user().unwrap();
        let list = Descriptor::parse(&access_list(&me)).unwrap().sddl().unwrap();
        assert_eq!(list, format!("D:P(A;OICI;FA;;;{me})(A;OICI;FA;;;SY)"));
        // Wine takes it, and goes on showing the folder's mode on Linux.
        close(tempfile::tempdir().unwrap().path()).unwrap();
    }

    #[test]
    #[ignore = "for a real Windows: Wine shows the mode on Linux, and its files inherit nothing"]
    fn a_closed_folder_and_what_is_made_in_it_grant_others_nothing() {
        let dir = tempfile::tempdir().unwrap();
        close(dir.path()).unwrap();
        assert_closed(dir.path());
        let file = dir.path().join("key");
        std::fs::write(&file, "secret").unwrap();
        assert_closed(&file);
    }
}
