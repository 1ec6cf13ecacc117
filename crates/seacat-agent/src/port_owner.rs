//! Who has the port that we wanted, and which one is free instead.
//!
//! On Linux the kernel's socket tables (`/proc/net/tcp`, `/proc/net/tcp6`) name the socket and
//! `/proc/PID/fd` its process. Another user's process shows only its user. Windows has a table with
//! process ids. Elsewhere the owner is not known, and the message leaves it out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use seacat_proxy::is_port_taken;

/// Whoever listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A process we may look at.
    Process {
        /// Its id.
        pid: u32,
        /// The name of its program.
        name: String,
    },
    /// A process of this user, which we may not look at.
    User(u32),
    /// No process: Windows has the port reserved.
    Reserved,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Process { pid, name } => write!(f, "{name} (process {pid})"),
            Owner::Reserved => write!(f, "Windows (a reserved range: Hyper-V, WSL or containers)"),
            Owner::User(0) => write!(f, "a program of the system (root)"),
            Owner::User(uid) => write!(f, "a program of another user (uid {uid})"),
        }
    }
}

/// The owner of a listening TCP port, where the system tells.
#[must_use]
pub fn find(port: u16) -> Option<Owner> {
    #[cfg(target_os = "linux")]
    return linux::find(port);
    #[cfg(windows)]
    return windows::find(port);
    #[cfg(not(any(target_os = "linux", windows)))]
    return {
        let _ = port;
        None
    };
}

/// How many ports after the wanted one are tried before any free one is taken: the nearer it is, the
/// easier it is remembered.
const NEARBY: u16 = 20;

/// A port that is free on all of `addresses` now: one soon after `taken`, else any.
#[must_use]
pub fn free_port(addresses: &[IpAddr], taken: u16) -> Option<u16> {
    let is_free = |port: &u16| addresses.iter().all(|address| is_free(*address, *port));
    let nearby = (1..=NEARBY).filter_map(|step| taken.checked_add(step)).find(is_free);
    nearby.or_else(|| {
        let first = addresses.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
        let port = TcpListener::bind((first, 0)).ok()?.local_addr().ok()?.port();
        is_free(&port).then_some(port)
    })
}

/// Where IPv6 is switched off, a port on it takes nothing from anybody.
fn is_free(address: IpAddr, port: u16) -> bool {
    match TcpListener::bind((address, port)) {
        Ok(_) => true,
        Err(error) => address.is_ipv6() && !is_port_taken(&error),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Owner;
    use std::fs;
    use std::path::Path;

    /// The state "listening" in the kernel's table (`TCP_LISTEN` in its `tcp_states.h`).
    const LISTEN: &str = "0A";

    /// A line of the kernel's table.
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Listener {
        pub(super) inode: u64,
        pub(super) uid: u32,
    }

    pub(super) fn find(port: u16) -> Option<Owner> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let text: String = tables.iter().filter_map(|t| fs::read_to_string(t).ok()).collect();
        let listeners = listeners(&text, port);
        let process = listeners.iter().find_map(|listener| process_with(listener.inode));
        process.or_else(|| listeners.first().map(|listener| Owner::User(listener.uid)))
    }

    /// The listening sockets with this local port. Columns (proc(5)): `sl local_address rem_address
    /// st tx:rx tr:when retrnsmt uid timeout inode`.
    pub(super) fn listeners(table: &str, port: u16) -> Vec<Listener> {
        let suffix = format!(":{port:04X}");
        let parse = |line: &str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let is_ours = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == LISTEN;
            let listener = Listener {
                uid: columns.get(7)?.parse().ok()?,
                inode: columns.get(9)?.parse().ok()?,
            };
            is_ours.then_some(listener)
        };
        table.lines().filter_map(parse).collect()
    }

    /// The process that holds the socket, among those we may look at.
    fn process_with(inode: u64) -> Option<Owner> {
        seacat_proxy::process_with_socket(inode)
            .map(|pid| Owner::Process { pid, name: name_of(pid) })
    }

    /// The name of its program file, else the name it gave itself (16 characters at most).
    fn name_of(pid: u32) -> String {
        let file = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let file = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        match file {
            Some(name) => name.to_owned(),
            None => fs::read_to_string(format!("/proc/{pid}/comm"))
                .map_or_else(|_| "a program".to_owned(), |name| name.trim().to_owned()),
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::net::{Ipv4Addr, TcpListener};

    use super::Owner;
    use seacat_windows::tcp;

    /// The process in the system's table, else whether a port that nobody has is refused all the same.
    pub(super) fn find(port: u16) -> Option<Owner> {
        match tcp::listener(port).ok()? {
            Some(tcp::UNKNOWN) => None,
            Some(pid) => Some(Owner::Process { pid, name: name_of(pid) }),
            None => {
                let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
                is_reserved(&bound.err()?).then_some(Owner::Reserved)
            }
        }
    }

    pub(super) fn is_reserved(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::PermissionDenied
    }

    fn name_of(pid: u32) -> String {
        let file = tcp::program(pid).ok();
        let name = file.as_deref().and_then(|path| path.file_name()?.to_str());
        name.unwrap_or("a program").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WSAEACCES, which a port of a reserved range is refused with.
    #[cfg(windows)]
    #[test]
    fn a_reserved_port_counts_as_taken() {
        let error = std::io::Error::from_raw_os_error(10013);
        assert!(windows::is_reserved(&error) && is_port_taken(&error));
        assert!(Owner::Reserved.to_string().contains("Hyper-V"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_table_is_read() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0C38 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 34961 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0C38 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000  1000        0 34962 1 0000000000000000 20 4 30 10 -1
   2: 00000000000000000000000001000000:0C39 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1
   3: broken line";
        let find = |port| linux::listeners(table, port);
        assert_eq!(find(3128), [linux::Listener { inode: 34961, uid: 1000 }]);
        assert_eq!(find(3129), [linux::Listener { inode: 77, uid: 0 }]);
        assert_eq!(find(3130), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_process_is_found() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            match find(port) {
                Some(Owner::Process { pid, name }) => {
                    assert_eq!(pid, std::process::id());
                    assert!(name.starts_with("seacat_agent"), "{name}");
                }
                other => panic!("{address}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_free_port_is_free_on_every_address() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let addresses = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let free = free_port(&addresses, port).unwrap();
        assert_ne!(free, port);
        // Nothing to offer when not even the address is ours.
        assert_eq!(free_port(&["192.0.2.1".parse().unwrap()], 3128), None);
    }
}
