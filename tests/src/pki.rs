//! A CA of the test's own, for certificates that no gateway would make for itself: of the past, or
//! by another party.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// A day: year, month, day.
pub type Day = (i32, u8, u8);

/// Writes `ca.pem`, `server.pem` and `server.key` into `dir`: a CA called `name` that is valid until
/// `ca_until`, and a certificate of it for `localhost`, valid from 2024 until `until`.
pub fn write_pki(dir: &Path, name: &str, ca_until: Day, until: Day) {
    let day = |(year, month, day): Day| date_time_ymd(year, month, day);
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, name);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (ca.not_before, ca.not_after) = (day((2024, 1, 1)), day(ca_until));
    let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    server.distinguished_name.push(DnType::CommonName, "localhost");
    (server.not_before, server.not_after) = (day((2024, 1, 1)), day(until));
    let certificate = server.signed_by(&key, &issuer).unwrap();
    fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
    fs::write(dir.join("server.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
}
