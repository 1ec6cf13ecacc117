//! Writes a response to a client: its head, and its body framed as the head declares.

use std::io::{self, Cursor, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use http::{Method, StatusCode, Version};
use seacat_http1::{Framing, encode};
use seacat_proto::Pieces;
use tokio::io::{AsyncWrite, ReadBuf};

use crate::response::Response;
use crate::server::response_body::ResponseBody;

/// Bytes taken from the body before a write: enough to keep a fast local client busy, and the
/// initial window of a stream.
const BATCH: usize = 256 * 1024;
/// Pieces in one write: what frames of a batch make, with chunk lines around each.
const PIECES: usize = 64;

/// Up to this length all that waits is put together and sent, which is cheaper than the system's way of
/// collecting it from several places.
const TOGETHER: usize = 4096;

/// A response while it is written.
pub(crate) struct ResponseWriter {
    /// Dropped with its last byte.
    body: Option<ResponseBody>,
    /// The length is what remains.
    framing: Framing,
    keep: bool,
    /// Why the body broke off; reported when what came before has been written.
    broken: Option<io::Error>,
    /// What is left of the head, in front of all pieces.
    head: Cursor<Vec<u8>>,
    out: Pieces,
    waiting: usize,
}

impl ResponseWriter {
    /// `method` and `version` are the request's. `keep`: the client would like to send another
    /// request on the same connection.
    pub(crate) fn new(
        response: Response<ResponseBody>,
        method: &Method,
        version: Version,
        keep: bool,
        date: &Date,
    ) -> Self {
        let Response { status, reason, fields, body } = response;
        let http_10 = version == Version::HTTP_10;
        // Such a response has no body, and no fields that frame one but its own (RFC 9110 section
        // 6.4.1). One of ours to HEAD states how long it would have been.
        let bodiless = body.is_bodiless()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let known = bodiless || fields.contains("content-length");
        let framing = match body.left() {
            _ if bodiless => Framing::Length(0),
            Some(length) => Framing::Length(length),
            None if http_10 => Framing::Close,
            None => Framing::Chunked,
        };
        let closes = fields.contains("connection");
        let keep = keep && !closes && framing != Framing::Close;
        let mut head = Vec::with_capacity(512);
        encode::status_line(&mut head, version, status, &reason);
        encode::fields(&mut head, &fields);
        if !fields.contains("date") {
            head.extend_from_slice(b"Date: ");
            date.append_to(&mut head);
            head.extend_from_slice(b"\r\n");
        }
        match framing {
            Framing::Length(length) if !known => encode::content_length(&mut head, length),
            Framing::Chunked => encode::chunked(&mut head),
            _ => {}
        }
        match (keep, http_10) {
            (true, true) => encode::field(&mut head, b"Connection", b"keep-alive"),
            (false, false) if !closes => encode::field(&mut head, b"Connection", b"close"),
            _ => {}
        }
        encode::end(&mut head);
        let framing = if *method == Method::HEAD { Framing::Length(0) } else { framing };
        let mut writer = ResponseWriter {
            body: Some(body),
            framing,
            keep,
            broken: None,
            head: Cursor::new(head),
            out: Pieces::default(),
            waiting: 0,
        };
        writer.end_if_complete();
        writer
    }

    /// All of it has been written.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_none() && !self.has_output() && self.broken.is_none()
    }

    /// Whether another request may follow.
    pub(crate) fn keeps(&self) -> bool {
        self.keep
    }

    /// Whether the client takes the end of the connection for the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.framing == Framing::Close
    }

    pub(crate) fn has_output(&self) -> bool {
        self.head.has_remaining() || !self.out.is_empty()
    }

    /// Takes the bytes that the body has ready. Pending: more will follow.
    ///
    /// # Errors
    /// The body ended early: the declared framing cannot be completed.
    pub(crate) fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_output()
            && let Some(error) = self.broken.take()
        {
            return Poll::Ready(Err(error));
        }
        while self.waiting < BATCH && self.out.len() < PIECES {
            let Some(body) = &mut self.body else { break };
            match ready!(body.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.push(data);
                    self.end_if_complete();
                }
                Some(Err(error)) => self.break_off(io::Error::other(error)),
                None => {
                    self.body = None;
                    match self.framing {
                        Framing::Length(0) | Framing::Close | Framing::Tunnel => {}
                        Framing::Chunked => self.put(Bytes::from_static(encode::LAST_CHUNK)),
                        Framing::Length(_) => self.break_off(io::ErrorKind::UnexpectedEof.into()),
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn break_off(&mut self, error: io::Error) {
        self.body = None;
        self.broken = Some(error);
    }

    fn push(&mut self, mut data: Bytes) {
        if data.is_empty() {
            return;
        }
        match &mut self.framing {
            Framing::Close | Framing::Tunnel => self.put(data),
            Framing::Length(left) => {
                // More than was promised would be taken for the next response.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                self.put(data);
            }
            Framing::Chunked => {
                self.put(encode::chunk_size(data.len()));
                self.put(data);
                self.put(Bytes::from_static(encode::CHUNK_END));
            }
        }
    }

    /// A body of known length is let go of with its last byte.
    fn end_if_complete(&mut self) {
        if self.framing == Framing::Length(0) {
            self.body = None;
        }
    }

    fn put(&mut self, bytes: Bytes) {
        self.waiting += bytes.len();
        self.out.push(bytes);
    }

    /// Writes all that waits.
    pub(crate) fn poll_write(
        &mut self,
        tcp: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.has_output() {
            match ready!(self.poll_write_some(Pin::new(&mut *tcp), cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_some(
        &self,
        tcp: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let head = self.head.chunk();
        if head.len() + self.waiting <= TOGETHER {
            let mut buffer = [MaybeUninit::uninit(); TOGETHER];
            let mut buffer = ReadBuf::uninit(&mut buffer);
            buffer.put_slice(head);
            self.out.iter().for_each(|bytes| buffer.put_slice(bytes));
            return tcp.poll_write(cx, buffer.filled());
        }
        let mut slices = [IoSlice::new(&[]); 1 + PIECES];
        slices[0] = IoSlice::new(head);
        for (slice, bytes) in slices[1..].iter_mut().zip(self.out.iter()) {
            *slice = IoSlice::new(bytes);
        }
        tcp.poll_write_vectored(cx, &slices[..=self.out.len().min(PIECES)])
    }

    fn advance(&mut self, mut written: usize) {
        let of_head = written.min(self.head.remaining());
        self.head.advance(of_head);
        written -= of_head;
        self.waiting -= written;
        while let Some(front) = self.out.first_mut() {
            if written < front.len() {
                return front.advance(written);
            }
            written -= front.len();
            self.out.pop();
        }
    }
}

/// The date of responses, written once a second.
#[derive(Debug, Default)]
pub(crate) struct Date(Mutex<(u64, String)>);

impl Date {
    fn append_to(&self, head: &mut Vec<u8>) {
        let now = SystemTime::now();
        // A clock before 1970 is a clock that was never set.
        let seconds =
            now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let mut date = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if date.0 != seconds || date.1.is_empty() {
            *date = (seconds, httpdate::fmt_http_date(now));
        }
        head.extend_from_slice(date.1.as_bytes());
    }
}
