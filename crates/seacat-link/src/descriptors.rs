//! File descriptors: the limit, and what accept loops do when it is reached.

use std::io;
use std::time::Duration;

use crate::Throttle;

/// Descriptors that are not available to peers: listeners, the control socket, the connection to
/// the gateway and its DNS queries, key stores, logs and state.
const RESERVE: u64 = 64;

/// Where the system has no such limit (Windows): the number of ports.
#[cfg(not(unix))]
const UNLIMITED: u64 = 65_536;

/// Raises the process's limit on open descriptors as far as the system allows. The soft limit of 1 024
/// that shells and systemd set is for programs that use `select`; ours do not.
///
/// # Errors
/// The system's error. The program can continue with the current limit.
#[cfg(unix)]
pub fn raise_limit() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// There is no such limit here.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn raise_limit() -> io::Result<()> {
    Ok(())
}

/// How many descriptors may be used for peers.
#[must_use]
pub fn for_peers() -> u64 {
    let limit = limit();
    limit - RESERVE.min(limit / 2)
}

#[cfg(unix)]
fn limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // No limit: descriptors are 32-bit numbers.
    limit.unwrap_or(u64::from(u32::MAX))
}

#[cfg(not(unix))]
fn limit() -> u64 {
    UNLIMITED
}

/// What an accept loop does when it cannot accept: the same in every loop.
#[derive(Debug)]
pub struct AcceptErrors {
    what: &'static str,
    rest: Duration,
}

static LOG: Throttle = Throttle::new();

impl AcceptErrors {
    const FIRST_REST: Duration = Duration::from_millis(10);
    const LONGEST_REST: Duration = Duration::from_secs(1);

    /// For a loop that accepts at `what`, as the log calls it.
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self { what, rest: Self::FIRST_REST }
    }

    /// A connection was accepted.
    pub fn accepted(&mut self) {
        self.rest = Self::FIRST_REST;
    }

    /// Waits until accepting is worth another attempt. An error of one connection is none of the
    /// loop's. When the system is short of something, `spare_one` may end a connection that can be
    /// spared, and says whether there was one; else the loop rests, longer each time.
    pub async fn failed(&mut self, error: &io::Error, spare_one: impl FnOnce() -> bool) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        let what = self.what;
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
        ) {
            tracing::debug!(what, %error, "a connection was closed before it was accepted");
            return;
        }
        let room = spare_one();
        if let Some(more) = LOG.pass() {
            tracing::warn!(what, %error, more, room, "no connection can be accepted now");
        }
        tokio::time::sleep(if room { Self::FIRST_REST } else { self.rest }).await;
        self.rest = Self::LONGEST_REST.min(self.rest * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn it_waits_longer_each_time_unless_a_connection_was_closed() {
        let mut errors = AcceptErrors::new("a test");
        let full = io::Error::from(io::ErrorKind::OutOfMemory);
        let start = Instant::now();
        let mut rests = Vec::new();
        for room in [false, false, false, true, false] {
            let before = start.elapsed();
            errors.failed(&full, || room).await;
            rests.push((start.elapsed() - before).as_millis());
        }
        assert_eq!(rests, [10, 20, 40, 10, 160]);
        errors.failed(&io::ErrorKind::ConnectionReset.into(), || unreachable!()).await;
        errors.accepted();
        let before = start.elapsed();
        errors.failed(&full, || false).await;
        assert_eq!((start.elapsed() - before).as_millis(), 10);
    }

    #[test]
    #[cfg(unix)]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        raise_limit().unwrap();
        let peers = for_peers();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(limit.current.is_none_or(|limit| peers < limit));
    }
}
