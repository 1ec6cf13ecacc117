//! The send queue of one stream: chunks of its body, split into frames when written.

use bytes::Bytes;

use crate::Backlog;

/// The outgoing body of one stream.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: Backlog,
    /// The end has been asked for and not been sent.
    fin: bool,
}

impl SendQueue {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.chunks.push(bytes);
    }

    pub(crate) fn finish(&mut self) {
        self.fin = true;
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.bytes()
    }

    /// Memory in use for them.
    pub(crate) fn kept(&self) -> usize {
        self.chunks.kept()
    }

    /// Nothing waits, not even the end.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && !self.fin
    }

    /// Takes the payload of one frame and whether it is the last. FIN is set on the last chunk; an
    /// empty frame is used only when none is left.
    pub(crate) fn pop(&mut self, limit: usize) -> Option<(Bytes, bool)> {
        if self.is_empty() {
            return None;
        }
        let payload = self.chunks.pop(limit).unwrap_or_default();
        let end = self.fin && self.chunks.is_empty();
        self.fin &= !end;
        Some((payload, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut SendQueue, limit: usize) -> Vec<(usize, bool)> {
        std::iter::from_fn(|| queue.pop(limit)).map(|(bytes, end)| (bytes.len(), end)).collect()
    }

    #[test]
    fn fin_is_set_on_the_last_chunk() {
        let mut queue = SendQueue::default();
        queue.push(Bytes::from(vec![0; 25]));
        queue.push(Bytes::new());
        queue.push(Bytes::from(vec![0; 10]));
        queue.finish();
        assert_eq!(queue.bytes(), 35);
        assert_eq!(drain(&mut queue, 10), [(10, false), (10, false), (5, false), (10, true)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_late_end_is_an_empty_frame() {
        let mut queue = SendQueue::default();
        queue.push(Bytes::from_static(b"x"));
        assert_eq!(drain(&mut queue, 10), [(1, false)]);
        queue.finish();
        assert_eq!(drain(&mut queue, 10), [(0, true)]);
        assert!(queue.is_empty());
    }
}
