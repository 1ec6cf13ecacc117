//! The short way: requests without a body, read and answered right here.
//!
//! Nearly all requests are of this kind, so they get no more than they need: one reading of the
//! head, one write of the answer's head and what is there of its body, and no memory at all
//! between two requests. Whatever else comes (a body, a tunnel, a head that is not complete or not
//! valid) is hyper's for the rest of the connection, with all bytes that have not been answered.
//!
//! ```text
//!   ┌─► idle ──bytes──► head ──plain──► answer() ─► head and body out ──┐
//!   │     │               └──anything else──► hyper                     │
//!   │     └──closed, or the proxy ends──► over ◄──not to be kept────────┤
//!   └────────────────────────────────────────────────keep-alive─────────┘
//! ```
//!
//! A client that closes while its answer is under way takes its request with it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use http::Version;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    Hyper(BytesMut),
}

/// Answers requests until one comes that is not plain, or none may come any more.
///
/// # Errors
/// The socket's, or an answer's body's: the connection is to be dropped.
pub(crate) async fn serve(tcp: &mut TcpStream, client: &Arc<Client>) -> io::Result<Next> {
    let mut held = BytesMut::new();
    loop {
        if held.is_empty() {
            // No memory while nothing comes.
            held = BytesMut::new();
            if !poll_fn(|cx| poll_begin(tcp, client, cx, &mut held)).await? {
                return Ok(Next::Over);
            }
        }
        let Ok(Some((length, Framing::Length(0)))) = HeadScan::default().scan(&held) else {
            return Ok(Next::Hyper(held));
        };
        let Some(request) = RequestHead::read(&held[..length]) else {
            // The gate takes nothing that http does not; if it ever did, hyper says what is due.
            return Ok(Next::Hyper(held));
        };
        held.advance(length);
        // On the heap while it lasts: an idle connection is to be small.
        if !Box::pin(exchange(tcp, client, request, &mut held)).await? {
            return Ok(Next::Over);
        }
    }
}

/// Waits for a request's first bytes. `false`: there will be none.
fn poll_begin(
    tcp: &mut TcpStream,
    client: &Client,
    cx: &mut Context<'_>,
    held: &mut BytesMut,
) -> Poll<io::Result<bool>> {
    loop {
        if client.is_leaving() {
            return Poll::Ready(Ok(false));
        }
        ready!(tcp.poll_read_ready(cx))?;
        // Ready may turn out to be a mistake.
        if let Poll::Ready(read) = poll_read(tcp, cx, held) {
            return Poll::Ready(read.map(|count| count > 0));
        }
    }
}

/// Reads once. tokio knows that a short read has emptied the socket, which saves the one that would
/// only say so.
fn poll_read(
    tcp: &mut TcpStream,
    cx: &mut Context<'_>,
    held: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    held.reserve(READ);
    // It keeps nothing between two polls, so a new one each time will do.
    pin!(tcp.read_buf(held)).poll(cx)
}

/// One request and its answer. Says whether another request may follow.
async fn exchange(
    tcp: &mut TcpStream,
    client: &Arc<Client>,
    request: RequestHead,
    held: &mut BytesMut,
) -> io::Result<bool> {
    let http_10 = request.version == Version::HTTP_10;
    let keep = keeps(&request.fields, http_10);
    let method = request.method.clone();
    let answer = client.clone().answer(request, None, Passed::Plain, None);
    let Some(answer) = unless_gone(tcp, held, answer).await? else {
        return Ok(false);
    };
    let keep = keep && !client.is_leaving();
    let mut response = Response::new(answer, &method, http_10, keep, &client.shared.date);
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
    let ahead = std::mem::take(held).into();
    Gated::new(tcp, ahead, Arc::default(), client.shared.limits.head).shutdown().await?;
    Ok(false)
}

/// Fetches and writes as much of the answer as there is and the socket takes. `false`: the client
/// is gone.
fn poll_write(
    tcp: &mut TcpStream,
    held: &mut BytesMut,
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
async fn unless_gone<T>(
    tcp: &mut TcpStream,
    held: &mut BytesMut,
    work: impl Future<Output = T>,
) -> io::Result<Option<T>> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(done)));
        }
        if is_gone(tcp, held, cx)? { Poll::Ready(Ok(None)) } else { Poll::Pending }
    })
    .await
}

/// Whether the client has closed. What it sends ahead is kept, and then no more is read: its next
/// request shows that it is there.
fn is_gone(tcp: &mut TcpStream, held: &mut BytesMut, cx: &mut Context<'_>) -> io::Result<bool> {
    if !held.is_empty() || tcp.poll_read_ready(cx)?.is_pending() {
        return Ok(false);
    }
    match poll_read(tcp, cx, held) {
        Poll::Ready(read) => Ok(read? == 0),
        Poll::Pending => Ok(false),
    }
}

/// Whether the client wants to keep the connection (RFC 9112 section 9.3).
fn keeps(fields: &Fields, http_10: bool) -> bool {
    let named = |token| fields.all("connection").any(|value| names(value, token));
    if http_10 { named(b"keep-alive") } else { !named(b"close") }
}
