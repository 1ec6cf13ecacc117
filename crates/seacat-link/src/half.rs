//! The two halves of a stream.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use seacat_proto::{
    Bytes, Connection, Reason, ReplyHead, Role, SocketsCode, StreamClosed, StreamId,
};

use crate::StreamError;
use crate::shared::{Shared, register};

/// The sending half. Dropped before [`SendHalf::finish`], it resets the stream.
pub struct SendHalf {
    shared: Shared,
    id: StreamId,
    finished: bool,
}

impl SendHalf {
    pub(crate) fn new(shared: Shared, id: StreamId, finished: bool) -> Self {
        Self { shared, id, finished }
    }

    /// The stream's number.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Whether the stream's first frame has been handed to the socket. Until then the
    /// peer cannot know of it.
    #[must_use]
    pub fn started(&self) -> bool {
        is_started(&self.shared, self.id)
    }

    /// Answers the stream, once; `end` when no body follows (gateway only).
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over or already answered.
    pub fn reply(&mut self, head: ReplyHead, end: bool) -> Result<(), StreamError> {
        self.apply(end, |connection, id| connection.reply(id, head, end))?;
        self.finished = end;
        Ok(())
    }

    /// Ready when the stream's queue has capacity.
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over; nothing sent will arrive.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let mut state = self.shared.lock();
        state.check(self.id)?;
        if state.connection.send_capacity(self.id) > 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(slot) = state.slots.get_mut(&self.id) {
            register(&mut slot.writer, cx);
        }
        Poll::Pending
    }

    /// Waits until the stream's queue has capacity.
    ///
    /// # Errors
    /// As [`SendHalf::poll_ready`].
    pub async fn ready(&mut self) -> Result<(), StreamError> {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    /// Ready when the stream has ended early: reset, or lost with its connection. For a caller that
    /// has nothing to send yet and wants to stop its work.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let mut state = self.shared.lock();
        match state.check(self.id) {
            Err(error) => Poll::Ready(error),
            Ok(()) => {
                if let Some(slot) = state.slots.get_mut(&self.id) {
                    register(&mut slot.writer, cx);
                }
                Poll::Pending
            }
        }
    }

    /// Waits until the stream has ended early.
    pub async fn gone(&mut self) -> StreamError {
        poll_fn(|cx| self.poll_gone(cx)).await
    }

    /// Queues a piece of the body, of any length. It never waits: call it after
    /// [`SendHalf::ready`].
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over.
    pub fn send(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.apply(false, |connection, id| connection.send(id, bytes))
    }

    /// Ends the body. FIN is set on the last piece if that is still queued.
    ///
    /// # Errors
    /// [`StreamError`] when the stream is over.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.apply(true, Connection::finish)?;
        self.finished = true;
        Ok(())
    }

    /// Grants a reverse socket.
    pub(crate) fn accept(&self) -> Result<(), StreamError> {
        self.apply(false, Connection::accept)
    }

    /// Declines a reverse socket.
    pub(crate) fn refuse(mut self, code: SocketsCode) {
        self.finished = true;
        self.shared.lock().refuse(self.id, code);
    }

    /// Resets the stream.
    pub fn reset(mut self, reason: Reason) {
        self.give_up(reason);
    }

    fn give_up(&mut self, reason: Reason) {
        self.finished = true;
        let mut state = self.shared.lock();
        state.give_up(self.id, reason);
        state.wake_driver();
    }

    /// `last`: nothing more is to be sent on the stream, so it need not wait for the driver.
    fn apply(
        &self,
        last: bool,
        apply: impl FnOnce(&mut Connection, StreamId) -> Result<(), StreamClosed>,
    ) -> Result<(), StreamError> {
        let mut state = self.shared.lock();
        state.check(self.id)?;
        apply(&mut state.connection, self.id)?;
        state.wake_driver();
        if last {
            state.write_early();
        }
        Ok(())
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.finished {
            self.give_up(Reason::CANCEL);
        }
        self.shared.lock().drop_half(self.id);
    }
}

/// The receiving half.
///
/// Dropping it before its end resets the stream at once. Of a request at a gateway, the response
/// continues, the rest of the body is discarded, and the client is asked to stop when the response
/// has ended.
pub struct RecvHalf {
    shared: Shared,
    id: StreamId,
}

impl RecvHalf {
    pub(crate) fn new(shared: Shared, id: StreamId) -> Self {
        Self { shared, id }
    }

    /// The stream's number.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// As [`SendHalf::started`].
    #[must_use]
    pub fn started(&self) -> bool {
        is_started(&self.shared, self.id)
    }

    /// Marks the request as repeatable on another connection until its response arrives:
    /// [`Link::abandon`](crate::Link::abandon) ends it.
    pub fn allow_repeat(&mut self) {
        if let Some(slot) = self.shared.lock().slots.get_mut(&self.id) {
            slot.repeatable = true;
        }
    }

    /// Ready with the response's head, once (client only).
    ///
    /// # Errors
    /// [`StreamError`] when the stream ended without one.
    pub fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Result<ReplyHead, StreamError>> {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        match (slot.reply.take(), &slot.error) {
            (Some(head), _) => Poll::Ready(Ok(head)),
            (None, Some(error)) => Poll::Ready(Err(error.clone())),
            (None, None) => {
                register(&mut slot.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Waits for the response's head.
    ///
    /// # Errors
    /// As [`RecvHalf::poll_reply`].
    pub async fn reply(&mut self) -> Result<ReplyHead, StreamError> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }

    /// Ready with the client's answer to our SOCKETS_REQUEST, once.
    pub(crate) fn poll_socket(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SocketsCode, StreamError>> {
        let mut state = self.shared.lock();
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        match (slot.socket.take(), &slot.error) {
            (Some(code), _) => Poll::Ready(Ok(code)),
            (None, Some(error)) => Poll::Ready(Err(error.clone())),
            (None, None) => {
                register(&mut slot.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Ready with the next piece of the body, `None` at its end. What was received
    /// before an error comes before the error.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        let mut state = self.shared.lock();
        if let Some(bytes) = ready!(state.poll_data(self.id, cx)) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let Some(slot) = state.slots.get_mut(&self.id) else {
            return Poll::Ready(Some(Err(StreamError::Closed)));
        };
        match &slot.error {
            _ if slot.ended => Poll::Ready(None),
            Some(error) => Poll::Ready(Some(Err(error.clone()))),
            None => {
                register(&mut slot.reader, cx);
                Poll::Pending
            }
        }
    }

    /// Waits for the next piece of the body.
    pub async fn data(&mut self) -> Option<Result<Bytes, StreamError>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// The end was received and everything before it has been taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        let state = self.shared.lock();
        state.slots.get(&self.id).is_some_and(|slot| slot.ended && slot.inbox.is_empty())
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let unfinished = state.slots.get(&self.id).is_some_and(|s| !s.ended && s.error.is_none());
        if unfinished {
            let request = self.shared.role() == Role::Gateway && self.id.is_odd();
            match request {
                false => state.give_up(self.id, Reason::CANCEL),
                true => state.connection.stop_receiving(self.id),
            }
            state.wake_driver();
        }
        state.drop_reader(self.id);
    }
}

fn is_started(shared: &Shared, id: StreamId) -> bool {
    shared.lock().slots.get(&id).is_some_and(|slot| slot.started)
}
