//! What waits for the reader of one stream: in memory first, then in a file without a name.
//!
//! Two ends that keep windows never need the file. A gateway of the reference era sends
//! without asking (wire spec 4), and the socket must be read on for everybody else: then the
//! file takes what a slow reader has not taken.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use seacat_proto::{Bytes, Pieces};

/// Bytes of one stream kept in memory: the largest window, so that a stream that has one
/// stays out of the file.
const STREAM_MEMORY: usize = 4 * 1024 * 1024;

/// Bytes of all streams of a connection kept in memory. Beyond it every stream uses its file.
const TOTAL_MEMORY: usize = 64 * 1024 * 1024;

/// Bytes of one stream kept in its file: more is a reader that will not come back.
const STREAM_DISK: u64 = 1024 * 1024 * 1024;

/// Bytes of all streams of a connection kept in files.
const TOTAL_DISK: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes read back at once: four frames.
const READ_BACK: u64 = 64 * 1024;

/// What all inboxes of a connection hold.
#[derive(Debug, Default)]
pub(crate) struct Held {
    memory: usize,
    disk: u64,
}

/// The bytes of one stream that wait for its reader, in order: memory before file.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    memory: Pieces,
    memory_bytes: usize,
    spool: Option<Spool>,
}

#[derive(Debug)]
struct Spool {
    file: File,
    read: u64,
    written: u64,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spool.is_none()
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// The file is full, or its disk is, or it cannot be written: this stream must be given up.
    pub(crate) fn push(&mut self, bytes: Bytes, held: &mut Held) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len();
        let fits =
            self.memory_bytes + length <= STREAM_MEMORY && held.memory + length <= TOTAL_MEMORY;
        if self.spool.is_none() && fits {
            self.memory_bytes += length;
            held.memory += length;
            self.memory.push(bytes);
            return Ok(());
        }
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool { file: tempfile::tempfile()?, read: 0, written: 0 }),
        };
        let length = length as u64;
        if spool.written - spool.read + length > STREAM_DISK || held.disk + length > TOTAL_DISK {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        spool.file.seek(SeekFrom::Start(spool.written))?;
        spool.file.write_all(&bytes)?;
        spool.written += length;
        held.disk += length;
        Ok(())
    }

    /// Takes bytes from the front; `None` when nothing waits.
    ///
    /// # Errors
    /// The file cannot be read back.
    pub(crate) fn pop(&mut self, held: &mut Held) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.memory.pop() {
            self.memory_bytes -= bytes.len();
            held.memory -= bytes.len();
            return Ok(Some(bytes));
        }
        let Some(spool) = &mut self.spool else {
            return Ok(None);
        };
        let length = (spool.written - spool.read).min(READ_BACK);
        let mut bytes = vec![0; length as usize];
        spool.file.seek(SeekFrom::Start(spool.read))?;
        spool.file.read_exact(&mut bytes)?;
        spool.read += length;
        held.disk -= length;
        if spool.read == spool.written {
            self.spool = None;
        }
        Ok(Some(bytes.into()))
    }

    /// Throws everything away.
    pub(crate) fn clear(&mut self, held: &mut Held) {
        held.memory -= self.memory_bytes;
        held.disk -= self.spool.as_ref().map_or(0, |spool| spool.written - spool.read);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: usize) -> Bytes {
        Bytes::from(vec![(number % 251) as u8; 16_376])
    }

    #[test]
    fn bytes_come_back_in_order_through_the_file() {
        let mut held = Held::default();
        let mut inbox = Inbox::default();
        let pieces = 1000; // 16 MB, four times what memory takes
        for number in 0..pieces {
            inbox.push(piece(number), &mut held).unwrap();
        }
        assert!(held.memory <= STREAM_MEMORY && held.disk > 0);
        let mut all = Vec::new();
        let mut late = pieces;
        while let Some(bytes) = inbox.pop(&mut held).unwrap() {
            all.extend_from_slice(&bytes);
            // More comes while the reader reads.
            if late < pieces + 100 {
                inbox.push(piece(late), &mut held).unwrap();
                late += 1;
            }
        }
        let expected: Vec<u8> = (0..late).flat_map(piece).collect();
        assert!(all == expected);
        assert!(inbox.is_empty());
        assert_eq!((held.memory, held.disk), (0, 0));
    }

    #[test]
    fn the_account_is_right_after_throwing_away() {
        let mut held = Held::default();
        let mut inbox = Inbox::default();
        for number in 0..500 {
            inbox.push(piece(number), &mut held).unwrap();
        }
        inbox.pop(&mut held).unwrap();
        inbox.clear(&mut held);
        assert_eq!((held.memory, held.disk), (0, 0));
    }

    #[test]
    fn a_reader_that_never_comes_has_a_limit() {
        let mut held = Held { memory: TOTAL_MEMORY, disk: TOTAL_DISK - 20_000 };
        let mut inbox = Inbox::default();
        inbox.push(piece(0), &mut held).unwrap();
        let error = inbox.push(piece(1), &mut held).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
    }
}
