//! The identity of a client, and the fields by which back ends receive it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use http::header::{HeaderName, HeaderValue};
use seacat_http1::hop_by_hop::is_same_variable;
use seacat_link::Share;

use crate::client_id::ClientId;
use crate::enroll::NotListed;

/// The fields by which a back end receives the client's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFields {
    /// The client id.
    pub id: HeaderName,
    /// The client tag.
    pub tag: HeaderName,
}

impl Default for IdentityFields {
    fn default() -> Self {
        Self {
            id: HeaderName::from_static("x-seacat-client-id"),
            tag: HeaderName::from_static("x-seacat-client-tag"),
        }
    }
}

impl IdentityFields {
    /// Whether a back end could take a field of this name for one of these. CGI and similar
    /// interfaces do not distinguish `-` and `_`.
    pub(crate) fn claims(&self, name: &[u8]) -> bool {
        [&self.id, &self.tag].iter().any(|ours| is_same_variable(name, ours.as_str()))
    }
}

/// An identified client.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) id: ClientId,
    /// When its certificate expires, and with it the identity.
    pub(crate) until: SystemTime,
}

/// Why a client has no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Anonymous {
    #[error("you have presented no certificate")]
    NoCertificate,
    #[error("your certificate has no RSA key")]
    NoClientId,
    #[error(transparent)]
    NotListed(#[from] NotListed),
    #[error("your certificate could not be looked up")]
    NotNow,
}

/// The client of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) address: IpAddr,
    identity: Result<Arc<Identity>, Anonymous>,
    pub(crate) fields: Arc<IdentityFields>,
    /// Its share of the gateway's budget.
    pub(crate) share: Share,
    /// Whether the records of clients cannot be read.
    blind: Arc<AtomicBool>,
}

impl Caller {
    pub(crate) fn new(
        address: IpAddr,
        identity: Result<Identity, Anonymous>,
        fields: Arc<IdentityFields>,
        share: Share,
        blind: Arc<AtomicBool>,
    ) -> Self {
        Self { address, identity: identity.map(Arc::new), fields, share, blind }
    }

    /// Its identity now. A certificate may expire during the connection, and may have been revoked
    /// while the records cannot be read.
    pub(crate) fn identity(&self, now: SystemTime) -> Result<&Identity, Anonymous> {
        match &self.identity {
            Ok(_) if self.blind.load(Ordering::Relaxed) => Err(Anonymous::NotNow),
            Ok(identity) if identity.until > now => Ok(identity),
            Ok(_) => Err(NotListed::Expired.into()),
            Err(anonymous) => Err(*anonymous),
        }
    }

    /// The fields for a back end, with their values.
    pub(crate) fn identity_fields(&self, now: SystemTime) -> Vec<(&HeaderName, HeaderValue)> {
        let Ok(identity) = self.identity(now) else {
            return Vec::new();
        };
        let (id, tag) = (identity.id.to_string(), identity.id.tag());
        let values = [(&self.fields.id, id), (&self.fields.tag, tag)];
        // Hexadecimal digits and a tag's letters are good in any field.
        let field = |(name, value): (_, String)| Some((name, HeaderValue::from_str(&value).ok()?));
        values.into_iter().filter_map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_our_fields_is_the_clients() {
        let fields = IdentityFields::default();
        for ours in [
            "X-SeaCat-Client-Id",
            "x-seacat-client-id",
            "X_SEACAT_CLIENT_ID",
            "x-seacat_client-tag",
        ] {
            assert!(fields.claims(ours.as_bytes()), "{ours}");
        }
        for theirs in ["X-SeaCat-Client", "X-SeaCat-Client-Ids", "XSeaCat-Client-Id", ""] {
            assert!(!fields.claims(theirs.as_bytes()), "{theirs}");
        }
    }
}
