//! Queued bytes of one body, with little memory overhead.

use bytes::Bytes;

use crate::frame::MAX_PAYLOAD;
use crate::pieces::Pieces;

/// Pieces below this size are copied into a common buffer. A piece of its own costs [`OVERHEAD`],
/// so one that is not copied costs at most a tenth more than its bytes.
const SMALL: usize = 1024;

/// Small pieces are joined up to this size: one full frame.
const JOINED: usize = MAX_PAYLOAD;

/// What a piece costs beside its bytes: its entry in a queue that may have grown to twice its
/// need, the reference count, and the allocator's rounding.
const OVERHEAD: usize = 96;

/// A queue of bytes that counts the memory it uses, not only its bytes. A peer chooses its frame
/// sizes; one byte per frame must not cost 40 bytes per byte.
#[derive(Debug, Default)]
pub struct Backlog {
    pieces: Pieces,
    /// Small pieces behind `pieces`, joined.
    tail: Vec<u8>,
    bytes: usize,
    /// Bytes already taken of the first piece, whose memory stays in use as a whole.
    taken: usize,
}

impl Backlog {
    /// Adds bytes at the end.
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let alone = self.bytes == 0;
        self.bytes += piece.len();
        if !alone && piece.len() < SMALL {
            if self.tail.len() + piece.len() > JOINED {
                self.close_tail();
            }
            self.tail.extend_from_slice(&piece);
        } else {
            self.close_tail();
            self.pieces.push(piece);
        }
    }

    /// Takes at most `limit` bytes from the front.
    pub fn pop(&mut self, limit: usize) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.close_tail();
        }
        let piece = match self.pieces.first_mut() {
            Some(first) if first.len() > limit => {
                self.taken += limit;
                first.split_to(limit)
            }
            _ => {
                self.taken = 0;
                self.pieces.pop()?
            }
        };
        self.bytes -= piece.len();
        Some(piece)
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory that is used for them, in bytes.
    #[must_use]
    pub fn kept(&self) -> usize {
        let unused = self.tail.capacity() - self.tail.len();
        self.bytes + self.taken + unused + OVERHEAD * self.pieces.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Makes the joined bytes a piece.
    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail).into_boxed_slice();
            self.pieces.push(tail.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_joined_and_large_ones_are_not_copied() {
        let mut backlog = Backlog::default();
        let large = Bytes::from(vec![7; SMALL]);
        backlog.push(Bytes::from_static(b"a"));
        backlog.push(Bytes::from_static(b"b"));
        backlog.push(Bytes::from_static(b"c"));
        backlog.push(large.clone());
        assert_eq!(backlog.bytes(), 3 + SMALL);
        assert_eq!(backlog.pop(usize::MAX).unwrap(), "a");
        assert_eq!(backlog.pop(usize::MAX).unwrap(), "bc");
        assert_eq!(backlog.pop(1000).unwrap().as_ptr(), large.as_ptr());
        assert_eq!(backlog.pop(1000).unwrap(), vec![7; SMALL - 1000]);
        assert!(backlog.is_empty() && backlog.pop(1).is_none());
    }

    #[test]
    fn joined_pieces_are_no_longer_than_a_frame() {
        let mut backlog = Backlog::default();
        for _ in 0..3 * JOINED {
            backlog.push(Bytes::from_static(b"z"));
        }
        let lengths: Vec<usize> =
            std::iter::from_fn(|| backlog.pop(usize::MAX)).map(|piece| piece.len()).collect();
        assert_eq!(lengths, [1, JOINED, JOINED, JOINED - 1]);
    }
}
