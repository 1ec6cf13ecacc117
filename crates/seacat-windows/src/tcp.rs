//! Who listens on a TCP port.

use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::PathBuf;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS, MAX_PATH};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    GetExtendedTcpTable, MIB_TCP6ROW_OWNER_PID, MIB_TCPROW_OWNER_PID, TCP_TABLE_OWNER_PID_LISTENER,
};
use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use crate::security::check;

/// A row of the table, in words of 32 bits: where its port is, where its process id, and how long it is.
struct Row {
    family: u16,
    port: usize,
    process: usize,
    length: usize,
}

const WORD: usize = size_of::<u32>();

const ROWS: [Row; 2] = [
    Row {
        family: AF_INET,
        port: std::mem::offset_of!(MIB_TCPROW_OWNER_PID, dwLocalPort) / WORD,
        process: std::mem::offset_of!(MIB_TCPROW_OWNER_PID, dwOwningPid) / WORD,
        length: size_of::<MIB_TCPROW_OWNER_PID>() / WORD,
    },
    Row {
        family: AF_INET6,
        port: std::mem::offset_of!(MIB_TCP6ROW_OWNER_PID, dwLocalPort) / WORD,
        process: std::mem::offset_of!(MIB_TCP6ROW_OWNER_PID, dwOwningPid) / WORD,
        length: size_of::<MIB_TCP6ROW_OWNER_PID>() / WORD,
    },
];

/// The process id of a listener whose process the system does not name.
pub const UNKNOWN: u32 = 0;

/// The process id of the program that listens on a TCP port, over IPv4 or IPv6.
///
/// # Errors
/// What the system says.
pub fn listener(port: u16) -> io::Result<Option<u32>> {
    for row in ROWS {
        let table = table(row.family)?;
        let rows = table.get(1..).unwrap_or_default().chunks_exact(row.length);
        let count = table.first().map_or(0, |&count| usize::try_from(count).unwrap_or(usize::MAX));
        // The port is in network order, in the first two bytes of its word.
        let listens = |line: &&[u32]| {
            let [high, low, ..] = line[row.port].to_ne_bytes();
            u16::from_be_bytes([high, low]) == port
        };
        if let Some(line) = rows.take(count).find(listens) {
            return Ok(Some(line[row.process]));
        }
    }
    Ok(None)
}

/// The number of rows, then the rows.
fn table(family: u16) -> io::Result<Vec<u32>> {
    let mut table = vec![0_u32; 1024];
    loop {
        let mut size = u32::try_from(size_of_val(table.as_slice())).unwrap_or(u32::MAX);
        // SAFETY: the table is as large as `size` says, and aligned for rows of 32-bit words.
        let failed = unsafe {
            GetExtendedTcpTable(
                table.as_mut_ptr().cast(),
                &raw mut size,
                0,
                family.into(),
                TCP_TABLE_OWNER_PID_LISTENER,
                0,
            )
        };
        match failed {
            ERROR_SUCCESS => return Ok(table),
            // Rows may come meanwhile, hence twice as much as is needed now.
            ERROR_INSUFFICIENT_BUFFER => {
                table.resize(2 * usize::try_from(size).unwrap_or(usize::MAX).div_ceil(WORD), 0);
            }
            code => return Err(io::Error::from_raw_os_error(code.cast_signed())),
        }
    }
}

/// The program file of a process.
///
/// # Errors
/// What the system says: access denied for most of its own processes.
pub fn program(process: u32) -> io::Result<PathBuf> {
    // SAFETY: takes numbers alone.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, process) };
    if handle == null_mut() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just made this handle, and only we have it.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut path = vec![0_u16; 2 * MAX_PATH as usize];
    let mut length = u32::try_from(path.len()).unwrap_or(u32::MAX);
    // SAFETY: the process is open, and the path has room for as many units as its length says.
    check(unsafe {
        QueryFullProcessImageNameW(
            handle.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    })?;
    path.truncate(usize::try_from(length).unwrap_or(0));
    Ok(String::from_utf16_lossy(&path).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn our_own_port_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            // Under Wine all sockets are its server's, which is no process of Windows.
            let found = super::listener(port).unwrap();
            assert!([Some(std::process::id()), Some(UNKNOWN)].contains(&found), "{found:?}");
            drop(listener);
            assert_eq!(super::listener(port).unwrap(), None, "{address}");
        }
    }

    #[test]
    fn our_own_program_is_found() {
        let path = program(std::process::id()).unwrap();
        assert_eq!(path.file_name(), std::env::current_exe().unwrap().file_name());
        assert!(program(u32::MAX).is_err());
    }
}
