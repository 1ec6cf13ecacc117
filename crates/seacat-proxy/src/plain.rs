//! The short way: requests without a body, read and answered right here.
//!
//! Nearly all requests are of this kind, so they get no more than they need: one reading of the
//! head, one write of the answer's head and what is there of its body, and no memory at all
//! between two requests. Whatever else comes (a body, a tunnel, a head that is not complete or not
//! valid) is hyper's for the rest of the connection, with all bytes that have not been answered.
//!
//! ```text
//!   ┌─► idle ──bytes──► head ──plain──► ask() ──► head and body out ────┐
//!   │     │               └──anything else──► hyper                     │
//!   │     └──closed, or the proxy ends──► over ◄──not to be kept────────┤
//!   └────────────────────────────────────────────────keep-alive─────────┘
//! ```
//!
//! A client that closes while its answer is under way takes its request with it.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Version;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use crate::fields::Fields;
use crate::gate::Passed;
use crate::gated::Gated;
use crate::head::{Framing, HeadScan};
use crate::headers::names;
use crate::message::RequestHead;
use crate::respond::Response;
use crate::service::Client;

/// Read at once: most heads, whole.
const READ: usize = 4096;

/// What becomes of a connection.
pub(crate) enum Next {
    /// Nothing more.
    Over,
    /// hyper goes on with what has been read.
    Hyper(Vec<u8>),
}

/// How a request begins.
enum Begun {
    /// Not at all: there will be none.
    Over,
    /// With a whole plain head.
    Plain(RequestHead),
    /// With something else.
    Other,
}

/// Answers requests until one comes that is not plain, or none may come any more.
///
/// # Errors
/// The socket's, or an answer's body's: the connection is to be dropped.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(crate) fn serve(
    tcp: &mut TcpStream,
    client: &Client,
) -> impl Future<Output = io::Result<Next>> {
    async move {
        // What was read and belongs to no request yet. No memory while nothing comes.
        let mut held = Vec::new();
        loop {
            let asking = match poll_fn(|cx| poll_begin(tcp, client, cx, &mut held)).await? {
                Begun::Over => return Ok(Next::Over),
                Begun::Other => return Ok(Next::Hyper(held)),
                // On the heap while it lasts: an idle connection is to be small.
                Begun::Plain(request) => Box::pin(ask(tcp, client, request, &mut held)),
            };
            let Some(response) = asking.await? else {
                return Ok(Next::Over);
            };
            if !write(tcp, client, response, &mut held).await? {
                return Ok(Next::Over);
            }
        }
    }
}

/// Waits for a request's beginning.
fn poll_begin(
    tcp: &mut TcpStream,
    client: &Client,
    cx: &mut Context<'_>,
    held: &mut Vec<u8>,
) -> Poll<io::Result<Begun>> {
    if held.is_empty() {
        if client.activity.poll_leaving(cx) {
            return Poll::Ready(Ok(Begun::Over));
        }
        // The usual head lies whole in this buffer and is read out of it. tokio knows that a short
        // read has emptied the socket, which saves the one that would only say so.
        let mut buffer = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut buffer);
        ready!(Pin::new(tcp).poll_read(cx, &mut buffer))?;
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Begun::Over));
        }
        if let Some((request, length)) = plain_head(bytes) {
            held.extend_from_slice(&bytes[length..]);
            return Poll::Ready(Ok(Begun::Plain(request)));
        }
        held.extend_from_slice(bytes);
    } else if let Some((request, length)) = plain_head(held) {
        // Memory goes with the last byte.
        *held = held.split_off(length);
        return Poll::Ready(Ok(Begun::Plain(request)));
    }
    Poll::Ready(Ok(Begun::Other))
}

/// The plain head at the front of `bytes`, if there is one, and its length.
fn plain_head(bytes: &[u8]) -> Option<(RequestHead, usize)> {
    let Ok(Some((length, Framing::Length(0)))) = HeadScan::default().scan(bytes) else {
        return None;
    };
    // The gate takes nothing that http does not; if it ever did, hyper says what is due.
    Some((RequestHead::read(&bytes[..length])?, length))
}

/// Asks for the client. `None`: it is gone.
///
/// Thousands of these may wait at one time, and each is fetched from memory when its answer comes. So it is small:
/// it and what it calls are blocks, which have their arguments once.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn ask(
    tcp: &mut TcpStream,
    client: &Client,
    request: RequestHead,
    held: &mut Vec<u8>,
) -> impl Future<Output = io::Result<Option<Box<Response>>>> {
    async move {
        let answer = pin!(client.answer(&request, None, Passed::Plain, None));
        let Some(answer) = unless_gone(tcp, held, answer).await? else {
            return Ok(None);
        };
        let http_10 = request.version == Version::HTTP_10;
        let keep = keeps(&request.fields, http_10) && !client.activity.is_leaving();
        let date = &client.shared.date;
        Ok(Some(Box::new(Response::new(answer, &request.method, http_10, keep, date))))
    }
}

/// Writes an answer. Says whether another request may follow.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn write(
    tcp: &mut TcpStream,
    client: &Client,
    mut response: Box<Response>,
    held: &mut Vec<u8>,
) -> impl Future<Output = io::Result<bool>> {
    async move {
        loop {
            match poll_fn(|cx| poll_write(tcp, held, &mut response, cx)).await? {
                true if response.is_over() => break,
                true => {}
                false => return Ok(false),
            }
        }
        if response.keeps() {
            return Ok(true);
        }
        let ahead = std::mem::take(held);
        if ahead.is_empty() {
            // Dropped, the socket is closed.
            return Ok(false);
        }
        let mut gated = Box::new(Gated::new(tcp, ahead, Arc::default(), client.shared.limits.head));
        gated.shutdown().await?;
        Ok(false)
    }
}

/// Fetches and writes as much of the answer as there is and the socket takes. `false`: the client
/// is gone.
fn poll_write(
    tcp: &mut TcpStream,
    held: &mut Vec<u8>,
    response: &mut Response,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    let fetched = response.poll_fetch(cx)?;
    if response.has_output() {
        ready!(response.poll_write(tcp, cx))?;
        return Poll::Ready(Ok(true));
    }
    if fetched.is_ready() {
        return Poll::Ready(Ok(true));
    }
    if is_gone(tcp, held, cx)? { Poll::Ready(Ok(false)) } else { Poll::Pending }
}

/// Works for the client as long as it is there.
fn unless_gone<T>(
    tcp: &mut TcpStream,
    held: &mut Vec<u8>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = io::Result<Option<T>>> {
    poll_fn(move |cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(done)));
        }
        if is_gone(tcp, held, cx)? { Poll::Ready(Ok(None)) } else { Poll::Pending }
    })
}

/// Whether the client has closed. What it sends ahead is kept, and then no more is read: its next
/// request shows that it is there.
fn is_gone(tcp: &mut TcpStream, held: &mut Vec<u8>, cx: &mut Context<'_>) -> io::Result<bool> {
    if !held.is_empty() {
        return Ok(false);
    }
    let mut buffer = [MaybeUninit::uninit(); READ];
    let mut buffer = ReadBuf::uninit(&mut buffer);
    let Poll::Ready(read) = Pin::new(tcp).poll_read(cx, &mut buffer) else {
        return Ok(false);
    };
    read?;
    held.extend_from_slice(buffer.filled());
    Ok(held.is_empty())
}

/// Whether the client wants to keep the connection (RFC 9112 section 9.3).
fn keeps(fields: &Fields, http_10: bool) -> bool {
    let named = |token| fields.all("connection").any(|value| names(value, token));
    if http_10 { named(b"keep-alive") } else { !named(b"close") }
}
