//! The record of one client.
//!
//! ```text
//!                CSR              approve              CERT_QUERY
//!   (unknown) ────────► pending ───────────► approved ────────────► issued ◄─┐ renewal
//!        │               │  ▲                   ▲  │                 │  └────┘
//!        │               │  └── expired, CSR ───┼──┼─────────────────┤
//!        │        reject │                      │  │ reject          │ revoke
//!        │               └──────► rejected ─────┤◄─┘                 ▼
//!        │                           ▲          └──── approve ─── revoked ◄─┐ CSR: it
//!        │                           └─────────────── reject ────────┘  └───┘ asks again
//!        └─ CSR, automatic ─► issued
//! ```
//!
//! An administrator approves, rejects and revokes. All other transitions are caused by the client,
//! as far as the [policy](super::policy) permits.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use seacat_proto::frame::Characteristics;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ca::Certificate;
use super::request::{About, Request};

/// The state of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its request waits for an administrator.
    Pending,
    /// Approved. The certificate is made when the client queries it, so that a short lifetime does
    /// not begin before.
    Approved,
    /// It has been issued a certificate, which may have expired.
    Issued,
    /// Its request was rejected.
    Rejected,
    /// Its certificates were revoked.
    Revoked,
}

impl State {
    /// The state as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Issued => "issued",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
        }
    }
}

/// One client, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    version: Version,
    pub(crate) state: State,
    /// When it entered this state.
    since: Seconds,
    /// Where the client connected from when it sent the request that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// When it has sent a request after it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asks_again: Option<Seconds>,
    /// The request: while pending the one to decide about, afterwards the one decided about.
    pub(crate) csr: Der,
    /// Its certificates, newest last. Those that are neither expired nor revoked form the
    /// allow-list.
    #[serde(default, rename = "certificate", skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<Issued>,
    /// The characteristics it has sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) characteristics: Option<Facts>,
}

/// The version of the format. A gateway that does not know it leaves the record unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct Version;

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issued {
    pub(crate) der: Der,
    from: Seconds,
    until: Seconds,
    /// It was revoked, and stays revoked when the client gets another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

/// A client's characteristics (wire specification, section 3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) serial: u32,
    pub(crate) items: BTreeMap<String, String>,
}

/// Why an administrator's operation does not apply to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApplicable {
    /// It is in that state already.
    #[error("it is {} already", .0.as_str())]
    Already(State),
    /// There is no request to reject.
    #[error("it has a certificate: use revoke")]
    UseRevoke,
}

/// Why a presented certificate gives no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotListed {
    #[error("this gateway has not issued your certificate, or has replaced it")]
    Unknown,
    #[error("your certificate has expired")]
    Expired,
    #[error("your certificate has been revoked")]
    Revoked,
}

impl Record {
    /// Certificates stored for one client. Two overlap during a renewal; the others allow for a
    /// client that did not receive its new one and renewed again.
    const CERTIFICATES: usize = 8;

    /// A client that was not known before.
    pub(crate) fn new(csr: &[u8], now: SystemTime) -> Self {
        Self {
            version: Version,
            state: State::Pending,
            since: now.into(),
            address: None,
            asks_again: None,
            csr: Der(csr.to_vec()),
            certificates: Vec::new(),
            characteristics: None,
        }
    }

    /// Approves the client. A revoked client that has not asked again gets its newest certificate back:
    /// a reference client goes on presenting it, is refused in the handshake, and so never asks. It is
    /// for the same key as a new one would be. Otherwise its earlier certificates stay revoked.
    ///
    /// # Errors
    /// When it is approved already.
    pub(crate) fn approve(&mut self, now: SystemTime) -> Result<(), NotApplicable> {
        let asks = self.asks_again.is_some();
        let newest = self.certificates.last_mut().filter(|it| it.until.time() > now);
        match (self.state, newest) {
            (State::Revoked, Some(newest)) if !asks => {
                newest.revoked = false;
                self.enter(State::Issued, now);
                return Ok(());
            }
            _ => {}
        }
        match self.state {
            State::Pending | State::Rejected | State::Revoked => {
                self.enter(State::Approved, now);
                Ok(())
            }
            State::Approved | State::Issued => Err(NotApplicable::Already(self.state)),
        }
    }

    /// Rejects its request. An earlier certificate is revoked, too.
    ///
    /// # Errors
    /// When there is no request.
    pub(crate) fn reject(&mut self, now: SystemTime) -> Result<(), NotApplicable> {
        match self.state {
            State::Pending | State::Approved | State::Revoked => {
                self.take_back();
                self.enter(State::Rejected, now);
                Ok(())
            }
            State::Issued => Err(NotApplicable::UseRevoke),
            State::Rejected => Err(NotApplicable::Already(self.state)),
        }
    }

    /// Revokes all its certificates and withdraws a waiting request.
    ///
    /// # Errors
    /// When it is revoked.
    pub(crate) fn revoke(&mut self, now: SystemTime) -> Result<(), NotApplicable> {
        if self.state == State::Revoked {
            return Err(NotApplicable::Already(self.state));
        }
        self.take_back();
        self.enter(State::Revoked, now);
        Ok(())
    }

    fn take_back(&mut self) {
        self.certificates.iter_mut().for_each(|it| it.revoked = true);
    }

    /// The revoked certificates, DER.
    pub(crate) fn taken_back(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().filter(|it| it.revoked).map(|it| it.der.0.as_slice())
    }

    /// Stores a request for an administrator to decide. Repeating the same request changes nothing.
    /// A revoked client stays revoked meanwhile.
    pub(crate) fn wait(&mut self, csr: &[u8], address: IpAddr, now: SystemTime) {
        self.csr.0 = csr.to_vec();
        match self.state {
            State::Pending => {}
            State::Revoked => self.asks_again = self.asks_again.or(Some(now.into())),
            _ => self.enter(State::Pending, now),
        }
        self.address.get_or_insert(address);
    }

    /// Stores a certificate that was issued for `csr`.
    pub(crate) fn issue(&mut self, csr: Vec<u8>, certificate: Certificate, now: SystemTime) {
        self.csr.0 = csr;
        self.certificates.retain(|it| it.until.time() > now);
        while self.certificates.len() >= Self::CERTIFICATES {
            self.certificates.remove(0);
        }
        self.certificates.push(Issued {
            der: Der(certificate.der),
            from: certificate.from.into(),
            until: certificate.until.into(),
            revoked: false,
        });
        self.enter(State::Issued, now);
    }

    fn enter(&mut self, state: State, now: SystemTime) {
        self.state = state;
        self.since = now.into();
        self.asks_again = None;
        self.address = None;
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it has been in this state.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        self.since.time()
    }

    /// Where the client connected from when it sent the request that waits.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Since when it has been asking again after a revocation, if it does.
    #[must_use]
    pub fn asks_again(&self) -> Option<SystemTime> {
        self.asks_again.map(Seconds::time)
    }

    /// When its newest certificate expires or expired.
    #[must_use]
    pub fn until(&self) -> Option<SystemTime> {
        self.certificates.last().map(|it| it.until.time())
    }

    /// What its request states about it. Not verified.
    #[must_use]
    pub fn about(&self) -> About {
        // The request was valid when it was stored.
        Request::parse(&self.csr.0).map_or_else(|_| About::default(), |it| it.about)
    }

    /// The characteristics of its computer (wire specification, section 3.6).
    pub fn characteristics(&self) -> impl Iterator<Item = (&str, &str)> {
        let facts = self.characteristics.iter().flat_map(|it| &it.items);
        facts.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Its newest certificate, if that has not expired.
    pub(crate) fn current(&self, now: SystemTime) -> Option<&Issued> {
        self.certificates.last().filter(|it| it.until.time() > now && !it.revoked)
    }

    /// Looks a certificate up on the allow-list and returns until when it is valid.
    pub(crate) fn listed(&self, der: &[u8], now: SystemTime) -> Result<SystemTime, NotListed> {
        if matches!(self.state, State::Rejected | State::Revoked) {
            return Err(NotListed::Revoked);
        }
        let found = self.certificates.iter().find(|it| it.der.0 == der);
        let found = found.ok_or(NotListed::Unknown)?;
        match found.until.time() {
            _ if found.revoked => Err(NotListed::Revoked),
            until if until > now => Ok(until),
            _ => Err(NotListed::Expired),
        }
    }
}

impl Issued {
    /// Whether more than half of its lifetime is over.
    pub(crate) fn is_aging(&self, now: SystemTime) -> bool {
        let life = self.until.0.saturating_sub(self.from.0);
        Seconds::from(now).0.saturating_sub(self.from.0) > life / 2
    }
}

impl From<&Characteristics> for Facts {
    fn from(frame: &Characteristics) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let items = frame.items().map(|(key, value)| (text(key), text(value))).collect();
        Self { serial: frame.serial, items }
    }
}

/// DER, base64 in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Der(pub(crate) Vec<u8>);

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Seconds(u32);

impl Seconds {
    fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.into())
    }
}

impl From<SystemTime> for Seconds {
    /// Until 2106, which is beyond any certificate of ours.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
    }
}

impl TryFrom<u8> for Version {
    type Error = &'static str;

    fn try_from(version: u8) -> Result<Self, &'static str> {
        match version {
            1 => Ok(Self),
            _ => Err("this record was written by a newer gateway"),
        }
    }
}

impl From<Version> for u8 {
    fn from(_: Version) -> Self {
        1
    }
}
