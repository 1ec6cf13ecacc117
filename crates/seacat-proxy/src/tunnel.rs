//! Tunnels: after CONNECT or Upgrade the rest of a client's connection is raw bytes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;

use crate::access::Record;
use crate::errors::Code;
use crate::gated::Gated;
use crate::reply::of_broken_body;

/// What is read at once in each direction: what fits in a frame.
const BUFFER: usize = seacat_proto::MAX_PAYLOAD;

/// The far end of a tunnel: a stream of the channel, or a socket of the direct route.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What becomes of a client's connection once hyper has written its last answer on it.
pub(crate) enum Afterwards {
    /// The tunnel is open.
    Tunnel { client: OnUpgrade, far: Box<dyn Wire>, record: Box<Record> },
    /// It was refused: the connection is closed with care for bytes sent ahead.
    Close(OnUpgrade),
}

impl Afterwards {
    /// Runs until both directions have ended, or one is broken: then the far end is dropped,
    /// which resets its stream.
    pub(crate) async fn run(self) -> io::Result<()> {
        match self {
            Afterwards::Close(client) => TokioIo::new(upgraded(client).await?).shutdown().await,
            Afterwards::Tunnel { client, far, mut record } => {
                let ended = run_tunnel(client, far, &mut record).await;
                if let Err(error) = &ended {
                    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
                    record.failed(cause.map_or(Code::ClientGone, of_broken_body));
                }
                ended
            }
        }
    }
}

async fn run_tunnel(client: OnUpgrade, far: Box<dyn Wire>, record: &mut Record) -> io::Result<()> {
    let parts = upgraded(client)
        .await?
        .downcast::<TokioIo<Gated<TcpStream>>>()
        .map_err(|_| io::Error::other("the upgraded connection is not a client's"))?;
    let (mut client, held) = parts.io.into_inner().into_inner();
    let (from_client, to_client) = client.split();
    let (from_far, to_far) = split(far);
    // What the client has sent ahead of our answer comes first.
    let ahead = io::Cursor::new([&parts.read_buf[..], &held].concat());
    let (up, down) = (record.up(), AtomicU64::new(0));
    let ended = tokio::try_join!(
        pump(ahead.chain(from_client), to_far, &up),
        pump(from_far, to_client, &down),
    );
    record.down(down.into_inner());
    ended.map(|_| ())
}

/// Copies one direction to its end and passes the end on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..n]).await?;
        to.flush().await?;
        bytes.fetch_add(n as u64, Ordering::Relaxed);
    }
}

async fn upgraded(client: OnUpgrade) -> io::Result<Upgraded> {
    client.await.map_err(io::Error::other)
}
