//! CERT_QUERY and CERT: a client fetches its certificate (wire spec 3.9, 3.10).

use bytes::Bytes;

use super::{HeadTooLarge, Kind, Malformed, assemble, take_array};

/// The query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertQuery {
    /// Counts from 1 on each connection.
    pub id: u16,
    /// The reference client always sends [`CertQuery::MINE`].
    pub query: u16,
    /// PKCS#1 `RSAPublicKey` in DER on an anonymous connection, empty on an identified one.
    pub public_key: Bytes,
}

impl CertQuery {
    /// Query type 1: the certificate that belongs to my key.
    pub const MINE: u16 = 1;

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (fixed, key) = take_array::<4>(body, "CERT_QUERY is too short")?;
        Ok(Self {
            id: u16::from_be_bytes([fixed[0], fixed[1]]),
            query: u16::from_be_bytes([fixed[2], fixed[3]]),
            public_key: Bytes::copy_from_slice(key),
        })
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the key does not fit into one frame.
    pub fn encode(&self) -> Result<Vec<u8>, HeadTooLarge> {
        let parts = [&self.id.to_be_bytes()[..], &self.query.to_be_bytes(), &self.public_key];
        assemble(Kind::CERT_QUERY, 0, &parts)
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    /// Flag bits; [`Cert::NOT_FOUND`] is the only known one.
    pub flags: u8,
    /// The query's id.
    pub id: u16,
    /// X.509 in DER; empty while there is none.
    pub certificate: Bytes,
}

impl Cert {
    /// The gateway knows no request of this key.
    pub const NOT_FOUND: u8 = 0x80;

    /// Reads a body of this type.
    ///
    /// # Errors
    /// [`Malformed`] when it is too short.
    pub fn decode(flags: u8, body: &[u8]) -> Result<Self, Malformed> {
        let (fixed, der) = take_array::<4>(body, "CERT is too short")?;
        let id = u16::from_be_bytes([fixed[0], fixed[1]]);
        Ok(Self { flags, id, certificate: Bytes::copy_from_slice(der) })
    }

    /// Writes the whole frame.
    ///
    /// # Errors
    /// [`HeadTooLarge`] when the certificate does not fit into one frame.
    pub fn encode(&self) -> Result<Vec<u8>, HeadTooLarge> {
        assemble(Kind::CERT, self.flags, &[&self.id.to_be_bytes(), &[0, 0], &self.certificate])
    }
}
