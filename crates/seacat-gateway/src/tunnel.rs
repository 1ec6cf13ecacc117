//! A tunnel: after CONNECT or Upgrade, bytes both ways, each way ending on its own.
//!
//! ```text
//!   client ─DATA─► up ─► TCP      FIN  on DATA ─► shutdown
//!   client ◄─DATA─ down ◄─ TCP    EOF on TCP   ─► FIN
//! ```

use bytes::{Bytes, BytesMut};
use seacat_link::{RecvHalf, SendHalf};
use seacat_proto::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::debug;

use crate::exchange::Failed;

/// Read at a time: four frames, what a stream may queue.
const READ: usize = 64 * 1024;
/// With less room than this a new buffer is taken; until then small reads share one.
const LEAST: usize = 16 * 1024;

/// Carries bytes between a stream that has been answered and a socket until both ways have ended.
/// `early`: bytes of the socket that were read already.
pub(crate) async fn run(
    tcp: TcpStream,
    early: Bytes,
    reply: &mut SendHalf,
    mut body: RecvHalf,
) -> Result<(), Failed> {
    let (mut from, mut to) = tcp.into_split();
    let down = async {
        if !early.is_empty() {
            reply.send(early)?;
        }
        let mut buffer = BytesMut::new();
        loop {
            reply.ready().await?;
            if buffer.capacity() < LEAST {
                buffer.reserve(READ);
            }
            // A client that has ended its way can still give up the other.
            let read = tokio::select! {
                biased;
                read = from.read_buf(&mut buffer) => read,
                error = reply.gone() => return Err(error.into()),
            };
            match read {
                Ok(0) => return Ok(reply.finish()?),
                Ok(_) => reply.send(buffer.split().freeze())?,
                Err(error) => return Err(lost(&error)),
            }
        }
    };
    let up = async {
        while let Some(bytes) = body.data().await {
            to.write_all(&bytes?).await.map_err(|error| lost(&error))?;
        }
        // The other side may be gone already; its own end says so.
        to.shutdown().await.or(Ok(()))
    };
    tokio::try_join!(down, up).map(drop)
}

fn lost(error: &std::io::Error) -> Failed {
    debug!(%error, "the far side of a tunnel is lost");
    Failed::Reset(Reason::INTERNAL_ERROR)
}
