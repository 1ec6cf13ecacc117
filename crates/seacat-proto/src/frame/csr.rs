//! CSR and CSR_REPLY: a client requests a certificate (wire spec 3.7, 3.8).

use bytes::Bytes;

use super::{HeadTooLarge, Kind, assemble};

/// The client's signing request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    /// Flags; the reference client sends [`Csr::FLAGS`].
    pub flags: u8,
    /// PKCS#10 in DER, not parsed here.
    pub der: Bytes,
}

impl Csr {
    /// What the reference client sets.
    pub const FLAGS: u8 = 0x01;

    /// Reads a body of this type: all of it is the request.
    #[must_use]
    pub fn decode(flags: u8, body: &[u8]) -> Self {
        Self { flags, der: Bytes::copy_from_slice(body) }
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the request does not fit into one frame.
    pub fn encode(&self) -> Result<Vec<u8>, HeadTooLarge> {
        assemble(Kind::CSR, self.flags, &[&self.der])
    }
}

/// The answer to the request. Only the flags have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsrReply {
    /// Flag bits as received.
    pub flags: u8,
}

impl CsrReply {
    /// The request is stored.
    pub const STORED: u8 = 0x01;
    /// It is approved; the certificate can be queried.
    pub const APPROVED: u8 = 0x02;
    /// It is rejected.
    pub const REJECTED: u8 = 0x04;

    /// Reads a frame of this type; a body, if any, is ignored.
    #[must_use]
    pub fn decode(flags: u8) -> Self {
        Self { flags }
    }

    /// Writes the whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::head::control(Kind::CSR_REPLY, self.flags, 0).to_vec()
    }
}
