//! The other end of the control socket: what the command line and the window use.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lines::Lines;
use super::{Answer, Request, socket};
use thiserror::Error;
use tokio::time::timeout;

/// Why the running proxy cannot be asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no proxy is running; start it with `seacat-proxy run`")]
    NotRunning,
    /// A proxy runs, but its socket is not there.
    #[error(
        "the proxy is running{}, but its control socket {path} is gone: it makes another as soon as the \
         folder can be used again; until then it can only be ended with a signal",
        process(*.pid)
    )]
    SocketGone {
        /// Its process id, when it could be read.
        pid: Option<u32>,
        /// Where the socket should be.
        path: PathBuf,
    },
    /// It does not answer.
    #[error("the running proxy has not answered within {} s: it may be stopped or overloaded", .0.as_secs())]
    Silent(Duration),
    /// The socket is somebody else's, or its folder is closed to us.
    #[error("the control socket belongs to another user: {0}")]
    Denied(io::Error),
    /// It answered no.
    #[error("{0}")]
    Refused(String),
    /// It answered something unexpected, or the conversation was cut off.
    #[error("cannot communicate with the running proxy: {0}")]
    Io(#[from] io::Error),
}

fn process(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}

/// What needs no work is answered at once; a busy machine gets some time.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A conversation with the running proxy.
#[derive(Debug)]
pub struct Client {
    lines: Lines<socket::Stream>,
}

impl Client {
    /// Connects to the proxy whose control socket is at `path`.
    ///
    /// # Errors
    /// When nobody listens there, or it is not our own proxy.
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = socket::connect(path).await.map_err(|error| match error.kind() {
            // Refused: the socket file of a proxy that crashed.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning,
            io::ErrorKind::PermissionDenied => ClientError::Denied(error),
            // Only a pipe: it has had no instance free for all that time.
            io::ErrorKind::TimedOut => ClientError::Silent(ANSWER_LIMIT),
            _ => ClientError::Io(error),
        })?;
        Ok(Self { lines: Lines::new(stream) })
    }

    /// Asks, and waits for the (first) answer.
    ///
    /// # Errors
    /// When the proxy says no, or is gone.
    pub async fn ask(&mut self, request: Request) -> Result<Answer, ClientError> {
        let is_quick = matches!(
            request,
            Request::Status
                | Request::Watch
                | Request::Connect
                | Request::Disconnect
                | Request::Stop
        );
        let answer = async {
            self.lines.write(&request).await?;
            let gone = "it ended without an answer";
            let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, gone);
            self.next().await?.ok_or_else(|| gone().into())
        };
        match is_quick {
            true => timeout(ANSWER_LIMIT, answer)
                .await
                .unwrap_or(Err(ClientError::Silent(ANSWER_LIMIT))),
            false => answer.await,
        }
    }

    /// The next answer after [`Request::Watch`] or [`Request::Access`]; `None` when the proxy ended.
    ///
    /// # Errors
    /// When the conversation breaks.
    pub async fn next(&mut self) -> Result<Option<Answer>, ClientError> {
        match self.lines.read().await? {
            Some(Answer::Error { message }) => Err(ClientError::Refused(message)),
            answer => Ok(answer),
        }
    }
}
