//! Extensions: their bytes, how two ends agree on them, and that a peer that announced none gets
//! and is believed nothing (docs/protocol/extensions.md).

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod pair;

use std::time::Instant;

use pair::Pair;
use seacat_proto::frame::{
    Announcement, ConnectionEnded, Frame, GoAway, RstStream, SynReply, SynStream, WindowUpdate,
};
use seacat_proto::{
    Config, Connection, ConnectionError, Decoder, Event, Extensions, OpenError, Reason, ReplyHead,
    RequestHead, Role, StreamId,
};

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}

fn get() -> RequestHead {
    RequestHead::new(b"h", b"GET", b"/").unwrap()
}

fn with_field() -> RequestHead {
    let mut head = RequestHead::builder(b"h", b"GET", b"/").unwrap();
    head.push(b"A", b"b").unwrap();
    head.build()
}

fn named(connection: u32) -> RequestHead {
    let mut head = with_field();
    head.set_connection(connection).unwrap();
    head
}

fn replied(reason: &[u8]) -> ReplyHead {
    let mut head = ReplyHead::with_reason(200, reason).unwrap();
    head.push(b"A", b"b").unwrap();
    head
}

fn written(connection: &mut Connection) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| connection.poll_transmit()).map(|frame| frame.to_vec()).collect()
}

fn fresh(role: Role, extensions: Extensions) -> Connection {
    let config = Config { extensions, ..Config::default() };
    Connection::new(role, &config, Instant::now())
}

/// Both ends know these, and have agreed on them.
fn agreed(extensions: Extensions) -> Pair {
    let mut pair = Pair::new(extensions);
    pair.client.ping(pair.now);
    pair.settle();
    assert_eq!(pair.client.extensions(), extensions);
    assert_eq!(pair.gateway.extensions(), extensions);
    pair
}

/// What every extension looks like on the wire, byte for byte.
#[test]
fn frames_have_their_bytes() {
    let extensions = Extensions::ALL;
    let announcement = Announcement { initial_window: 65_536, extensions, streams: 1024 };
    let update = WindowUpdate { id: id(7), bytes: 256 };
    let request = SynStream { id: id(1), fin: true, head: named(4_294_967_295) };
    let reply = SynReply { id: id(1), fin: false, head: replied(b"Fine") };
    let cases: [(&str, Vec<u8>, &[u8]); 6] = [
        (
            "EXTENSIONS",
            announcement.encode().into(),
            b"\x80\xA1\0\x58\0\0\0\x0C\0\x01\0\0\0\0\0\x0F\0\0\x04\0",
        ),
        ("WINDOW_UPDATE", update.encode().into(), b"\x80\x03\0\x09\0\0\0\x08\0\0\0\x07\0\0\x01\0"),
        (
            "GOAWAY",
            GoAway { last: 9 }.encode().into(),
            b"\x80\x03\0\x07\0\0\0\x08\0\0\0\x09\0\0\0\0",
        ),
        (
            "CONNECTION_ENDED",
            ConnectionEnded { id: 258 }.encode().into(),
            b"\x80\xA1\0\x59\0\0\0\x04\0\0\x01\x02",
        ),
        (
            "SYN_STREAM",
            request.encode(),
            b"\x80\xA1\0\x01\x01\0\0\x2D\0\0\0\x01\0\0\0\0\x60\0\
              \x01h\x03GET\x01/\x0B:connection\x0A4294967295\x01A\x01b",
        ),
        (
            "SYN_REPLY",
            reply.encode(),
            b"\x80\xA1\0\x02\0\0\0\x19\0\0\0\x01\0\xC8\0\0\x07:reason\x04Fine\x01A\x01b",
        ),
    ];
    for (name, ours, wire) in cases {
        assert_eq!(ours.escape_ascii().to_string(), wire.escape_ascii().to_string(), "{name}");
        let mut rest = wire;
        let mut decoder = Decoder::default();
        let raw = decoder.next(&mut rest).unwrap().unwrap();
        let again = match Frame::decode(raw).unwrap() {
            Frame::Announcement(frame) => frame.encode().to_vec(),
            Frame::WindowUpdate(frame) => frame.encode().to_vec(),
            Frame::GoAway(frame) => frame.encode().to_vec(),
            Frame::ConnectionEnded(frame) => frame.encode().to_vec(),
            Frame::SynStream(frame) => {
                assert_eq!(frame.head.connection(), Some(u32::MAX));
                assert_eq!(frame.head.fields().collect::<Vec<_>>(), [(&b"A"[..], &b"b"[..])]);
                frame.encode()
            }
            Frame::SynReply(frame) => {
                assert_eq!(frame.head.reason(), Some(&b"Fine"[..]));
                assert_eq!(frame.head.fields().collect::<Vec<_>>(), [(&b"A"[..], &b"b"[..])]);
                frame.encode()
            }
            other => panic!("{name} became {other:?}"),
        };
        assert_eq!(again, wire, "{name}");
    }
}

/// Each end uses what both know, and the client is the one that settles it.
#[test]
fn two_ends_agree_on_what_both_know() {
    let now = Instant::now();
    let some = Extensions::ALL.without(Extensions::WINDOWS);
    let mut gateway = fresh(Role::Gateway, Extensions::ALL);
    let mut client = fresh(Role::Client, some);
    client.ping(now);
    for frame in written(&mut client) {
        gateway.handle_input(&frame, now).unwrap();
    }
    let streams = 4096;
    let extensions = Extensions::ALL;
    let offer = Announcement { initial_window: 65_536, extensions, streams };
    let from_gateway = written(&mut gateway);
    assert_eq!(from_gateway[0], offer.encode());
    for frame in from_gateway {
        client.handle_input(&frame, now).unwrap();
    }
    let answer = Announcement { initial_window: 0, extensions: some, streams };
    assert_eq!(written(&mut client), [answer.encode()]);
    gateway.handle_input(&answer.encode(), now).unwrap();
    assert_eq!(written(&mut gateway), [answer.encode()]);
    assert_eq!((client.extensions(), gateway.extensions()), (some, some));
    assert!(!gateway.has_windows() && !client.has_windows());
}

/// A client opens no more streams than the gateway takes, so none of them is refused.
#[test]
fn the_peers_limit_of_streams_is_kept() {
    let now = Instant::now();
    let config = Config { max_streams: 2, ..Config::default() };
    let mut pair = Pair {
        client: Connection::new(Role::Client, &Config::default(), now),
        gateway: Connection::new(Role::Gateway, &config, now),
        now,
    };
    pair.client.ping(now);
    pair.settle();
    let first = pair.client.open(get(), true).unwrap();
    pair.client.open(get(), true).unwrap();
    assert!(!pair.client.can_open());
    assert_eq!(pair.client.open(get(), true), Err(OpenError::TooManyStreams));
    pair.settle();
    pair.gateway.reply(first, ReplyHead::new(204), true).unwrap();
    pair.settle();
    assert!(pair.client.open(get(), true).is_ok());
}

#[test]
fn requests_name_their_connection_and_its_end() {
    let mut pair = agreed(Extensions::ALL);
    pair.client.open(named(7), true).unwrap();
    pair.client.open(get(), true).unwrap();
    assert!(pair.client.end_connection(7));
    match &pair.settle().gateway[..] {
        [
            Event::Request { head: first, .. },
            Event::Request { head: second, .. },
            Event::ConnectionEnded { id: 7 },
        ] => assert_eq!((first.connection(), second.connection()), (Some(7), None)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn replies_carry_their_reason() {
    let mut pair = agreed(Extensions::ALL);
    let stream = pair.client.open(get(), true).unwrap();
    pair.settle();
    pair.gateway.reply(stream, replied(b"As You Like It"), true).unwrap();
    match &pair.settle().client[..] {
        [Event::Reply { head, .. }] => {
            assert_eq!(head.reason(), Some(&b"As You Like It"[..]));
            assert_eq!(head.fields().collect::<Vec<_>>(), [(&b"A"[..], &b"b"[..])]);
        }
        other => panic!("{other:?}"),
    }
}

/// Neither the extension's fields nor its frames reach a peer that has not announced it.
#[test]
fn a_peer_that_announced_nothing_gets_nothing() {
    let now = Instant::now();
    let mut client = fresh(Role::Client, Extensions::ALL);
    client.open(named(7), true).unwrap();
    assert!(!client.end_connection(7));
    client.drain();
    let plain = SynStream { id: id(1), fin: true, head: with_field() };
    assert_eq!(written(&mut client), [plain.encode()]);

    let mut gateway = fresh(Role::Gateway, Extensions::ALL);
    gateway.handle_input(&plain.encode(), now).unwrap();
    written(&mut gateway); // its offer, the one frame that such a peer does not know
    gateway.reply(id(1), replied(b"Fine"), false).unwrap();
    gateway.drain();
    let mut head = ReplyHead::new(200);
    head.push(b"A", b"b").unwrap();
    assert_eq!(written(&mut gateway), [SynReply { id: id(1), fin: false, head }.encode()]);
}

/// A frame of an extension that is not agreed means nothing, whatever it holds: other programs may
/// use its number, and SPDY/3.1 has WINDOW_UPDATE on stream 0.
#[test]
fn frames_of_what_is_not_agreed_are_ignored() {
    let now = Instant::now();
    let strange: [&[u8]; 9] = [
        b"\x80\x03\0\x09\0\0\0\x08\0\0\0\0\0\0\x01\0", // WINDOW_UPDATE on stream 0
        b"\x80\x03\0\x09\0\0\0\x04\0\0\0\x01",         // cut short
        b"\x80\x03\0\x09\0\0\0\x08\0\0\0\x01\0\0\x01\0",
        b"\x80\xA1\0\x58\0\0\0\x02\0\0", // EXTENSIONS, cut short
        b"\x80\xA1\0\x58\0\0\0\0",
        b"\x80\xA1\0\x59\0\0\0\x04\0\0\x01\x02", // CONNECTION_ENDED
        b"\x80\xA1\0\x59\0\0\0\x01\0",           // cut short
        b"\x80\x03\0\x07\0\0\0\x08\0\0\0\x09\0\0\0\0", // GOAWAY
        b"\x80\x03\0\x07\0\0\0\0",
    ];
    for role in [Role::Client, Role::Gateway] {
        for extensions in [Extensions::ALL, Extensions::NONE] {
            for frame in strange {
                let mut end = fresh(role, extensions);
                end.handle_input(frame, now).unwrap();
                while let Some(event) = end.poll_event() {
                    assert!(matches!(event, Event::Control(_)), "{event:?}");
                }
                assert!(end.extensions().is_empty());
            }
        }
    }
    // Pseudo-fields likewise: the head arrives without them.
    let mut gateway = fresh(Role::Gateway, Extensions::ALL);
    gateway
        .handle_input(&SynStream { id: id(1), fin: true, head: named(7) }.encode(), now)
        .unwrap();
    let Some(Event::Request { head, .. }) = gateway.poll_event() else { panic!("no request") };
    assert_eq!((head.connection(), head.fields().count()), (None, 1));
    let mut client = fresh(Role::Client, Extensions::ALL);
    let stream = client.open(get(), true).unwrap();
    let frame = SynReply { id: stream, fin: true, head: replied(b"Fine") }.encode();
    client.handle_input(&frame, now).unwrap();
    let Some(Event::Reply { head, .. }) = client.poll_event() else { panic!("no reply") };
    assert_eq!((head.reason(), head.fields().count()), (None, 1));
}

/// Once windows are agreed, a broken WINDOW_UPDATE is a broken peer.
#[test]
fn agreed_frames_must_have_their_form() {
    for extension in [Extensions::ALL, Extensions::ALL.without(Extensions::WINDOWS)] {
        let mut pair = agreed(extension);
        let zero = b"\x80\x03\0\x09\0\0\0\x08\0\0\0\0\0\0\x01\0";
        let outcome = pair.gateway.handle_input(zero, pair.now);
        let windows = extension.contains(Extensions::WINDOWS);
        assert_eq!(matches!(outcome, Err(ConnectionError::Malformed(_))), windows);
    }
}

/// A gateway that drains sends GOAWAY, serves what was under way, and ends when the client has
/// answered that nothing more is.
#[test]
fn a_gateway_that_goes_away_loses_nothing() {
    let mut pair = agreed(Extensions::ALL);
    pair.gateway.drain();
    assert!(!pair.gateway.is_drained(), "its notice is not written");
    // A request crosses the notice on the line.
    let late = pair.client.open(get(), true).unwrap();
    let notice = written(&mut pair.gateway);
    assert_eq!(notice, [GoAway { last: 0 }.encode()]);
    assert!(!pair.gateway.is_drained(), "requests may be under way");
    let request = written(&mut pair.client);
    pair.gateway.handle_input(&request[0], pair.now).unwrap();
    pair.client.handle_input(&notice[0], pair.now).unwrap();
    assert!(matches!(pair.client.poll_event(), Some(Event::GoAway)));
    assert_eq!(pair.client.open(get(), true), Err(OpenError::Draining));
    assert!(matches!(pair.gateway.poll_event(), Some(Event::Request { .. })));
    pair.gateway.reply(late, ReplyHead::new(200), true).unwrap();
    let seen = pair.settle();
    assert!(matches!(&seen.client[..], [Event::Reply { end: true, .. }]), "{:?}", seen.client);
    assert!(seen.gateway.is_empty(), "{:?}", seen.gateway);
    assert!(pair.gateway.is_drained() && pair.client.is_drained());
}

/// Without the extension a drain is silent; what such a peer still asks for is served.
#[test]
fn a_gateway_that_drains_serves_a_peer_without_the_extension() {
    let now = Instant::now();
    let mut gateway = fresh(Role::Gateway, Extensions::NONE);
    gateway.drain();
    assert!(gateway.is_drained());
    gateway.handle_input(&SynStream { id: id(1), fin: true, head: get() }.encode(), now).unwrap();
    assert!(matches!(gateway.poll_event(), Some(Event::Request { .. })));
    assert!(!gateway.is_drained());
    gateway.reply(id(1), ReplyHead::new(200), true).unwrap();
    let refusal = RstStream { id: id(1), reason: Reason::REFUSED_STREAM }.encode();
    assert!(!written(&mut gateway).contains(&refusal.to_vec()));
    assert!(gateway.is_drained());
}
