//! Pieces of a body that wait, in order.

use std::collections::VecDeque;

use bytes::Bytes;

/// Entries for which an empty queue keeps its memory.
const SPARE: usize = 32;

/// A queue of pieces. Most bodies are one piece long, and that one takes no memory of its own.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Empty only if all are gone.
    first: Option<Bytes>,
    others: VecDeque<Bytes>,
}

impl Pieces {
    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.others.push_back(piece),
        }
    }

    /// Takes the first piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        let first = self.first.take()?;
        self.first = self.others.pop_front();
        if self.others.is_empty() && self.others.capacity() > SPARE {
            self.others = VecDeque::new();
        }
        Some(first)
    }

    /// The first piece.
    pub fn first_mut(&mut self) -> Option<&mut Bytes> {
        self.first.as_mut()
    }

    /// All pieces, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.first.iter().chain(&self.others)
    }

    /// How many pieces wait.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_their_order() {
        let mut pieces = Pieces::default();
        let mut next = 0..;
        let mut out = Vec::new();
        for (pushed, popped) in [(1, 1), (3, 2), (2, 3), (0, 1), (1, 1)] {
            for number in next.by_ref().take(pushed) {
                pieces.push(Bytes::from(vec![number]));
            }
            out.extend((0..popped).filter_map(|_| pieces.pop()));
        }
        assert_eq!(out.concat(), [0, 1, 2, 3, 4, 5, 6]);
        assert!(pieces.is_empty() && pieces.first_mut().is_none());
        (0..3).for_each(|number| pieces.push(Bytes::from(vec![number])));
        let all: Vec<u8> = pieces.iter().map(|piece| piece[0]).collect();
        assert_eq!((all, pieces.len()), (vec![0, 1, 2], 3));
    }
}
