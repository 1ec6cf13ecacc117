//! Who we are towards the gateway: a key of our own and the certificate that the gateway's
//! administrator approved for it (wire specification, sections 3.7 to 3.10 and 5).

mod certificate;
mod client_id;
mod csr;
mod key;
mod lifecycle;
#[cfg(test)]
pub(crate) mod testing;
