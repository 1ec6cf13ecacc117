//! Asks the kernel for the owner of one TCP socket (sock_diag(7)). One socket is looked up in the
//! kernel's hash table, so the time does not grow with the number of connections, as it would with
//! `/proc/net/tcp`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, InetResponseHeader, SocketId, StateFlags,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

/// Answers are about 150 bytes: 72 of the socket and a few attributes.
const ANSWER: usize = 1024;
/// "Any cookie" (`INET_DIAG_NOCOOKIE` in the kernel's inet_diag.h).
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// A netlink socket for questions, one at a time.
#[derive(Debug)]
pub(crate) struct SockDiag(Mutex<Questions>);

#[derive(Debug)]
struct Questions {
    socket: Socket,
    /// Of the last question; its answer carries it, too.
    number: u32,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The id of the user that created the socket.
    User(u32),
    /// No process holds such a socket, or the kernel cannot be asked.
    Nothing,
}

impl SockDiag {
    /// # Errors
    /// When the system has no such socket.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        // The kernel answers synchronously: a reply that is missing now will not arrive.
        socket.set_non_blocking(true)?;
        Ok(SockDiag(Mutex::new(Questions { socket, number: 0 })))
    }

    /// The owner of the connection whose own address is `local`.
    pub(crate) fn owner(&self, local: SocketAddr, remote: SocketAddr) -> Found {
        self.socket(local, remote).map_or(Found::Nothing, |header| Found::User(header.uid))
    }

    /// The number of that connection's socket, by which a process holds it.
    pub(crate) fn inode(&self, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
        Some(self.socket(local, remote)?.inode)
    }

    fn socket(&self, local: SocketAddr, remote: SocketAddr) -> Option<InetResponseHeader> {
        // A number and a socket: still good after a panic elsewhere.
        let mut questions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let InetResponse { header, .. } = questions.ask(local, remote).ok()??;
        // A socket whose process has closed it has no inode and belongs to root. The port tells
        // a connection from a listener, which the kernel also looks for.
        let port = header.socket_id.destination_port;
        (header.inode != 0 && port == remote.port()).then_some(header)
    }
}

impl Questions {
    fn ask(&mut self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<InetResponse>> {
        self.number = self.number.wrapping_add(1);
        self.socket.send(&question(self.number, local, remote), 0)?;
        loop {
            let mut answer = [0; ANSWER];
            let length = self.socket.recv(&mut &mut answer[..], 0)?;
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(&answer[..length])
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            // Answers to earlier questions may wait after an error.
            if message.header.sequence_number != self.number {
                continue;
            }
            return Ok(match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => Some(*found),
                _ => None,
            });
        }
    }
}

/// A request for one socket.
fn question(number: u32, local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    // IPv4 connections of IPv6 sockets are in the table of IPv4.
    let [source, destination] = [local, remote].map(|address| address.ip().to_canonical());
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = number;
    let request = InetRequest {
        family: if matches!(source, IpAddr::V4(_)) { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_port: local.port(),
            destination_port: remote.port(),
            source_address: source,
            destination_address: destination,
            interface_id: 0,
            cookie: NO_COOKIE,
        },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ends_of_a_connection_are_found() {
        let me = nix::unistd::geteuid().as_raw();
        let sockets = SockDiag::open().unwrap();
        for (listen, connect) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "[::1]"),
            // An IPv6 socket with an IPv4 connection.
            ("[::]:0", "127.0.0.1"),
        ] {
            let listener = TcpListener::bind(listen).unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect(format!("{connect}:{port}")).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            let here = accepted.local_addr().unwrap();
            assert_eq!(sockets.owner(peer, here), Found::User(me), "{listen}");
            assert_eq!(sockets.owner(here, peer), Found::User(me), "{listen}");
            drop((client, accepted));
            assert_eq!(sockets.owner(peer, here), Found::Nothing, "{listen}: closed");
        }
    }

    #[test]
    fn a_listener_on_the_clients_port_is_not_the_client() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = SockDiag::open().unwrap();
        let elsewhere = "127.0.0.1:1".parse().unwrap();
        assert_eq!(sockets.owner(address, elsewhere), Found::Nothing);
    }
}
