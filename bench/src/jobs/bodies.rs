//! Large bodies: repeated, single, and with readers that stall.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{GET_READY, ready, within};
use crate::http::{Connection, Target};
use crate::load::{Moved, Resumed};
use crate::pattern::Pattern;

/// Read buffer of a fast reader, in bytes.
const BUFFER: usize = 256 * 1024;
/// Bytes that a reader takes before it stalls, and its kernel's receive buffer.
const BEFORE_STALL: usize = 64 * 1024;
/// The size of a body in a flood, in bytes.
const FLOOD: u64 = 1 << 30;

/// Repeated downloads for a time; returns the bytes transferred.
pub(super) async fn flood(
    target: &Target,
    clients: usize,
    warm_up: Duration,
    seconds: f64,
) -> io::Result<Moved> {
    let moved = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(download_on_and_on(target.clone(), Arc::clone(&moved)));
    }
    let window = async {
        sleep(warm_up).await;
        let before = moved.load(Ordering::Relaxed);
        let began = Instant::now();
        ready();
        sleep(Duration::from_secs_f64(seconds)).await;
        Moved {
            bytes: moved.load(Ordering::Relaxed) - before,
            seconds: began.elapsed().as_secs_f64(),
        }
    };
    tokio::select! {
        Some(ended) = tasks.join_next() => Err(ended.unwrap_or_else(io::Error::other)),
        moved = window => Ok(moved),
    }
}

/// Ends only with an error.
async fn download_on_and_on(target: Target, moved: Arc<AtomicU64>) -> io::Error {
    let request = target.request("GET", &format!("/{FLOOD}"), true, None);
    let endless = async {
        let mut connection = Connection::open(target.address, BUFFER, None).await?;
        loop {
            connection.send(&request).await?;
            let count = |piece: &[u8]| {
                moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
            };
            connection.receive(count).await?;
        }
    };
    let ended: io::Result<std::convert::Infallible> = endless.await;
    match ended {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// One body down.
pub(super) async fn download(target: &Target, bytes: u64) -> io::Result<Moved> {
    let mut connection = Connection::open(target.address, BUFFER, None).await?;
    ready();
    let began = Instant::now();
    let request = target.request("GET", &format!("/{bytes}"), true, None);
    connection.send(&request).await?;
    let got = connection.receive(|_| ()).await?;
    moved(bytes, got, began)
}

/// One body up; the origin reports how much arrived.
pub(super) async fn upload(target: &Target, bytes: u64) -> io::Result<Moved> {
    let pattern = Pattern::new();
    let mut connection = Connection::open(target.address, BUFFER, None).await?;
    ready();
    let began = Instant::now();
    let request = target.request("POST", "/up", true, Some(bytes));
    connection.send(&request).await?;
    let mut sent = 0;
    while sent < bytes {
        let next = pattern.next(sent, bytes - sent);
        connection.send(next).await?;
        sent += next.len() as u64;
    }
    let mut count = Vec::new();
    connection.receive(|piece| count.extend_from_slice(piece)).await?;
    let count = String::from_utf8_lossy(&count).parse().unwrap_or(0);
    moved(bytes, count, began)
}

fn moved(wanted: u64, got: u64, began: Instant) -> io::Result<Moved> {
    if got != wanted {
        return Err(io::Error::other(format!("{got} bytes of {wanted} arrived")));
    }
    Ok(Moved { bytes: got, seconds: began.elapsed().as_secs_f64() })
}

/// A stalled reader: it has read the head and no more of the body than its buffer.
#[derive(Debug)]
pub(super) struct Stopped {
    connection: Connection,
    left: u64,
}

/// Starts downloads and stops reading each after its first bytes.
pub(super) async fn begin_and_stop(
    target: &Target,
    clients: usize,
    bytes: u64,
) -> io::Result<Vec<Stopped>> {
    let begin = async {
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let target = target.clone();
            tasks.spawn(async move {
                let request = target.request("GET", &format!("/{bytes}"), true, None);
                let receive = u32::try_from(BEFORE_STALL).ok();
                let mut connection =
                    Connection::open(target.address, BEFORE_STALL, receive).await?;
                connection.send(&request).await?;
                let left = connection.begin().await?;
                Ok(Stopped { connection, left })
            });
        }
        tasks.join_all().await.into_iter().collect()
    };
    within(GET_READY, "beginning the downloads", begin).await
}

/// Continues all readers and compares every byte.
pub(super) async fn resume(readers: Vec<Stopped>) -> Resumed {
    let began = Instant::now();
    let pattern = Arc::new(Pattern::new());
    let mut tasks = JoinSet::new();
    for reader in readers {
        tasks.spawn(read_on(reader, Arc::clone(&pattern)));
    }
    let mut resumed = Resumed { whole: 0, last_error: None, seconds: 0.0 };
    while let Some(ended) = tasks.join_next().await {
        match ended.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => resumed.whole += 1,
            Err(error) => resumed.last_error = Some(error.to_string()),
        }
    }
    resumed.seconds = began.elapsed().as_secs_f64();
    resumed
}

async fn read_on(mut reader: Stopped, pattern: Arc<Pattern>) -> io::Result<()> {
    let (mut offset, mut right) = (0, true);
    let compare = |piece: &[u8]| {
        right = right && pattern.matches(offset, piece);
        offset += piece.len() as u64;
    };
    reader.connection.rest(reader.left, compare).await?;
    if right { Ok(()) } else { Err(io::Error::other("bytes that do not belong there")) }
}
