//! Other users of this computer. A loopback port is open to all of them, and what they send would go
//! on with the certificate of the user who runs the proxy.
//!
//! On Linux the kernel names the user at the other end of a local connection. Elsewhere it is not
//! known, and credentials are the protection.

use std::net::SocketAddr;

use crate::errors::Code;
use crate::fault::Fault;

/// Which local users are served beside our own user, root and the system's accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Users {
    /// No others.
    #[default]
    Own,
    /// Those with one of these user ids.
    Also(Vec<u32>),
    /// All.
    Everyone,
}

impl Users {
    /// Reads user names and user ids; `*` means everyone. Also returns the names that this computer
    /// does not know, which stand for no one.
    #[must_use]
    pub fn named(names: &[String]) -> (Self, Vec<&str>) {
        if names.iter().any(|name| name == "*") {
            return (Users::Everyone, Vec::new());
        }
        let (mut ids, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            match name.parse().ok().or_else(|| user_id(name)) {
                Some(id) => ids.push(id),
                None => unknown.push(name.as_str()),
            }
        }
        (if ids.is_empty() { Users::Own } else { Users::Also(ids) }, unknown)
    }
}

#[cfg(unix)]
fn user_id(name: &str) -> Option<u32> {
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

#[cfg(not(unix))]
fn user_id(_: &str) -> Option<u32> {
    None
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "users are told apart on Unix alone"))]
pub(crate) enum Stranger {
    /// It is another user's, with this id.
    User(u32),
    /// It was closed before its user could be looked up.
    Gone,
}

impl From<Stranger> for Fault {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::User(id) => Fault::new(
                Code::ForeignUser,
                format!("The connection belongs to the user with the id {id}."),
            ),
            Stranger::Gone => Fault::new(
                Code::ForeignUser,
                "The connection was closed before its user could be looked up.",
            ),
        }
    }
}

/// The check of new connections.
#[derive(Debug)]
pub(crate) struct UserCheck {
    #[cfg(target_os = "linux")]
    linux: Option<linux::Check>,
}

impl UserCheck {
    /// Serves `users`.
    pub(crate) fn new(users: Users) -> Self {
        #[cfg(target_os = "linux")]
        return UserCheck { linux: linux::Check::new(users) };
        #[cfg(not(target_os = "linux"))]
        {
            let _ = users;
            UserCheck {}
        }
    }

    /// Who is at the other end of an accepted connection from `peer` to our address `here`, if it is
    /// one that is not served. Two system calls (1.2 µs measured, where connecting and closing take 10):
    /// call it once for each connection.
    pub(crate) fn stranger(&self, peer: SocketAddr, here: SocketAddr) -> Option<Stranger> {
        #[cfg(target_os = "linux")]
        return self.linux.as_ref()?.stranger(peer, here);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (peer, here);
            None
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::SocketAddr;

    use super::{Stranger, Users};
    use crate::sock_diag::{Found, SockDiag};

    /// The file with the system's first id of ordinary users.
    const LOGIN_DEFS: &str = "/etc/login.defs";
    /// And its default, `UID_MIN` of shadow-utils.
    const FIRST_PERSON: u32 = 1000;

    #[derive(Debug)]
    pub(super) struct Check {
        users: Users,
        own: u32,
        first_person: u32,
        sockets: SockDiag,
    }

    impl Check {
        /// `None` when there is nothing to check, or no way to.
        pub(super) fn new(users: Users) -> Option<Self> {
            if users == Users::Everyone {
                return None;
            }
            let sockets = SockDiag::open()
                .inspect_err(|error| {
                    tracing::warn!(%error, "cannot determine local users; all of them are served");
                })
                .ok()?;
            let login_defs = std::fs::read_to_string(LOGIN_DEFS).unwrap_or_default();
            let first_person = first_person(&login_defs);
            Some(Check { users, own: nix::unistd::geteuid().as_raw(), first_person, sockets })
        }

        pub(super) fn stranger(&self, peer: SocketAddr, here: SocketAddr) -> Option<Stranger> {
            match self.sockets.owner(peer, here) {
                Found::User(id) => (!self.serves(id)).then_some(Stranger::User(id)),
                Found::Nothing if is_local(peer, here) => self.gone(peer, here),
                Found::Nothing => None,
            }
        }

        /// No such socket: it is closed already, or the kernel answers no such questions. Then it
        /// does not know our own end either.
        fn gone(&self, peer: SocketAddr, here: SocketAddr) -> Option<Stranger> {
            match self.sockets.owner(here, peer) {
                Found::User(_) => Some(Stranger::Gone),
                Found::Nothing => {
                    tracing::warn!("cannot determine the user of a local connection; it is served");
                    None
                }
            }
        }

        fn serves(&self, id: u32) -> bool {
            let named = matches!(&self.users, Users::Also(ids) if ids.contains(&id));
            id == self.own || id < self.first_person || named
        }
    }

    /// Whether a connection comes from this computer. Others are guarded by credentials, without
    /// which no address but loopback is listened on.
    fn is_local(peer: SocketAddr, here: SocketAddr) -> bool {
        peer.ip().to_canonical().is_loopback() || peer.ip() == here.ip()
    }

    /// `UID_MIN` (login.defs(5)).
    fn first_person(login_defs: &str) -> u32 {
        let value = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next() == Some("UID_MIN")).then(|| words.next()?.parse().ok()).flatten()
        };
        login_defs.lines().find_map(value).unwrap_or(FIRST_PERSON)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn ordinary_users_are_distinguished_from_system_accounts() {
            assert_eq!(first_person("# UID_MIN 7\nUMASK 022\nUID_MIN\t\t  500\n"), 500);
            assert_eq!(first_person("UID_MIN many\n"), FIRST_PERSON);
            assert_eq!(first_person(""), FIRST_PERSON);
        }

        #[test]
        fn other_users_are_refused_unless_listed() {
            let sockets = SockDiag::open().unwrap();
            let users = Users::Also(vec![1005]);
            let check = Check { users, own: 1001, first_person: 1000, sockets };
            for (id, served) in
                [(0, true), (42, true), (999, true), (1000, false), (1001, true), (1005, true)]
            {
                assert_eq!(check.serves(id), served, "{id}");
            }
            assert!(!check.serves(65534), "the user nobody is not served either");
        }

        #[test]
        fn a_connection_that_is_gone_has_no_user() {
            let check = Check::new(Users::Own).unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let here = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(here).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            assert_eq!(check.stranger(peer, here), None);
            drop(client);
            assert_eq!(check.stranger(peer, here), Some(Stranger::Gone));
            drop(accepted);
            // From another computer: not ours to know.
            let remote = "192.0.2.1:40000".parse().unwrap();
            assert_eq!(check.stranger(remote, "192.0.2.2:3128".parse().unwrap()), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_and_ids() {
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let (users, unknown) = Users::named(&names);
            (users, unknown.len())
        };
        assert_eq!(named(&[]), (Users::Own, 0));
        assert_eq!(named(&["1005", "*"]), (Users::Everyone, 0));
        assert_eq!(named(&["1005", "no such user"]), (Users::Also(vec![1005]), 1));
        #[cfg(unix)]
        assert_eq!(named(&["root"]), (Users::Also(vec![0]), 0));
    }

    #[test]
    fn everyone_needs_no_check() {
        let check = UserCheck::new(Users::Everyone);
        let [peer, here] = ["127.0.0.1:1", "127.0.0.1:2"].map(|it| it.parse().unwrap());
        assert_eq!(check.stranger(peer, here), None);
    }
}
