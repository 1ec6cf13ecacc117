//! Which program on this computer has opened a connection.
//!
//! Looking it up takes milliseconds, because every process has to be asked for its sockets. So it is
//! done only while the list of applications is looked at and for requests that fail, once for each
//! connection, and for a fifth of the time at most. Linux answers; on other systems the program is
//! not known yet.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "linux", test))]
mod name;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

#[cfg(target_os = "linux")]
pub use linux::process_with_socket;

/// A response waits for so long at most until the program has been found.
const PATIENCE: Duration = Duration::from_millis(250);

/// After a look-up the next one waits for so many times its duration.
const REST: u32 = 4;

/// A program, as a person calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program {
    /// `curl`, `Python`, `git`.
    pub name: String,
    /// What an interpreter runs: the file name of a script, a module, a jar or a class. Other
    /// arguments are left out, because they may hold secrets.
    pub runs: Option<String>,
}

/// Finds programs. Clones share their turns.
#[derive(Debug, Clone, Default)]
pub struct Programs(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    looking: AtomicUsize,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// The earliest time of the next look-up.
    free: Option<Instant>,
    /// Processes that were found last: one that opens many connections is found at once.
    recent: Vec<u32>,
}

/// While it lives, the program of every request is found.
#[derive(Debug)]
pub struct Looking(Programs);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.0.looking.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Programs {
    /// Finds the program of every request, until the guard is dropped.
    #[must_use]
    pub fn look(&self) -> Looking {
        self.0.looking.fetch_add(1, Ordering::Relaxed);
        Looking(self.clone())
    }

    /// Whether the program of every request is to be found.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.0.looking.load(Ordering::Relaxed) > 0
    }

    /// The program at the other end of an accepted connection from `peer` to our address `here`.
    /// `None`: it is on another computer, another user's, or not found in time.
    pub(crate) async fn of(&self, peer: SocketAddr, here: SocketAddr) -> Option<Arc<Program>> {
        let find = async {
            let mut turn = self.0.turn.lock().await;
            if let Some(free) = turn.free {
                sleep_until(free).await;
            }
            let began = Instant::now();
            let recent = turn.recent.clone();
            let found = tokio::task::spawn_blocking(move || find(peer, here, &recent)).await;
            turn.free = Some(Instant::now() + began.elapsed() * REST);
            let (process, program) = found.ok()??;
            turn.remember(process);
            Some(Arc::new(program))
        };
        timeout(PATIENCE, find).await.ok()?
    }
}

impl Turn {
    fn remember(&mut self, process: u32) {
        /// More than the programs that are busy at one time.
        const RECENT: usize = 8;
        self.recent.retain(|it| *it != process);
        self.recent.insert(0, process);
        self.recent.truncate(RECENT);
    }
}

#[cfg(target_os = "linux")]
fn find(peer: SocketAddr, here: SocketAddr, recent: &[u32]) -> Option<(u32, Program)> {
    let inode = crate::sock_diag::SockDiag::open().ok()?.inode(peer, here)?;
    let process = linux::holder(inode.into(), recent)?;
    Some((process, linux::program(process)?))
}

#[cfg(not(target_os = "linux"))]
fn find(_: SocketAddr, _: SocketAddr, _: &[u32]) -> Option<(u32, Program)> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_own_connection_is_this_test_programs() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(here).await.unwrap();
        let (_accepted, peer) = listener.accept().await.unwrap();
        let programs = Programs::default();
        let found = programs.of(peer, here).await.unwrap();
        assert!(found.name.starts_with("seacat_proxy"), "{found:?}");
        assert_eq!(found.runs, None);
        drop(client);
        assert_eq!(programs.of(peer, here).await, None, "its socket is closed");
    }

    #[test]
    fn it_is_looked_at_while_a_guard_lives() {
        let programs = Programs::default();
        assert!(!programs.is_looked_at());
        let looking = (programs.look(), programs.look());
        drop(looking.0);
        assert!(programs.is_looked_at());
        drop(looking.1);
        assert!(!programs.is_looked_at());
    }

    #[test]
    fn the_latest_processes_are_asked_first() {
        let mut turn = Turn::default();
        for process in [1, 2, 3, 2, 4, 5, 6, 7, 8, 9, 10] {
            turn.remember(process);
        }
        assert_eq!(turn.recent, [10, 9, 8, 7, 6, 5, 4, 2]);
    }
}
