//! The system's socket table, for what only the system can say for certain.

use std::collections::BTreeSet;
use std::fs;

/// The local ports of all established TCP connections on this machine whose far end is `port`.
///
/// Read from /proc/net/tcp and tcp6, where the connecting side of a connection is the line whose
/// remote address holds the port.
/// The kernel may show a line twice while the table changes; a port is one connection all the same.
pub fn established_to(port: u16) -> BTreeSet<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}")));
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| local_port(line, port)).collect()
}

/// A line is `sl local_address rem_address st …`, addresses are `HEX:PORT`, state 01 is
/// ESTABLISHED.
fn local_port(line: &str, remote: u16) -> Option<u16> {
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    let [_, local, rem, "01"] = words.as_slice() else {
        return None;
    };
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    (port(rem)? == remote).then(|| port(local))?
}

#[cfg(test)]
mod harness {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn counts_the_connecting_side_only_and_only_while_it_is_connected() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::free_port())).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(established_to(address.port()).is_empty());
        let one = TcpStream::connect(address).unwrap();
        let two = TcpStream::connect(address).unwrap();
        assert_eq!(established_to(address.port()).len(), 2);
        drop(two);
        let left = BTreeSet::from([one.local_addr().unwrap().port()]);
        assert_eq!(established_to(address.port()), left);
        drop(one);
        assert!(established_to(address.port()).is_empty());
    }
}
