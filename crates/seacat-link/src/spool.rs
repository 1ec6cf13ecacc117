//! The unnamed temporary file in which bytes of one stream wait.
//!
//! ```text
//!   push ─► tail ─write job─► file ─read job─► fetched ─► pop
//! ```
//!
//! The disk is accessed by jobs outside the runtime's threads, one at a time, so order is preserved
//! and no other stream waits for the disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::task::{Context, Poll, ready};

use seacat_proto::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::budget::Permit;

/// Bytes written or read by one job: four frames. A job costs some tens of microseconds.
const CHUNK: usize = 64 * 1024;

/// Bytes that may wait for a job to start. A connection that delivers faster than the disk writes
/// is not read meanwhile.
const MOST: usize = 2 * CHUNK;

/// Memory of one spool: what waits, what a job has in hand, and what was fetched.
pub(crate) const MEMORY: u64 = (MOST + 2 * CHUNK) as u64;

/// Bytes of one stream, in order: those fetched, those in the file, those behind.
#[derive(Debug)]
pub(crate) struct Spool {
    /// The file between two jobs; the first one creates it.
    file: Option<File>,
    read: u64,
    written: u64,
    fetched: Option<Bytes>,
    tail: Vec<u8>,
    job: Option<JoinHandle<io::Result<(File, Done)>>>,
    #[expect(dead_code, reason = "held, so that the descriptor is counted")]
    descriptor: Permit,
}

/// What a job has done.
#[derive(Debug)]
enum Done {
    Written(u64),
    Read(Vec<u8>),
}

impl Spool {
    pub(crate) fn new(descriptor: Permit) -> Self {
        let tail = Vec::with_capacity(CHUNK);
        let (file, fetched, job) = (None, None, None);
        Self { file, read: 0, written: 0, fetched, tail, job, descriptor }
    }

    /// Adds bytes at the end.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.write();
    }

    /// Whether too much waits for the disk.
    pub(crate) fn is_behind(&self) -> bool {
        self.tail.len() > MOST
    }

    /// Ready when it is not behind any more.
    pub(crate) fn poll_caught_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_behind() {
            self.write();
            ready!(self.poll_job(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready with bytes from the front, `None` when there are none left.
    pub(crate) fn poll_pop(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            if let Some(bytes) = self.fetched.take() {
                return Poll::Ready(Ok(Some(bytes)));
            }
            if self.job.is_some() {
                ready!(self.poll_job(cx))?;
                continue;
            }
            if self.read == self.written {
                // The file is empty: the bytes that wait for it are returned directly.
                let tail = std::mem::take(&mut self.tail);
                return Poll::Ready(Ok((!tail.is_empty()).then(|| tail.into())));
            }
            self.fetch();
        }
    }

    /// Waits for the job that is running, if there is one.
    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(job) = &mut self.job else {
            return Poll::Ready(Ok(()));
        };
        let done = ready!(std::pin::Pin::new(job).poll(cx));
        self.job = None;
        // A job that ends in another way was cancelled with the runtime.
        let (file, done) = done.map_err(io::Error::other)??;
        self.file = Some(file);
        match done {
            Done::Written(length) => self.written += length,
            Done::Read(bytes) => {
                self.read += bytes.len() as u64;
                self.fetched = Some(bytes.into());
            }
        }
        self.write();
        Poll::Ready(Ok(()))
    }

    /// Begins to write what waits, if it is worth a job and none is running.
    fn write(&mut self) {
        if self.job.is_some() || self.tail.len() < CHUNK {
            return;
        }
        let bytes = std::mem::replace(&mut self.tail, Vec::with_capacity(CHUNK));
        let (file, at) = (self.file.take(), self.written);
        self.job = Some(spawn_blocking(move || {
            let mut file = file.map_or_else(tempfile::tempfile, Ok)?;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes)?;
            Ok((file, Done::Written(bytes.len() as u64)))
        }));
    }

    /// Begins to read back. Called only when no job is running and the file holds something.
    fn fetch(&mut self) {
        let Some(mut file) = self.file.take() else {
            return;
        };
        let (at, length) = (self.read, (self.written - self.read).min(CHUNK as u64));
        self.job = Some(spawn_blocking(move || {
            let mut bytes = vec![0; length as usize];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut bytes)?;
            Ok((file, Done::Read(bytes)))
        }));
    }
}
