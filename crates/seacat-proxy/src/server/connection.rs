//! A client connection: the HTTP/1 server for every kind of request.
//!
//! Most requests have no body, so they get no more than they need: one reading of the head, one
//! write of the response's head and what is there of its body, and no memory at all between two
//! requests.
//!
//! ```text
//!   ┌─► idle ──bytes──► head ──► ask ──► head and body out ──keep-alive──┐
//!   │     │              │        ├──► tunnel ──► over                   │
//!   │     │              └─bad──► error out ──► linger ──► over          │
//!   │     └──closed, or the proxy ends──► over ◄──not to be kept─────────┤
//!   └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A client that closes while its response is under way takes its request with it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Version};
use seacat_http1::{RequestHead, encode, keeps_alive};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::fault::Fault;
use crate::server::client::Client;
use crate::server::inbound::{Begun, Inbound};
use crate::server::response_writer::ResponseWriter;
use crate::server::service::Served;
use crate::server::tunnel::OpenTunnel;

/// How a connection ends.
enum End {
    /// Closed in order.
    Closed,
    /// With a reset, because the client could take a closed connection for the end of a
    /// response.
    Reset,
    /// As a tunnel.
    Tunnel(Box<OpenTunnel>),
}

/// What a request has led to.
enum Asked {
    /// The client is gone.
    Gone,
    Response(Box<ResponseWriter>),
    Tunnel(Box<OpenTunnel>),
}

/// What follows a response.
enum Next {
    Request,
    Close,
    Reset,
}

/// Serves a client until it disconnects or its connection has to be closed.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
)]
pub(crate) fn serve(tcp: TcpStream, mut client: Client) -> impl Future<Output = ()> {
    async move {
        let (read, mut write) = tcp.into_split();
        let mut inbound = Inbound::new(read);
        let end = run(&mut inbound, &mut write, &mut client).await;
        let (read, early) = inbound.into_parts();
        let Some(tcp) = read.and_then(|read| read.reunite(write).ok()) else { return };
        match end {
            Ok(End::Closed) => {}
            Ok(End::Tunnel(tunnel)) => Box::pin(tunnel.run(tcp, early)).await,
            Ok(End::Reset) => {
                // Without it the client notices nothing: it is as it would be otherwise.
                let _ = tcp.set_zero_linger();
            }
            Err(error) => tracing::debug!(%error, "a client connection broke off"),
        }
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
)]
fn run(
    inbound: &mut Inbound,
    write: &mut OwnedWriteHalf,
    client: &mut Client,
) -> impl Future<Output = io::Result<End>> {
    async move {
        loop {
            let asked = {
                let asking = match poll_fn(|cx| inbound.poll_head(client, cx)).await? {
                    Begun::Over => return Ok(End::Closed),
                    Begun::Refused(fault) => Err(refuse(client, &fault)),
                    Begun::Request(request) => {
                        client.follow_changes();
                        client.note_login(&request.fields);
                        // On the heap only while it is used: an idle connection is small.
                        Ok(Box::pin(ask(inbound, write, client, request)))
                    }
                };
                match asking {
                    Ok(asking) => asking.await?,
                    Err(response) => Asked::Response(response),
                }
            };
            let response = match asked {
                Asked::Gone => return Ok(End::Closed),
                Asked::Tunnel(tunnel) => {
                    write.write_all(&tunnel.head).await?;
                    return Ok(End::Tunnel(tunnel));
                }
                Asked::Response(response) => response,
            };
            match respond(inbound, write, response).await? {
                Next::Request => {}
                Next::Close => return Ok(End::Closed),
                Next::Reset => return Ok(End::Reset),
            }
        }
    }
}

/// The response to a head that is refused. Nothing after it can be read.
fn refuse(client: &Client, fault: &Fault) -> Box<ResponseWriter> {
    let response = client.refuse(fault);
    let date = &client.shared.date;
    Box::new(ResponseWriter::new(response, &Method::GET, Version::HTTP_11, false, date))
}

/// Asks for the client.
///
/// Thousands of these may wait at one time, and each is fetched from memory when its response
/// comes. So it is small: it and what it calls are blocks, which have their arguments once.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
)]
fn ask(
    inbound: &mut Inbound,
    write: &mut OwnedWriteHalf,
    client: &Client,
    request: RequestHead,
) -> impl Future<Output = io::Result<Asked>> {
    async move {
        let body = inbound.lend(&request);
        let answering = pin!(client.answer(&request, body));
        let Some(served) = unless_gone(inbound, write, answering).await? else {
            return Ok(Asked::Gone);
        };
        let response = match served {
            Served::Tunnel(tunnel) => return Ok(Asked::Tunnel(tunnel)),
            Served::Response(response) => response,
        };
        let keep = keeps_alive(request.version, &request.fields)
            // What follows a refused CONNECT may have been meant for the tunnel.
            && request.method != Method::CONNECT
            && !inbound.waits_for_continue()
            && !client.activity.is_retiring();
        let date = &client.shared.date;
        let writer = ResponseWriter::new(response, &request.method, request.version, keep, date);
        Ok(Asked::Response(Box::new(writer)))
    }
}

/// Works for the client as long as it is there. `None`: it is gone.
fn unless_gone<T>(
    inbound: &mut Inbound,
    write: &mut OwnedWriteHalf,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> impl Future<Output = io::Result<Option<T>>> {
    let mut interim = Bytes::new();
    poll_fn(move |cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            // Half an interim response would spoil the one that follows.
            return match poll_interim(write, &mut interim, cx)? {
                Poll::Ready(()) => Poll::Ready(Ok(Some(done))),
                Poll::Pending => Poll::Ready(Ok(None)),
            };
        }
        if inbound.poll_gone(cx)?.is_ready() {
            return Poll::Ready(Ok(None));
        }
        // After that, because a body in another task wakes the one that waits for its end.
        if inbound.takes_continue() {
            interim = Bytes::from_static(encode::CONTINUE);
        }
        let _ = poll_interim(write, &mut interim, cx)?;
        Poll::Pending
    })
}

/// Writes what is left of an interim response.
fn poll_interim(
    write: &mut OwnedWriteHalf,
    interim: &mut Bytes,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !interim.is_empty() {
        let written = ready!(Pin::new(&mut *write).poll_write(cx, interim))?;
        let _ = interim.split_to(written);
    }
    Poll::Ready(Ok(()))
}

/// Writes a response, and finds out what follows it.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
)]
fn respond(
    inbound: &mut Inbound,
    write: &mut OwnedWriteHalf,
    mut response: Box<ResponseWriter>,
) -> impl Future<Output = io::Result<Next>> {
    async move {
        loop {
            match poll_fn(|cx| poll_write(inbound, write, &mut response, cx)).await {
                Ok(true) if response.is_over() => break,
                Ok(true) => {}
                Ok(false) => return Ok(Next::Close),
                Err(error) if response.ends_with_connection() => {
                    tracing::debug!(%error, "a response without a length broke off");
                    return Ok(Next::Reset);
                }
                Err(error) => return Err(error),
            }
        }
        let keep = response.keeps();
        drop(response);
        // What is seldom is on the heap, as above.
        if keep && (inbound.is_read() || Box::pin(inbound.recover()).await) {
            return Ok(Next::Request);
        }
        if !inbound.is_drained() {
            write.shutdown().await?;
            Box::pin(inbound.linger()).await;
        }
        Ok(Next::Close)
    }
}

/// Fetches and writes as much of the response as there is and the socket takes. `false`: the
/// client is gone.
fn poll_write(
    inbound: &mut Inbound,
    write: &mut OwnedWriteHalf,
    response: &mut ResponseWriter,
    cx: &mut Context<'_>,
) -> Poll<io::Result<bool>> {
    let fetched = response.poll_fetch(cx)?;
    if response.has_output() {
        ready!(response.poll_write(write, cx))?;
        return Poll::Ready(Ok(true));
    }
    if fetched.is_ready() {
        return Poll::Ready(Ok(true));
    }
    inbound.poll_gone(cx).map_ok(|()| false)
}
