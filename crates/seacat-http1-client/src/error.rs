//! Why there is no response, or not all of it.

use std::io;

use seacat_http1::Violation;

/// An error of a request's body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection was over before a byte of a response came. A server that closes idle
    /// connections may do this to a request that it has not read.
    #[error("the server closed the connection without an answer{}", because(.0.as_ref()))]
    Lost(Option<io::Error>),
    /// The connection failed in the middle of the response.
    #[error("the connection broke in the middle of the response: {0}")]
    Broken(#[source] io::Error),
    /// The response breaks a rule of HTTP.
    #[error(transparent)]
    Response(#[from] Violation),
    /// The head of the response did not come within [`Limits::response`](crate::Limits::response).
    #[error("the server did not answer in time")]
    ResponseTimeout,
    /// The server stopped in the middle of a body for [`Limits::body`](crate::Limits::body).
    #[error("the server stopped in the middle of a body")]
    BodyTimeout,
    /// The request's body stopped for [`Limits::body`](crate::Limits::body).
    #[error("the request's body stopped in the middle")]
    UploadTimeout,
    /// The request's body failed.
    #[error("the request's body failed: {0}")]
    Upload(#[source] BoxError),
}

impl Error {
    /// Whether the server may never have read the request.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

fn because(error: Option<&io::Error>) -> String {
    error.map(|error| format!(": {error}")).unwrap_or_default()
}
