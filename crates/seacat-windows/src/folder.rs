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
    let me = own_user()?;
    // P: nothing is inherited from above. OICI: files and folders in it inherit. FA: every right.
    // SY: the system.
    let access = format!("D:P(A;OICI;FA;;;{me})(A;OICI;FA;;;SY)");
    let descriptor = Descriptor::parse(&access)?;
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
    fn a_closed_folder_grants_others_nothing() {
        let dir = tempfile::tempdir().unwrap();
        close(dir.path()).unwrap();
        assert_closed(dir.path());
    }

    #[test]
    #[ignore = "for a real Windows: Wine's files inherit nothing from their folder"]
    fn what_is_made_in_a_closed_folder_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        close(dir.path()).unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "secret").unwrap();
        assert_closed(&file);
    }
}
