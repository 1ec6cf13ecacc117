//! The order of output.
//!
//! Control frames (heads, RST_STREAM, PING, …) are sent first, in their order. Bodies follow by
//! priority, 0 first. Among equals, fresh bodies precede bulk, and each kind is served round-robin,
//! one frame at a time, so that a small response never waits behind a large one.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::frame::HEADER;
use crate::{Priority, StreamId};

/// The longest fixed part of a frame: header and SYN_STREAM's ten bytes.
const MAX_FIXED: usize = HEADER + 10;

/// One frame, ready for the wire: write [`Transmit::parts`] one after the other, as one
/// TLS record (wire spec 0).
#[derive(Clone, Debug)]
pub struct Transmit {
    /// The stream it belongs to, if any.
    pub stream: Option<StreamId>,
    fixed: [u8; MAX_FIXED],
    fixed_len: u8,
    rest: Bytes,
}

impl Transmit {
    pub(crate) fn new(stream: Option<StreamId>, fixed: &[u8], rest: Bytes) -> Self {
        let mut buffer = [0; MAX_FIXED];
        buffer[..fixed.len()].copy_from_slice(fixed);
        Self { stream, fixed: buffer, fixed_len: fixed.len() as u8, rest }
    }

    /// The frame in two parts; the second may be empty.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.fixed[..usize::from(self.fixed_len)], &self.rest]
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.fixed_len) + self.rest.len()
    }

    /// Memory that it uses while it is queued.
    fn size(&self) -> usize {
        size_of::<Self>() + self.rest.len()
    }

    /// A frame is never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The frame as one byte vector, for tests and tools.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// Turns of fresh bodies in a row while bulk waits: bulk gets at least a ninth of the bandwidth.
const FRESH_TURNS: u8 = 8;

/// The order of writing.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    control: VecDeque<Transmit>,
    /// Memory in use for `control`.
    control_size: usize,
    rings: [Ring; Priority::COUNT],
}

/// The streams of one priority that wait for their turn.
#[derive(Debug, Default)]
struct Ring {
    fresh: VecDeque<StreamId>,
    bulk: VecDeque<StreamId>,
    /// Turns of fresh ones since the last of bulk.
    fresh_turns: u8,
}

impl Ring {
    fn pop(&mut self) -> Option<StreamId> {
        if (self.fresh_turns < FRESH_TURNS || self.bulk.is_empty())
            && let Some(id) = self.fresh.pop_front()
        {
            self.fresh_turns = (self.fresh_turns + 1).min(FRESH_TURNS);
            return Some(id);
        }
        self.fresh_turns = 0;
        self.bulk.pop_front()
    }
}

impl Outbox {
    pub(crate) fn push_control(&mut self, frame: Transmit) {
        self.control_size += frame.size();
        self.control.push_back(frame);
    }

    /// Memory in use for control frames.
    pub(crate) fn control_size(&self) -> usize {
        self.control_size
    }

    /// Queued control frames.
    pub(crate) fn control_len(&self) -> usize {
        self.control.len()
    }

    pub(crate) fn pop_control(&mut self) -> Option<Transmit> {
        let frame = self.control.pop_front()?;
        self.control_size -= frame.size();
        Some(frame)
    }

    /// Appends a stream to its ring. It must not be in the ring already.
    pub(crate) fn push_turn(&mut self, id: StreamId, priority: Priority, fresh: bool) {
        let ring = &mut self.rings[priority.index()];
        if fresh { ring.fresh.push_back(id) } else { ring.bulk.push_back(id) }
    }

    /// The stream whose turn it is.
    pub(crate) fn pop_turn(&mut self) -> Option<StreamId> {
        self.rings.iter_mut().find_map(Ring::pop)
    }

    /// Removes everything queued for one stream, so that streams that are opened and reset while
    /// the socket is full leave nothing behind. Returns whether a head was removed.
    pub(crate) fn forget(&mut self, id: StreamId, priority: Priority, in_ring: bool) -> bool {
        if in_ring {
            let ring = &mut self.rings[priority.index()];
            ring.fresh.retain(|&other| other != id);
            ring.bulk.retain(|&other| other != id);
        }
        let before = self.control.len();
        let size = &mut self.control_size;
        self.control.retain(|frame| {
            let stays = frame.stream != Some(id);
            *size -= if stays { 0 } else { frame.size() };
            stays
        });
        self.control.len() < before
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.rings.iter().all(|ring| ring.fresh.is_empty() && ring.bulk.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_first_and_a_ring_among_equals() {
        let id = |n| StreamId::new(n).unwrap();
        let [urgent, normal] = [0, 3].map(|p| Priority::new(p).unwrap());
        let mut outbox = Outbox::default();
        outbox.push_turn(id(1), normal, true);
        outbox.push_turn(id(3), normal, true);
        outbox.push_turn(id(5), urgent, true);
        let mut order = Vec::new();
        for _ in 0..5 {
            let turn = outbox.pop_turn().unwrap();
            order.push(turn.get());
            if turn.get() != 5 {
                outbox.push_turn(turn, normal, true);
            }
        }
        assert_eq!(order, [5, 1, 3, 1, 3]);
        outbox.forget(id(1), normal, true);
        outbox.forget(id(3), normal, true);
        assert!(outbox.is_empty());
    }

    #[test]
    fn fresh_before_bulk_but_not_for_ever() {
        let id = |n| StreamId::new(n).unwrap();
        let mut outbox = Outbox::default();
        outbox.push_turn(id(1), Priority::DEFAULT, false);
        outbox.push_turn(id(3), Priority::DEFAULT, true);
        let mut order = Vec::new();
        for _ in 0..usize::from(FRESH_TURNS) + 2 {
            let turn = outbox.pop_turn().unwrap();
            order.push(turn.get());
            outbox.push_turn(turn, Priority::DEFAULT, turn.get() == 3);
        }
        assert_eq!(order, [3, 3, 3, 3, 3, 3, 3, 3, 1, 3]);
    }
}
