//! Tunnels: after CONNECT or Upgrade the rest of a client's connection is raw bytes.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Version;
use seacat_channel::{Carried, TunnelError};
use seacat_http1::encode;
use tokio::net::TcpStream;

use crate::access::Record;
use crate::errors::Code;
use crate::fault::of_broken_body;
use crate::forward::Far;
use crate::forward::fields::Incoming;

/// A tunnel whose far end is open.
pub(crate) struct OpenTunnel {
    /// The head that opens it towards the client.
    pub(crate) head: Vec<u8>,
    far: Far,
    record: Record,
}

impl OpenTunnel {
    /// `version` is the request's.
    pub(crate) fn new(version: Version, response: &Incoming, far: Far, record: Record) -> Self {
        let mut head = Vec::with_capacity(512);
        encode::status_line(&mut head, version, response.status, &response.reason);
        encode::fields(&mut head, &response.fields);
        encode::end(&mut head);
        OpenTunnel { head, far, record }
    }

    /// Carries bytes until both directions have ended, or one is broken: then the far end is
    /// dropped, which resets it. `early`: what the client has sent ahead of our response.
    pub(crate) async fn run(self, client: TcpStream, early: Bytes) {
        let OpenTunnel { far, mut record, .. } = self;
        let carried = Carried::default();
        let ended = match far {
            Far::Gateway(stream) => {
                stream.carry(client, early, &carried).await.map_err(|error| match error {
                    TunnelError::Stream(cause) => (of_broken_body(&cause), cause.to_string()),
                    TunnelError::Socket(cause) => (Code::ClientGone, cause.to_string()),
                })
            }
            Far::Direct(far) => far.carry(client, early, &carried).await,
        };
        record.up().fetch_add(carried.sent.load(Ordering::Relaxed), Ordering::Relaxed);
        record.down(carried.received.load(Ordering::Relaxed));
        if let Err((code, error)) = ended {
            tracing::debug!(error, "a tunnel broke off");
            record.failed(code);
        }
    }
}
