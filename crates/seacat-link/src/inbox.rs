//! Received bytes that wait for the reader of one stream: in memory first, then in an unnamed file.
//!
//! With flow control the file is never needed. A reference-era gateway has none (wire spec 4), and
//! the socket must be read on for the other streams: then the file holds what a slow reader has not
//! taken.

use std::io;
use std::task::{Context, Poll, ready};

use seacat_proto::{Backlog, Bytes};

use crate::budget::{Holding, Resource, Share};
use crate::spool::{self, Spool};

/// Memory of one stream: the largest window, so that a stream with flow control needs no file.
const STREAM_MEMORY: usize = 4 * 1024 * 1024;

/// Memory of all streams of a connection. Beyond it every stream uses its file.
const CONNECTION_MEMORY: u64 = 64 * 1024 * 1024;

/// Bytes of one stream in its file: a reader that is further behind has most likely stopped.
const STREAM_DISK: u64 = 1024 * 1024 * 1024;

/// What a connection uses of the process's account.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) memory: Holding,
    disk: Holding,
    pub(crate) share: Share,
}

/// The bytes of one stream that wait for its reader, in order: memory before file.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    memory: Backlog,
    spool: Option<Spool>,
    /// Bytes in the spool.
    spooled: u64,
}

impl Held {
    pub(crate) fn new(share: Share) -> Self {
        Self {
            memory: Holding::new(share.clone(), Resource::Memory),
            disk: Holding::new(share.clone(), Resource::Spool),
            share,
        }
    }
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spool.is_none()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.bytes() as u64 + self.spooled
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Returns the bytes when there is space neither in memory nor in a file.
    pub(crate) fn push(&mut self, bytes: Bytes, held: &mut Held) -> Result<(), Bytes> {
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        if let Some(spool) = &mut self.spool {
            if self.spooled + length > STREAM_DISK || !held.disk.try_add(length) {
                return Err(bytes);
            }
            self.spooled += length;
            spool.push(&bytes);
            return Ok(());
        }
        let fits = self.memory.kept() + bytes.len() <= STREAM_MEMORY
            && held.memory.used() + length <= CONNECTION_MEMORY
            && held.memory.try_add(length);
        if fits {
            let before = self.memory.kept() as u64 + length;
            self.memory.push(bytes);
            held.memory.replace(before, self.memory.kept() as u64);
            return Ok(());
        }
        let Some(descriptor) = held.share.permit(Resource::Descriptors, 1) else {
            return Err(bytes);
        };
        if !held.memory.try_add(spool::MEMORY) {
            return Err(bytes);
        }
        self.spool = Some(Spool::new(descriptor));
        self.push(bytes, held)
    }

    /// Ready with bytes from the front; `None` when nothing waits.
    pub(crate) fn poll_pop(
        &mut self,
        cx: &mut Context<'_>,
        held: &mut Held,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let before = self.memory.kept() as u64;
        if let Some(bytes) = self.memory.pop(usize::MAX) {
            held.memory.replace(before, self.memory.kept() as u64);
            return Poll::Ready(Ok(Some(bytes)));
        }
        let Some(spool) = &mut self.spool else {
            return Poll::Ready(Ok(None));
        };
        let bytes = ready!(spool.poll_pop(cx))?;
        let length = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        self.spooled -= length;
        held.disk.sub(length);
        if self.spooled == 0 {
            self.spool = None;
            held.memory.sub(spool::MEMORY);
        }
        Poll::Ready(Ok(bytes))
    }

    /// Whether too much waits for the disk.
    pub(crate) fn is_behind(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::is_behind)
    }

    /// Ready when the disk has caught up.
    pub(crate) fn poll_caught_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.spool.as_mut().map_or(Poll::Ready(Ok(())), |spool| spool.poll_caught_up(cx))
    }

    /// Discards everything.
    pub(crate) fn clear(&mut self, held: &mut Held) {
        held.memory.sub(self.memory.kept() as u64);
        held.disk.sub(self.spooled);
        if self.spool.is_some() {
            held.memory.sub(spool::MEMORY);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{BudgetLimits, Division};
    use std::future::poll_fn;

    const MIB: u64 = 1024 * 1024;

    fn held(memory: u64, spool: u64, descriptors: u64) -> Held {
        let (connections, division) = (1, Division::OnePeer);
        let limits = BudgetLimits { memory, spool, descriptors, connections, division };
        Held::new(Share::alone(&limits))
    }

    fn account(held: &Held) -> [u64; 3] {
        [held.memory.used(), held.disk.used(), held.share.used(Resource::Descriptors)]
    }

    fn piece(number: usize) -> Bytes {
        Bytes::from(vec![(number % 251) as u8; 16_376])
    }

    async fn pop(inbox: &mut Inbox, held: &mut Held) -> Option<Bytes> {
        poll_fn(|cx| inbox.poll_pop(cx, held)).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_come_back_in_order_through_the_file() {
        let mut held = held(64 * MIB, 64 * MIB, 1);
        let mut inbox = Inbox::default();
        let pieces = 1000; // 16 MB, four times what memory takes
        for number in 0..pieces {
            inbox.push(piece(number), &mut held).unwrap();
            poll_fn(|cx| inbox.poll_caught_up(cx)).await.unwrap();
        }
        let [memory, disk, descriptors] = account(&held);
        assert!(memory <= 5 * MIB && disk >= 11 * MIB && descriptors == 1, "{memory} {disk}");
        let mut all = Vec::new();
        let mut late = pieces;
        while let Some(bytes) = pop(&mut inbox, &mut held).await {
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
        assert_eq!(account(&held), [0; 3]);
    }

    /// Bytes one by one, as a peer may send them: in memory, and in the file.
    #[tokio::test]
    async fn the_account_holds_what_is_kept_of_single_bytes() {
        let mut held = held(64 * MIB, 64 * MIB, 1);
        let mut inbox = Inbox::default();
        for _ in 0..6 * MIB {
            inbox.push(Bytes::from_static(b"z"), &mut held).unwrap();
            if inbox.is_behind() {
                poll_fn(|cx| inbox.poll_caught_up(cx)).await.unwrap();
            }
        }
        let [memory, disk, _] = account(&held);
        assert!(memory <= 4 * MIB + MIB / 2, "{memory}");
        assert!(disk >= MIB && memory + disk >= 6 * MIB, "{disk}");
        let mut length = 0;
        let mut pieces = 0;
        while let Some(bytes) = pop(&mut inbox, &mut held).await {
            length += bytes.len() as u64;
            pieces += 1;
        }
        assert_eq!(length, 6 * MIB);
        assert!(pieces < 1000, "{pieces} pieces");
    }

    #[tokio::test]
    async fn the_account_is_right_after_throwing_away() {
        let mut held = held(64 * MIB, 64 * MIB, 1);
        let mut inbox = Inbox::default();
        for number in 0..500 {
            inbox.push(piece(number), &mut held).unwrap();
        }
        pop(&mut inbox, &mut held).await;
        inbox.clear(&mut held);
        assert_eq!(account(&held), [0; 3]);
    }

    #[tokio::test]
    async fn a_reader_that_never_reads_has_a_limit() {
        for (memory, spool, descriptors) in
            [(64 * MIB, MIB, 1), (64 * MIB, 64 * MIB, 0), (MIB, 64 * MIB, 1)]
        {
            let mut held = held(memory, spool, descriptors);
            let mut inbox = Inbox::default();
            let refused = (0..1000).find(|number| inbox.push(piece(*number), &mut held).is_err());
            assert!(refused.is_some_and(|number| number > 32), "{memory} {spool}: {refused:?}");
        }
    }
}
