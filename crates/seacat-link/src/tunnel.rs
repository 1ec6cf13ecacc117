//! A tunnel: bytes both ways between a stream and a TCP socket, each way ending on its own.
//!
//! ```text
//!   stream ─DATA─► socket     FIN  on DATA ─► shutdown
//!   stream ◄─DATA─ socket     EOF on TCP   ─► FIN
//!   a stream that is reset or lost ─► RST on TCP, so that nobody takes a torn end for an end
//! ```

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{RecvHalf, SendHalf, StreamError};

/// Read at a time: four frames, what a stream may queue.
const READ: usize = 64 * 1024;
/// With less room than this a new buffer is taken; until then small reads share one.
const LEAST: usize = 16 * 1024;

/// Why a tunnel ended before both its ways had.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The stream is over.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The socket is lost. The stream is still there, to be reset.
    #[error("the far side of a tunnel is lost: {0}")]
    Socket(#[from] io::Error),
}

/// Carries bytes between a stream that has been answered and a socket until both ways have ended.
/// `early`: bytes of the socket that were read already.
///
/// # Errors
/// [`TunnelError`]; the socket is closed either way.
pub async fn tunnel(
    mut tcp: TcpStream,
    early: Bytes,
    send: &mut SendHalf,
    recv: RecvHalf,
) -> Result<(), TunnelError> {
    let ended = carry(&mut tcp, early, send, recv).await;
    if matches!(ended, Err(TunnelError::Stream(_))) {
        // A socket that cannot be told is gone by itself.
        let _ = tcp.set_zero_linger();
    }
    ended
}

async fn carry(
    tcp: &mut TcpStream,
    early: Bytes,
    send: &mut SendHalf,
    mut recv: RecvHalf,
) -> Result<(), TunnelError> {
    let (mut from, mut to) = tcp.split();
    let out = async {
        if !early.is_empty() {
            send.send(early)?;
        }
        let mut buffer = BytesMut::new();
        loop {
            send.ready().await?;
            if buffer.capacity() < LEAST {
                buffer.reserve(READ);
            }
            // A peer that has ended its way can still give up the other.
            let read = tokio::select! {
                biased;
                read = from.read_buf(&mut buffer) => read?,
                error = send.gone() => return Err(error.into()),
            };
            match read {
                0 => return Ok(send.finish()?),
                _ => send.send(buffer.split().freeze())?,
            }
        }
    };
    let back = async {
        while let Some(bytes) = recv.data().await {
            to.write_all(&bytes?).await?;
        }
        // The other side may be gone already; its own end says so.
        to.shutdown().await.or(Ok(()))
    };
    tokio::try_join!(out, back).map(drop)
}
