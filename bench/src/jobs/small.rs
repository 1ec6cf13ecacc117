//! Small requests: timed closed loops, and clients that send one request and stay connected.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{GET_READY, ready, within};
use crate::http::{Connection, Target};
use crate::load::{Served, WARM_MS};

/// Pause after a failure, so that a peer that refuses is not flooded.
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// Read buffer, in bytes: the response with any head a peer sends.
const BUFFER: usize = 8 * 1024;
/// How many clients connect concurrently: less than any peer's backlog.
const AT_A_TIME: usize = 50;

/// The settings shared by the clients of one job.
#[derive(Clone, Debug)]
pub(super) struct Client {
    address: SocketAddr,
    request: Vec<u8>,
    keep_alive: bool,
    think: Duration,
}

impl Client {
    pub(super) fn new(target: &Target, keep_alive: bool, think: Duration) -> Self {
        Self {
            address: target.address,
            request: target.request("GET", "/k", keep_alive, None),
            keep_alive,
            think,
        }
    }

    /// One request, on the open connection or on a new one.
    async fn ask(&self, kept: Option<Connection>) -> io::Result<Connection> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.address, BUFFER, None).await?,
        };
        connection.send(&self.request).await?;
        connection.receive(|_| ()).await?;
        Ok(connection)
    }

    /// Takes the connection that has waited longest, sends a request on it, and puts it back. Ends
    /// when there is none or it is dropped.
    async fn go_on(self, open: Open, tally: Shared) {
        let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(connection) = lock().pop_front() else {
                return;
            };
            let began = Instant::now();
            match self.ask(Some(connection)).await {
                Ok(connection) => {
                    tally.lock().times.push(began.elapsed());
                    lock().push_back(connection);
                }
                Err(error) => tally.lock().failed(&error),
            }
        }
    }

    /// A closed loop; it ends when it is dropped.
    async fn ask_and_ask(self, tally: Shared) {
        let mut kept = None;
        loop {
            let began = Instant::now();
            match self.ask(kept.take()).await {
                Ok(connection) => {
                    tally.lock().times.push(began.elapsed());
                    kept = self.keep_alive.then_some(connection);
                }
                Err(error) => {
                    tally.lock().failed(&error);
                    sleep(AFTER_ERROR).await;
                }
            }
            if !self.think.is_zero() {
                sleep(self.think).await;
            }
        }
    }
}

type Open = Arc<Mutex<VecDeque<Connection>>>;

/// Counts since the measurement began.
#[derive(Debug, Default)]
struct Tally {
    /// One for each response.
    times: Vec<Duration>,
    errors: u64,
    last_error: Option<String>,
}

impl Tally {
    fn failed(&mut self, error: &io::Error) {
        self.errors += 1;
        self.last_error = Some(error.to_string());
    }

    fn since(mut self, began: Instant) -> Served {
        self.times.sort_unstable();
        Served {
            requests: self.times.len() as u64,
            errors: self.errors,
            last_error: self.last_error,
            seconds: began.elapsed().as_secs_f64(),
            p50_ms: percentile(&self.times, 50),
            p99_ms: percentile(&self.times, 99),
            worst_ms: percentile(&self.times, 100),
        }
    }
}

/// There is one thread, so the lock is never contended.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Tally>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Tally {
        std::mem::take(&mut *self.lock())
    }
}

/// Runs `clients` closed loops and measures them for a time.
pub(super) async fn served(
    client: &Client,
    clients: usize,
    warm_up: Duration,
    seconds: f64,
) -> Served {
    let tally = Shared::default();
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(client.clone().ask_and_ask(tally.clone()));
    }
    sleep(warm_up).await;
    drop(tally.take());
    let began = Instant::now();
    ready();
    sleep(Duration::from_secs_f64(seconds)).await;
    tally.take().since(began)
}

/// Distributes `requests` among `at_once` clients, each request on a connection of its own.
pub(super) async fn burst(client: &Client, requests: usize, at_once: usize) -> Served {
    let tally = Shared::default();
    let left = Arc::new(AtomicUsize::new(requests));
    let mut tasks = JoinSet::new();
    ready();
    let began = Instant::now();
    for _ in 0..at_once {
        let (client, tally, left) = (client.clone(), tally.clone(), Arc::clone(&left));
        let one_less = |n: usize| n.checked_sub(1);
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                let asked = Instant::now();
                match client.ask(None).await {
                    Ok(_) => tally.lock().times.push(asked.elapsed()),
                    Err(error) => tally.lock().failed(&error),
                }
            }
        });
    }
    tasks.join_all().await;
    tally.take().since(began)
}

/// Sends requests on the connections in rotation, `at_once` concurrently, and measures them for a
/// time.
pub(super) async fn go_round(
    client: &Client,
    open: Vec<Connection>,
    at_once: usize,
    seconds: f64,
) -> Served {
    let (tally, open) = (Shared::default(), Arc::new(Mutex::new(VecDeque::from(open))));
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        tasks.spawn(client.clone().go_on(Arc::clone(&open), tally.clone()));
    }
    sleep(Duration::from_millis(WARM_MS)).await;
    drop(tally.take());
    let began = Instant::now();
    ready();
    sleep(Duration::from_secs_f64(seconds)).await;
    tally.take().since(began)
}

/// The smallest time that `percent` of all do not exceed, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let nth = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    Some(sorted.get(nth)?.as_secs_f64() * 1e3)
}

/// Connects clients that send one request each; they stay connected until the result is dropped.
pub(super) async fn ask_once(target: &Target, clients: usize) -> io::Result<Vec<Connection>> {
    let client = Client::new(target, true, Duration::ZERO);
    let connect = async {
        let mut open = Vec::with_capacity(clients);
        while open.len() < clients {
            let mut some = JoinSet::new();
            for _ in 0..AT_A_TIME.min(clients - open.len()) {
                let client = client.clone();
                some.spawn(async move { client.ask(None).await });
            }
            for connection in some.join_all().await {
                open.push(connection?);
            }
        }
        Ok(open)
    };
    within(GET_READY, "connecting the clients", connect).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(100.0));
        assert_eq!(percentile(&times, 99), Some(198.0));
        assert_eq!(percentile(&times, 100), Some(200.0));
        assert_eq!(percentile(&times[..1], 99), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
