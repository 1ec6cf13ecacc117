//! The identity's frames: CSR, CERT_QUERY and CHARACTERISTICS leave, their answers come (wire
//! specification, sections 3.6 to 3.10).

use seacat_proto::frame::{
    Cert, CertQuery, Characteristics, CharacteristicsAck, Csr, CsrReply, Malformed,
};
use seacat_proto::{Bytes, Control};
use tokio::sync::watch;

use super::key::Key;
use super::lifecycle::{Input, LinkAuth};
use super::link::Wire;

/// The connection of the moment, and the numbers that count on it.
pub(super) struct Line {
    wires: watch::Receiver<Option<Wire>>,
    current: Option<Wire>,
    /// The last CERT_QUERY on this connection.
    query: u16,
    /// What is told about this computer, and its number; no number before the files are read.
    facts: Vec<(String, String)>,
    serial: u32,
    acknowledged: u32,
}

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Input(Input),
    Certificate(Bytes),
    /// The facts of this number have arrived.
    Acknowledged(u32),
    /// It is not for us.
    Nothing,
}

impl Line {
    pub(super) fn new(wires: watch::Receiver<Option<Wire>>, facts: Vec<(String, String)>) -> Self {
        Self { wires, current: None, query: 0, facts, serial: 0, acknowledged: 0 }
    }

    /// Waits for another connection, or for none; an error means that there will be no more.
    pub(super) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.wires.changed().await
    }

    /// Takes the connection that is there now; says what has happened.
    pub(super) fn follow(&mut self) -> Vec<Input> {
        let wire = self.wires.borrow_and_update().clone();
        let generation = |wire: &Option<Wire>| wire.as_ref().map(|it| it.generation);
        if generation(&self.current) == generation(&wire) {
            return Vec::new();
        }
        self.query = 0;
        let down = self.current.take().map(|_| Input::LinkDown);
        let up = wire.as_ref().map(|it| Input::LinkUp(it.auth));
        self.current = wire;
        down.into_iter().chain(up).collect()
    }

    /// The number of the facts, and the last one that the gateway has acknowledged.
    pub(super) fn number_facts(&mut self, serial: u32, acknowledged: u32) {
        (self.serial, self.acknowledged) = (serial, acknowledged);
    }

    pub(super) fn send_csr(&self, der: &[u8]) {
        tracing::info!(bytes = der.len(), "asking the gateway for a certificate");
        self.send(&csr(der));
    }

    pub(super) fn send_query(&mut self, key: &dyn Key) {
        let Some(wire) = &self.current else { return };
        let shown = wire.auth == LinkAuth::Certificate;
        let query = self.next_query(key, shown);
        self.send(&query);
    }

    /// Ids from 1 on each connection, without 0; the key only where the connection has not shown
    /// it (wire specification, section 3.9).
    fn next_query(&mut self, key: &dyn Key, shown: bool) -> Control {
        self.query = self.query.checked_add(1).unwrap_or(1);
        let public_key = match shown {
            true => Bytes::new(),
            false => Bytes::copy_from_slice(key.public_key()),
        };
        Control::CertQuery(CertQuery { id: self.query, query: CertQuery::MINE, public_key })
    }

    /// Tells about this computer what the gateway has not acknowledged yet.
    pub(super) fn send_facts(&self) {
        if self.facts.is_empty() || self.serial == 0 || self.serial == self.acknowledged {
            return;
        }
        match self.characteristics() {
            Ok(facts) => self.send(&facts),
            Err(error) => tracing::warn!(%error, "the characteristics cannot be sent"),
        }
    }

    fn characteristics(&self) -> Result<Control, Malformed> {
        let facts: Vec<(&str, &str)> =
            self.facts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Characteristics::new(self.serial, &facts).map(Control::Characteristics)
    }

    pub(super) fn read(&mut self, frame: Control) -> Answer {
        match frame {
            Control::CsrReply(CsrReply { flags }) => Answer::Input(Input::Reply(flags)),
            Control::Cert(cert) if cert.id != self.query => {
                tracing::debug!(id = cert.id, "an answer to another question");
                Answer::Nothing
            }
            Control::Cert(Cert { certificate, .. }) if !certificate.is_empty() => {
                Answer::Certificate(certificate)
            }
            Control::Cert(Cert { flags, .. }) if flags & Cert::NOT_FOUND != 0 => {
                Answer::Input(Input::NotFound)
            }
            Control::Cert(_) => Answer::Input(Input::NotYet),
            Control::CharacteristicsAck(CharacteristicsAck { serial }) if serial == self.serial => {
                self.acknowledged = serial;
                Answer::Acknowledged(serial)
            }
            other => {
                tracing::trace!(?other, "nobody waits for this frame");
                Answer::Nothing
            }
        }
    }

    fn send(&self, frame: &Control) {
        let Some(wire) = &self.current else { return };
        if let Err(error) = wire.link.control(frame) {
            tracing::warn!(%error, "a frame about the identity cannot be sent");
        }
    }
}

fn csr(der: &[u8]) -> Control {
    Control::Csr(Csr { flags: Csr::FLAGS, der: Bytes::copy_from_slice(der) })
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod tests;
