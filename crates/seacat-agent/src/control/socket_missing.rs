//! Where there is no control socket yet (Windows): everything fails with the same clear message.

use std::io;
use std::path::Path;

use thiserror::Error;

/// Never made: there is no socket. It stands for one where the types need it.
pub type Stream = tokio::io::DuplexStream;

/// Why there is no control socket.
#[derive(Debug, Error)]
#[error(
    "this version has no control socket on this system: status, connect and disconnect are not available"
)]
pub struct BindError;

/// The socket while somebody listens on it.
#[derive(Debug)]
pub struct Listener(std::convert::Infallible);

impl Listener {
    /// Fails.
    ///
    /// # Errors
    /// Always, on this system.
    pub fn bind(_: &Path) -> Result<Self, BindError> {
        Err(BindError)
    }

    /// Never called: there is none.
    pub(super) fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Never called: there is none.
    ///
    /// # Errors
    /// None.
    pub async fn accept(&self) -> io::Result<Stream> {
        match self.0 {}
    }
}

/// Fails.
///
/// # Errors
/// Always, on this system.
pub async fn connect(_: &Path) -> io::Result<Stream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, BindError))
}
