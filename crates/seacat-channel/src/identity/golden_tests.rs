//! What the reference client and its gateway said to each other, byte for byte: our frames are
//! its frames, and its gateway's answers take us through the life cycle.

use std::time::Instant;

use rustls::SignatureScheme;
use seacat_proto::Decoder;
use seacat_proto::frame::Frame;

use super::*;
use crate::identity::certificate::Certificate;
use crate::identity::key::SignError;
use crate::identity::lifecycle::{Action, Lifecycle, Mark, Now, Opened, POLL, Step, Verdict};
use crate::identity::testing::golden;

/// The reference client's key, of which we have the public half.
#[derive(Debug)]
struct TheirKey(Vec<u8>);

impl Key for TheirKey {
    fn public_key(&self) -> &[u8] {
        &self.0
    }
    fn schemes(&self) -> &[SignatureScheme] {
        &[]
    }
    fn sign(&self, _: SignatureScheme, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError)
    }
}

/// The key in a recorded CERT_QUERY: header, id and type come before it.
fn key_of(query: &str) -> TheirKey {
    TheirKey(golden(query)[12..].to_vec())
}

fn line(facts: Vec<(String, String)>) -> Line {
    Line::new(watch::channel(None).1, facts)
}

fn decode(name: &str) -> Control {
    let bytes = golden(name);
    let mut decoder = Decoder::default();
    let raw = decoder.next(&mut &bytes[..]).unwrap().unwrap();
    match Frame::decode(raw).unwrap() {
        Frame::Control(control) => control,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn our_frames_are_the_reference_clients() {
    for recorded in ["csr", "csr_with_subject"] {
        assert_eq!(csr(&golden(recorded)[8..]).encode().unwrap(), golden(recorded));
    }
    for (recorded, key, shown) in [
        ("cert_query", "cert_query", false),
        ("cert_query_anonymous", "cert_query_anonymous", false),
        ("cert_query_identified", "cert_query", true),
    ] {
        let query = line(Vec::new()).next_query(&key_of(key), shown);
        assert_eq!(query.encode().unwrap(), golden(recorded), "{recorded}");
    }
}

#[test]
fn our_characteristics_are_the_reference_clients() {
    let Control::Characteristics(theirs) = decode("characteristics") else { panic!() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let facts = theirs.items().map(|(key, value)| (text(key), text(value))).collect();
    let mut line = line(facts);
    line.number_facts(theirs.serial, 0);
    assert_eq!(line.characteristics().unwrap().encode().unwrap(), golden("characteristics"));
    assert_eq!(line.read(decode("characteristics_ack")), Answer::Acknowledged(theirs.serial));
}

/// What each recorded reply leads to after a CSR (wire specification, section 3.8).
#[test]
fn every_recorded_csr_reply() {
    for (recorded, flags, wait) in [
        ("csr_reply_stored", 1, Some(POLL)),
        ("csr_reply_flags_0x01", 1, Some(POLL)),
        ("csr_reply", 3, None),
        ("csr_reply_flags_0x03", 3, None),
    ] {
        let now = now();
        let mut machine = sent(now);
        let answer = line(Vec::new()).read(decode(recorded));
        assert_eq!(answer, Answer::Input(Input::Reply(flags)), "{recorded}");
        let actions = machine.handle(Input::Reply(flags), now);
        let asks = actions.contains(&Action::Query);
        assert_eq!(asks, wait.is_none(), "{recorded}: {actions:?}");
        if let Some(wait) = wait {
            assert_eq!(machine.step(), Step::Waiting { poll: now.mono + wait }, "{recorded}");
        }
    }
    let now = now();
    let mut machine = sent(now);
    assert_eq!(
        line(Vec::new()).read(decode("csr_reply_flags_0x04")),
        Answer::Input(Input::Reply(4))
    );
    assert_eq!(machine.handle(Input::Reply(4), now), [Action::Remember(Mark::Rejected)]);
    assert_eq!(machine.step(), Step::Rejected);
}

#[test]
fn every_recorded_answer_to_a_query() {
    let key = key_of("cert_query");
    let mut line = line(Vec::new());
    line.next_query(&key, false);
    assert_eq!(line.read(decode("cert_pending")), Answer::Input(Input::NotYet));
    assert_eq!(line.read(decode("cert_not_found")), Answer::Input(Input::NotFound));
    let Answer::Certificate(der) = line.read(decode("cert")) else { panic!() };
    assert_eq!(der, golden("cert")[12..]);
    let certificate = Certificate::read_for(&der, key.public_key()).unwrap();
    // The same answer to another question says nothing.
    line.next_query(&key, false);
    assert_eq!(line.read(decode("cert")), Answer::Nothing);

    // And so the reference client's gateway enrols us.
    let issued = certificate.validity;
    let now = Now { wall: issued.not_before, ..now() };
    let mut machine = sent(now);
    assert!(machine.handle(Input::Reply(3), now).contains(&Action::Query));
    assert_eq!(machine.handle(Input::Certificate, now), [Action::Install]);
    let installed = Input::Checked(Verdict::Installed(issued));
    assert_eq!(machine.handle(installed, now), [Action::Reconnect]);
    assert!(machine.presents(now));
}

#[test]
fn the_vectors_key_has_the_vectors_id() {
    let id = key_of("cert_query").client_id();
    assert_eq!(id.tag(), "[6X44WDUMSC2PK46D]");
    assert_eq!(key_of("cert_query_anonymous").client_id().tag(), "[DHB63WMKUJLQLBI6]");
}

fn now() -> Now {
    Now { wall: 1_790_000_000, mono: Instant::now() }
}

/// A machine that has sent its CSR.
fn sent(now: Now) -> Lifecycle {
    let mut machine = Lifecycle::new(true);
    let found = Opened::Found { certificate: None, mark: Mark::Ready, last_try: None };
    machine.handle(Input::Opened(found), now);
    assert!(machine.handle(Input::LinkUp(LinkAuth::Nothing), now).contains(&Action::SendCsr));
    machine
}
