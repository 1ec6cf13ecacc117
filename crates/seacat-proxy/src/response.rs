//! The head and body of a response, before they are framed for the client.

use http::StatusCode;
use seacat_http1::Fields;

/// A response. Its fields have no hop-by-hop ones.
pub(crate) struct Response<B> {
    pub(crate) status: StatusCode,
    /// The reason phrase; empty: the usual one.
    pub(crate) reason: Box<[u8]>,
    pub(crate) fields: Fields,
    pub(crate) body: B,
}

impl<B> Response<B> {
    pub(crate) fn new(status: StatusCode, fields: Fields, body: B) -> Self {
        Response { status, reason: Box::default(), fields, body }
    }

    /// The same with another body.
    pub(crate) fn map<C>(self, change: impl FnOnce(B) -> C) -> Response<C> {
        let Response { status, reason, fields, body } = self;
        Response { status, reason, fields, body: change(body) }
    }
}
