//! An answer on its way to a client: its head, and its body framed as the head says.

use std::io::{self, Cursor, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes};
use http::{Method, StatusCode};
use http_body::Body as _;
use seacat_proto::Pieces;
use tokio::io::{AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::body::ToClient;
use crate::fields::Fields;
use crate::headers::title_case;
use crate::message::Reply;

/// Taken from the body before a write: enough to keep a fast local client busy, and what a fresh
/// stream may send before it is told to go on.
const BATCH: usize = 256 * 1024;
/// Pieces in one write: what frames of a batch make, with chunk lines around each.
const PIECES: usize = 64;

/// Up to this length all that waits is put together and sent, which is cheaper than the system's way of
/// collecting it from several places.
const TOGETHER: usize = 4096;

/// How the client finds the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    /// The connection closes.
    Close,
}

/// An answer while it is written.
pub(crate) struct Response {
    /// Dropped with its last byte.
    body: Option<ToClient>,
    framing: Framing,
    keep: bool,
    /// Why the body broke off; said when what came before has been written.
    broken: Option<io::Error>,
    /// What is left of the head, in front of all pieces.
    head: Cursor<Vec<u8>>,
    out: Pieces,
    waiting: usize,
}

impl Response {
    /// `method` is the request's. `keep`: the client would like to ask again on the same
    /// connection.
    pub(crate) fn new(
        reply: Reply<ToClient>,
        method: &Method,
        http_10: bool,
        keep: bool,
        date: &Date,
    ) -> Self {
        let Reply { status, fields, body } = reply;
        // Such an answer has no body, and no fields that frame one but its own (RFC 9110 section
        // 6.4.1). One of ours to HEAD says how long it would have been.
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
        status_line(&mut head, http_10, status);
        write_fields(&mut head, &fields);
        if !fields.contains("date") {
            head.extend_from_slice(b"Date: ");
            date.append_to(&mut head);
            head.extend_from_slice(b"\r\n");
        }
        match framing {
            Framing::Length(length) if !known => {
                // Writing to a Vec does not fail.
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
            Framing::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            _ => {}
        }
        match (keep, http_10) {
            (true, true) => head.extend_from_slice(b"Connection: keep-alive\r\n"),
            (false, false) if !closes => head.extend_from_slice(b"Connection: close\r\n"),
            _ => {}
        }
        head.extend_from_slice(b"\r\n");
        let framing = if *method == Method::HEAD { Framing::Length(0) } else { framing };
        let mut response = Response {
            body: Some(body),
            framing,
            keep,
            broken: None,
            head: Cursor::new(head),
            out: Pieces::default(),
            waiting: 0,
        };
        response.end_if_complete();
        response
    }

    /// All of it has been written.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_none() && !self.has_output() && self.broken.is_none()
    }

    /// Whether another request may follow.
    pub(crate) fn keeps(&self) -> bool {
        self.keep
    }

    pub(crate) fn has_output(&self) -> bool {
        self.head.has_remaining() || !self.out.is_empty()
    }

    /// Takes from the body what there is. Pending: more will come.
    ///
    /// # Errors
    /// The body broke off: what was promised cannot be kept.
    pub(crate) fn poll_fetch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_output()
            && let Some(error) = self.broken.take()
        {
            return Poll::Ready(Err(error));
        }
        while self.waiting < BATCH && self.out.len() < PIECES {
            let Some(body) = &mut self.body else { break };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.push(data);
                    self.end_if_complete();
                }
                Some(Err(error)) => self.break_off(io::Error::other(error)),
                None => {
                    self.body = None;
                    match self.framing {
                        Framing::Length(0) | Framing::Close => {}
                        Framing::Chunked => self.put(Bytes::from_static(b"0\r\n\r\n")),
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
            Framing::Close => self.put(data),
            Framing::Length(left) => {
                // More than was promised would be taken for the next answer.
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                self.put(data);
            }
            Framing::Chunked => {
                self.put(format!("{:X}\r\n", data.len()).into());
                self.put(data);
                self.put(Bytes::from_static(b"\r\n"));
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
        tcp: &mut TcpStream,
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
        tcp: Pin<&mut TcpStream>,
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

fn status_line(head: &mut Vec<u8>, http_10: bool, status: StatusCode) {
    head.extend_from_slice(if http_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    let reason = status.canonical_reason().unwrap_or("<none>");
    head.extend_from_slice(reason.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Names are written in Title-Case, which is what old clients compare with.
fn write_fields(head: &mut Vec<u8>, fields: &Fields) {
    for (name, value) in fields.iter() {
        title_case(name, head);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
}

/// The date of answers, written once a second.
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
