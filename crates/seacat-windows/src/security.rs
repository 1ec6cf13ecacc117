//! Users, and descriptors of who owns an object and who may use it.

use std::ffi::c_void;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, OBJECT_SECURITY_INFORMATION,
    OWNER_SECURITY_INFORMATION, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Owner and access list: what we set and look at.
pub(crate) const OWNER_AND_ACCESS: OBJECT_SECURITY_INFORMATION =
    OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;

/// The user of this process, as a SID. It is the same with and without an administrator's rights.
///
/// # Errors
/// What the system says.
pub fn own_user() -> io::Result<String> {
    // SAFETY: takes nothing; the handle it returns is a constant that needs no closing.
    let process = unsafe { GetCurrentProcess() };
    let mut token = null_mut();
    // SAFETY: the process handle is valid, and `token` is a place for the result.
    check(unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) })?;
    // SAFETY: the call above has just made this handle, and only we have it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };

    // A TOKEN_USER and its SID, which has 68 bytes at most. As `u64`, aligned for a pointer.
    let mut room = [0_u64; 16];
    let size = u32::try_from(size_of_val(&room)).unwrap_or(u32::MAX);
    let mut needed = 0;
    // SAFETY: the token is open, and the room is as large as its size says.
    check(unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenUser,
            room.as_mut_ptr().cast(),
            size,
            &raw mut needed,
        )
    })?;
    // SAFETY: the call above wrote a TOKEN_USER at the beginning of the room, which is aligned for it.
    let user = unsafe { room.as_ptr().cast::<TOKEN_USER>().read() };
    // SAFETY: its SID is in the room, which is alive.
    unsafe { sid_text(user.User.Sid) }
}

/// Memory that the system allocated for us; given back when dropped.
struct Local(*mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the pointer comes from a function whose result is freed with LocalFree, and is freed
        // nowhere else.
        unsafe { LocalFree(self.0) };
    }
}

/// Who owns an object, and who may use it.
pub(crate) struct Descriptor(Local);

impl Descriptor {
    /// Reads SDDL.
    pub(crate) fn parse(sddl: &str) -> io::Result<Self> {
        let text = wide(sddl);
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero, `descriptor` is a place for the result, and the size may be
        // left out.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(Local(descriptor)))
    }

    /// Takes over what a function of the system made.
    ///
    /// # Safety
    /// `descriptor` is valid, is to be freed with LocalFree, and is freed nowhere else.
    pub(crate) unsafe fn from_raw(descriptor: *mut c_void) -> Self {
        Self(Local(descriptor))
    }

    /// Owner and access list as SDDL.
    pub(crate) fn sddl(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: the descriptor is valid, `text` is a place for the result, and its length may be left out.
        check(unsafe {
            ConvertSecurityDescriptorToStringSecurityDescriptorW(
                self.as_ptr(),
                SDDL_REVISION_1,
                OWNER_AND_ACCESS,
                &raw mut text,
                null_mut(),
            )
        })?;
        let text = Local(text.cast());
        // SAFETY: the call above made a text that ends with a zero.
        Ok(unsafe { narrow(text.0.cast()) })
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0.0
    }
}

/// The descriptor and the owner of an open pipe.
pub(crate) fn of_pipe(pipe: BorrowedHandle<'_>) -> io::Result<(Descriptor, String)> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: the handle is open, the two places are for results, and the others may be left out.
    let failed = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_AND_ACCESS,
            &raw mut owner,
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
    let descriptor = unsafe { Descriptor::from_raw(descriptor) };
    // SAFETY: the owner's SID is in the descriptor, which is alive.
    let owner = unsafe { sid_text(owner) }?;
    Ok((descriptor, owner))
}

/// A SID as a text.
///
/// # Safety
/// `sid` points at a valid SID, or is null.
unsafe fn sid_text(sid: PSID) -> io::Result<String> {
    if sid.is_null() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the object has no owner"));
    }
    let mut text = null_mut();
    // SAFETY: the caller gives a valid SID; `text` is a place for the result.
    check(unsafe { ConvertSidToStringSidW(sid, &raw mut text) })?;
    let text = Local(text.cast());
    // SAFETY: the call above made a text that ends with a zero.
    Ok(unsafe { narrow(text.0.cast()) })
}

/// Success, or the calling thread's last error.
pub(crate) fn check(succeeded: i32) -> io::Result<()> {
    if succeeded == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A text as Windows takes it: UTF-16 with a zero at its end.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A path as Windows takes it.
pub(crate) fn path_as_wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// A text as Windows gives it.
///
/// # Safety
/// `text` points at UTF-16 that ends with a zero.
unsafe fn narrow(text: *const u16) -> String {
    assert!(text != null(), "a text is expected");
    let mut units = Vec::new();
    loop {
        // SAFETY: no zero was found yet, so this unit is a part of the text or its end.
        let unit = unsafe { text.add(units.len()).read() };
        if unit == 0 {
            return String::from_utf16_lossy(&units);
        }
        units.push(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_user_is_a_sid() {
        let user = own_user().unwrap();
        assert!(user.starts_with("S-1-5-"), "{user}");
        assert_eq!(own_user().unwrap(), user);
    }

    #[test]
    fn a_descriptor_is_read_and_written() {
        let sddl = "O:S-1-5-21-1-2-3-1000D:P(A;;FA;;;S-1-5-21-1-2-3-1000)";
        assert_eq!(Descriptor::parse(sddl).unwrap().sddl().unwrap(), sddl);
        assert!(Descriptor::parse("D:(X").is_err());
    }
}
