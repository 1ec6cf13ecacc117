//! A tunnel: bytes in both directions between a stream and a TCP socket, with half-close.
//!
//! ```text
//!   stream ─DATA─► socket     FIN  on DATA ─► shutdown
//!   stream ◄─DATA─ socket     EOF on TCP   ─► FIN
//!   a stream that is reset or lost ─► RST on TCP, so that it is not taken for a regular end
//! ```

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{RecvHalf, SendHalf, StreamError};

/// Read at a time: four frames, what a stream may queue.
const READ: usize = 64 * 1024;
/// With less space than this a new buffer is allocated; until then small reads share one.
const LEAST: usize = 16 * 1024;

/// Why a tunnel ended before both directions had.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The stream is over.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The socket is lost. The stream still exists and has to be reset.
    #[error("the far side of a tunnel is lost: {0}")]
    Socket(#[from] io::Error),
}

/// The bytes that a tunnel has forwarded so far.
#[derive(Debug, Default)]
pub struct Carried {
    /// From the socket into the stream.
    pub sent: AtomicU64,
    /// From the stream into the socket.
    pub received: AtomicU64,
}

/// Forwards bytes between an answered stream and a socket until both directions have ended.
/// `early`: bytes of the socket that were read already.
///
/// # Errors
/// [`TunnelError`]; the socket is closed either way.
pub async fn tunnel(
    tcp: TcpStream,
    early: Bytes,
    send: &mut SendHalf,
    recv: RecvHalf,
) -> Result<(), TunnelError> {
    tunnel_counted(tcp, early, send, recv, &Carried::default()).await
}

/// As [`tunnel`], and counts the bytes.
pub(crate) async fn tunnel_counted(
    mut tcp: TcpStream,
    early: Bytes,
    send: &mut SendHalf,
    recv: RecvHalf,
    carried: &Carried,
) -> Result<(), TunnelError> {
    let ended = carry(&mut tcp, early, send, recv, carried).await;
    if matches!(ended, Err(TunnelError::Stream(_))) {
        // If this fails, the socket is closed already.
        let _ = tcp.set_zero_linger();
    }
    ended
}

async fn carry(
    tcp: &mut TcpStream,
    early: Bytes,
    send: &mut SendHalf,
    mut recv: RecvHalf,
    carried: &Carried,
) -> Result<(), TunnelError> {
    let count = |counter: &AtomicU64, bytes: usize| {
        counter.fetch_add(bytes as u64, Ordering::Relaxed);
    };
    let (mut from, mut to) = tcp.split();
    let out = async {
        if !early.is_empty() {
            count(&carried.sent, early.len());
            send.send(early)?;
        }
        let mut buffer = BytesMut::new();
        loop {
            send.ready().await?;
            if buffer.capacity() < LEAST {
                buffer.reserve(READ);
            }
            // A peer that has ended its direction can still reset the other.
            let read = tokio::select! {
                biased;
                read = from.read_buf(&mut buffer) => read?,
                error = send.gone() => return Err(error.into()),
            };
            if read == 0 {
                return Ok(send.finish()?);
            }
            send.send(buffer.split().freeze())?;
            count(&carried.sent, read);
        }
    };
    let back = async {
        while let Some(bytes) = recv.data().await {
            let bytes = bytes?;
            to.write_all(&bytes).await?;
            count(&carried.received, bytes.len());
        }
        // The other side may be closed already; that is reported by its own direction.
        to.shutdown().await.or(Ok(()))
    };
    tokio::try_join!(out, back).map(drop)
}
