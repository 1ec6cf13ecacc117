//! Errors of exchanges and the gateway's own error responses: a status, a sentence, and a
//! machine-readable Proxy-Status (RFC 9209).

use http::StatusCode;
use seacat_link::{SendHalf, StreamError, TunnelError};
use seacat_proto::{HeadTooLarge, Reason, RequestHead};
use tracing::debug;

use crate::text::Text;

/// How this gateway names itself in Proxy-Status.
pub(crate) const NAME: &str = "seacat-gateway";

/// Why an exchange failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client has reset the stream or its connection is lost.
    Gone(StreamError),
    /// The gateway resets the stream.
    Reset(Reason),
}

impl From<StreamError> for Failed {
    fn from(error: StreamError) -> Self {
        Self::Gone(error)
    }
}

impl From<TunnelError> for Failed {
    fn from(error: TunnelError) -> Self {
        match error {
            TunnelError::Stream(error) => Self::Gone(error),
            TunnelError::Socket(error) => {
                debug!(%error, "the back end of a tunnel is lost");
                Self::Reset(Reason::INTERNAL_ERROR)
            }
        }
    }
}

impl From<HeadTooLarge> for Failed {
    /// Only heads of the gateway's own responses are converted here, and none is that large.
    fn from(_: HeadTooLarge) -> Self {
        Self::Reset(Reason::INTERNAL_ERROR)
    }
}

/// Declares the enum and its rows in one place.
macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $error:literal; )*) => {
        /// The kind of failure.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $( $(#[$doc])* $name, )* }

        impl Code {
            /// The stable code, the status and the RFC 9209 error type.
            fn row(self) -> (&'static str, StatusCode, &'static str) {
                match self { $( Self::$name => ($code, StatusCode::$status, $error), )* }
            }
        }
    };
}

codes! {
    /// No host of this name.
    UnknownHost = "SC-GW-HOST", NOT_FOUND, "destination_not_found";
    /// The host requires an identity.
    Identity = "SC-GW-IDENTITY", FORBIDDEN, "http_request_denied";
    /// CONNECT has no target for this host and port.
    Connect = "SC-GW-CONNECT", FORBIDDEN, "http_request_denied";
    /// The host accepts CONNECT only.
    ConnectOnly = "SC-GW-CONNECT-ONLY", METHOD_NOT_ALLOWED, "http_request_denied";
    /// HTTP/1.1 cannot carry the request.
    Request = "SC-GW-REQUEST", BAD_REQUEST, "http_request_error";
    /// The back end refuses the connection.
    Unreachable = "SC-GW-UNREACHABLE", BAD_GATEWAY, "destination_unavailable";
    /// The back end closed the connection without a response.
    Lost = "SC-GW-LOST", BAD_GATEWAY, "connection_terminated";
    /// The back end's response is invalid.
    Response = "SC-GW-RESPONSE", BAD_GATEWAY, "http_protocol_error";
    /// The head of the response does not fit into a frame.
    ResponseHead = "SC-GW-RESPONSE-HEAD", BAD_GATEWAY, "http_response_header_section_size";
}

/// One failure, in a sentence that discloses nothing about the gateway's network.
#[derive(Debug)]
pub(crate) struct Fault {
    code: Code,
    what: String,
}

impl Fault {
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into() }
    }

    /// Sends it as the response.
    pub(crate) fn send(self, request: &RequestHead, reply: &mut SendHalf) -> Result<(), Failed> {
        let (code, status, error) = self.code.row();
        let what = quoted(&self.what);
        let value = format!("{NAME}; error={error}; code=\"{code}\"; details={what}");
        let text = Text::new(status, self.what + "\n").field("Proxy-Status", value);
        match self.code {
            Code::ConnectOnly => text.field("Allow", "CONNECT").send(request, reply),
            _ => text.send(request, reply),
        }
    }
}

/// A Proxy-Status note on a response of the back end.
pub(crate) fn note(what: &str) -> String {
    format!("{NAME}; details={}", quoted(what))
}

/// A string of structured fields (RFC 8941 section 3.3.3): visible ASCII.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_strings_of_structured_fields() {
        assert_eq!(quoted("no \"x\\y\"\r\n\u{e9}"), r#""no \"x\\y\"????""#);
        assert_eq!(note("a"), "seacat-gateway; details=\"a\"");
    }
}
