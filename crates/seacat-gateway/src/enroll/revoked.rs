//! The revoked certificates, in memory, because a TLS handshake cannot wait for a disk.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use ring::digest::{SHA256, digest};

use super::record::Record;
use crate::client_id::ClientId;

/// A handle of the list; clones are handles of the same one. Both TLS libraries query it; the
/// [`Store`](super::Store) updates it.
///
/// A certificate that is not on it may still give no identity: an unknown or expired one does not
/// end the handshake and is examined afterwards.
#[derive(Debug, Clone, Default)]
pub struct Revoked(Arc<RwLock<HashMap<ClientId, Vec<Fingerprint>>>>);

/// The SHA-256 of a certificate.
type Fingerprint = [u8; 32];

impl Revoked {
    /// Whether this certificate (DER) was revoked.
    #[must_use]
    pub fn contains(&self, certificate: &[u8]) -> bool {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Most gateways have revoked no certificate.
        !list.is_empty()
            && ClientId::of_certificate(certificate)
                .and_then(|id| list.get(&id))
                .is_some_and(|taken| taken.contains(&fingerprint(certificate)))
    }

    /// Updates the entries of a client from its record. They are as bounded as the record.
    pub(super) fn note(&self, id: &ClientId, record: Option<&Record>) {
        let taken: Vec<_> =
            record.into_iter().flat_map(Record::taken_back).map(fingerprint).collect();
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match taken.is_empty() {
            true => list.remove(id),
            false => list.insert(*id, taken),
        };
    }
}

fn fingerprint(certificate: &[u8]) -> Fingerprint {
    let mut it = [0; 32];
    it.copy_from_slice(digest(&SHA256, certificate).as_ref());
    it
}
