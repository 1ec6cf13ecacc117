//! The control socket on Unix.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

use crate::places::{PlaceError, make_private_folder};
use crate::private::{Closed, check_folder, own_uid};

/// A connection to or from the other side.
pub type Stream = UnixStream;

/// The longest path a socket can have on every Unix (`sun_path` is 104 bytes on macOS and 108 on
/// Linux, with a zero at the end).
const MAX_PATH: usize = 103;

/// Why there is no control socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Its path does not fit.
    #[error(
        "the path {0} is too long for a socket ({MAX_PATH} bytes): set XDG_RUNTIME_DIR, or give a shorter --state-dir"
    )]
    TooLong(PathBuf),
    /// The system refuses.
    #[error("cannot create the control socket {path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The socket while somebody listens on it. Removed when dropped.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Listener {
    /// Makes the socket at `path`. The caller holds the instance lock, so a socket that is there is
    /// what a crash left.
    ///
    /// # Errors
    /// When its folder is not safe, or the socket cannot be made.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { path: path.to_owned(), source };
        if path.as_os_str().len() > MAX_PATH {
            return Err(BindError::TooLong(path.to_owned()));
        }
        let owner = own_uid();
        if let Some(folder) = path.parent() {
            make_private_folder(folder)?;
            check_folder(folder, owner, Closed::Fully)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let inner = UnixListener::bind(path).map_err(failed)?;
        // Between the two calls the folder alone keeps others out.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { inner, path: path.to_owned(), owner })
    }

    /// The next client that is us. Others are turned away without a word.
    ///
    /// # Errors
    /// When the system cannot accept now, out of file descriptors for example.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let (stream, _) = self.inner.accept().await?;
            match is_user(&stream, self.owner) {
                Ok(true) => return Ok(stream),
                Ok(false) => {
                    tracing::warn!("refused a connection of another user to the control socket");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot determine the user of a control socket connection");
                }
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For tests: takes only clients of another user than this one.
    #[cfg(test)]
    pub(super) fn with_owner(mut self, owner: u32) -> Self {
        self.owner = owner;
        self
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Connects to the socket at `path`, if we ourselves listen there.
///
/// # Errors
/// When nobody listens, or somebody else does.
pub async fn connect(path: &Path) -> io::Result<Stream> {
    let stream = UnixStream::connect(path).await?;
    // Root may look at anybody's proxy: it can do so anyway.
    let me = own_uid();
    if me != 0 && !is_user(&stream, me)? {
        let message = "another user listens on the control socket";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(stream)
}

fn is_user(stream: &UnixStream, uid: u32) -> io::Result<bool> {
    Ok(stream.peer_cred()?.uid() == uid)
}
