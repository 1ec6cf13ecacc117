//! The frames of the published reference client are truth: every recorded frame decodes
//! to its recorded fields, wherever the input is cut, and encodes to the same bytes.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use seacat_proto::frame::{
    Cert, CertQuery, Characteristics, Csr, Frame, Ping, RstStream, SocketsReply, SocketsRequest,
    SynReply, SynStream,
};
use seacat_proto::{Control, Decoder, Priority, ReplyHead, RequestHead, StreamId};
use serde_json::Value;

const FILES: [(&str, &str); 9] = [
    ("http", include_str!("golden/http.json")),
    ("http_big", include_str!("golden/http_big.json")),
    ("vle", include_str!("golden/vle.json")),
    ("replies", include_str!("golden/replies.json")),
    ("ping", include_str!("golden/ping.json")),
    ("identity", include_str!("golden/identity.json")),
    ("sockets", include_str!("golden/sockets.json")),
    ("misc", include_str!("golden/misc.json")),
    ("java", include_str!("golden/java.json")),
];

struct Vector {
    name: String,
    bytes: Vec<u8>,
    fields: Value,
}

fn vectors() -> Vec<Vector> {
    let mut found = Vec::new();
    for (file, text) in FILES {
        let items: Vec<Value> = serde_json::from_str(text).unwrap();
        for item in items {
            found.push(Vector {
                name: format!("{file}: {}", item["name"].as_str().unwrap()),
                bytes: unhex(item["hex"].as_str().unwrap()),
                fields: item["fields"].clone(),
            });
        }
    }
    assert!(found.len() > 90, "only {} vectors", found.len());
    found
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn text(bytes: &[u8]) -> Value {
    Value::from(std::str::from_utf8(bytes).unwrap())
}

fn pairs<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Value {
    fields.map(|(name, value)| Value::from(vec![text(name), text(value)])).collect()
}

/// Decodes one frame and gives it to `look`; the input is cut at `cut`.
fn decode(bytes: &[u8], cut: usize, mut look: impl FnMut(Frame<'_>)) {
    let mut decoder = Decoder::default();
    let mut frames = 0;
    for mut part in [&bytes[..cut], &bytes[cut..]] {
        while let Some(raw) = decoder.next(&mut part).unwrap() {
            look(Frame::decode(raw).unwrap());
            frames += 1;
        }
    }
    assert_eq!(frames, 1);
}

#[test]
fn every_vector_decodes_to_its_fields() {
    for Vector { name, bytes, fields } in vectors() {
        decode(&bytes, 0, |frame| check_fields(&name, &fields, &frame));
    }
}

fn check_fields(name: &str, fields: &Value, frame: &Frame<'_>) {
    let is = |key: &str, value: Value| {
        assert_eq!(fields[key], value, "{name}: {key}");
    };
    match frame {
        Frame::SynStream(SynStream { id, fin, head }) => {
            is("name", "SYN_STREAM".into());
            is("stream_id", id.get().into());
            is("fin", (*fin).into());
            is("priority", head.priority().get().into());
            is("host", text(head.host()));
            is("method", text(head.method()));
            is("path", text(head.path()));
            is("headers", pairs(head.fields()));
        }
        Frame::SynReply(SynReply { id, fin, head }) => {
            is("name", "SYN_REPLY".into());
            is("stream_id", id.get().into());
            is("fin", (*fin).into());
            is("status", head.status().into());
            is("headers", pairs(head.fields()));
        }
        Frame::Data { id, fin, payload } => {
            is("name", "DATA".into());
            is("stream_id", id.get().into());
            is("fin", (*fin).into());
            is("length", payload.len().into());
        }
        Frame::RstStream(RstStream { id, reason }) => {
            is("name", "RST_STREAM".into());
            is("stream_id", id.get().into());
            is("status", reason.0.into());
        }
        Frame::Ping(Ping { id }) => {
            is("name", "PING".into());
            is("ping_id", (*id).into());
        }
        Frame::SocketsRequest(SocketsRequest { id, command, address_type, port }) => {
            is("name", "SOCKETS_REQUEST".into());
            is("stream_id", id.get().into());
            is("cmd", (*command).into());
            is("atyp", (*address_type).into());
            is("port", (*port).into());
        }
        Frame::SocketsReply(SocketsReply { id, code }) => {
            is("name", "SOCKETS_REPLY".into());
            is("stream_id", id.get().into());
            is("code", code.0.into());
        }
        Frame::Announcement(_)
        | Frame::WindowUpdate(_)
        | Frame::ConnectionEnded(_)
        | Frame::GoAway(_) => panic!("{name}: none was recorded"),
        Frame::Control(control) => check_control(&is, control),
    }
}

fn check_control(is: &dyn Fn(&str, Value), control: &Control) {
    let flags = |flags: u8| is("flags", format!("0x{flags:02X}").into());
    match control {
        Control::Csr(Csr { flags: bits, der }) => {
            is("name", "CSR".into());
            is("der_len", der.len().into());
            flags(*bits);
            assert_eq!(*bits, Csr::FLAGS);
        }
        Control::CsrReply(reply) => {
            is("name", "CSR_REPLY".into());
            flags(reply.flags);
        }
        Control::CertQuery(CertQuery { id, query, public_key }) => {
            is("name", "CERT_QUERY".into());
            is("query_id", (*id).into());
            is("query_type", (*query).into());
            let hex: String = public_key.iter().map(|b| format!("{b:02x}")).collect();
            is("public_key_der", hex.into());
        }
        Control::Cert(Cert { flags: bits, id, certificate }) => {
            is("name", "CERT".into());
            is("query_id", (*id).into());
            is("cert_der_len", certificate.len().into());
            flags(*bits);
        }
        Control::Characteristics(facts) => {
            is("name", "CHARACTERISTICS".into());
            is("serial", facts.serial.into());
            let items: Value =
                facts.items().map(|(key, value)| text(&[key, &[0x1F], value].concat())).collect();
            is("items", items);
        }
        Control::CharacteristicsAck(ack) => {
            is("name", "CHARACTERISTICS_ACK".into());
            is("serial", ack.serial.into());
        }
        Control::Unknown { body, .. } => {
            is("name", "UNKNOWN".into());
            is("length", body.len().into());
        }
    }
}

#[test]
fn every_vector_decodes_the_same_wherever_it_is_cut() {
    for Vector { name, bytes, .. } in vectors() {
        let mut whole = String::new();
        decode(&bytes, 0, |frame| whole = format!("{frame:?}"));
        for cut in 1..bytes.len() {
            decode(&bytes, cut, |frame| {
                assert_eq!(format!("{frame:?}"), whole, "{name} cut at {cut}");
            });
        }
    }
}

/// Built again from what it says, part by part, every frame has the recorded bytes.
#[test]
fn every_vector_is_encoded_byte_for_byte() {
    for Vector { name, bytes, .. } in vectors() {
        decode(&bytes, 0, |frame| {
            assert_eq!(rebuild(frame), bytes, "{name}");
        });
    }
}

fn rebuild(frame: Frame<'_>) -> Vec<u8> {
    match frame {
        Frame::SynStream(SynStream { id, fin, head: old }) => {
            let mut head = RequestHead::builder(old.host(), old.method(), old.path()).unwrap();
            old.fields().for_each(|(name, value)| head.push(name, value).unwrap());
            let mut head = head.build();
            head.set_priority(old.priority());
            SynStream { id, fin, head }.encode()
        }
        Frame::SynReply(SynReply { id, fin, head: old }) => {
            let mut head = ReplyHead::new(old.status());
            old.fields().for_each(|(name, value)| head.push(name, value).unwrap());
            SynReply { id, fin, head }.encode()
        }
        Frame::Data { id, fin, payload } => {
            [&seacat_proto::frame::head::data(id, fin, payload.len())[..], payload].concat()
        }
        Frame::RstStream(frame) => frame.encode().to_vec(),
        Frame::Ping(frame) => frame.encode().to_vec(),
        Frame::Announcement(frame) => frame.encode().to_vec(),
        Frame::ConnectionEnded(frame) => frame.encode().to_vec(),
        Frame::GoAway(frame) => frame.encode().to_vec(),
        Frame::WindowUpdate(frame) => frame.encode().to_vec(),
        Frame::SocketsRequest(frame) => frame.encode().to_vec(),
        Frame::SocketsReply(frame) => frame.encode().to_vec(),
        Frame::Control(Control::Characteristics(old)) => {
            let items: Vec<(String, String)> = old
                .items()
                .map(|(key, value)| {
                    (String::from_utf8_lossy(key).into(), String::from_utf8_lossy(value).into())
                })
                .collect();
            // Backwards: sorting is the encoder's work.
            let items: Vec<(&str, &str)> =
                items.iter().rev().map(|(key, value)| (&key[..], &value[..])).collect();
            let facts = Characteristics::new(old.serial, &items).unwrap();
            Control::Characteristics(facts).encode().unwrap()
        }
        Frame::Control(control) => control.encode().unwrap(),
    }
}

/// The requests as a client of ours would make them, through a whole [`seacat_proto::Connection`].
#[test]
fn our_client_writes_what_the_reference_client_wrote() {
    use seacat_proto::{Config, Connection, Role};
    let now = std::time::Instant::now();
    let mut client = Connection::new(Role::Client, &Config::default(), now);
    let mut expected_id = 1;
    let items: Vec<Value> = serde_json::from_str(FILES[0].1).unwrap();
    let requests = items.iter().filter(|item| item["fields"]["name"] == "SYN_STREAM");
    for item in requests {
        let fields = &item["fields"];
        let part = |key: &str| fields[key].as_str().unwrap().as_bytes();
        let mut head = RequestHead::builder(part("host"), part("method"), part("path")).unwrap();
        for pair in fields["headers"].as_array().unwrap() {
            let side = |at: usize| pair[at].as_str().unwrap().as_bytes();
            head.push(side(0), side(1)).unwrap();
        }
        let mut head = head.build();
        head.set_priority(Priority::new(fields["priority"].as_u64().unwrap() as u8).unwrap());
        let id = client.open(head, fields["fin"].as_bool().unwrap()).unwrap();
        assert_eq!(id, StreamId::new(expected_id).unwrap());
        expected_id += 2;
        let frame = client.poll_transmit().unwrap().to_vec();
        assert_eq!(frame, unhex(item["hex"].as_str().unwrap()), "{}", item["name"]);
    }
    assert!(expected_id > 9, "the vectors run from stream 1 on without a gap");
}
