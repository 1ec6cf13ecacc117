//! Two connections and a virtual clock.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod pair;

use std::time::{Duration, Instant};

use pair::Pair;
use seacat_proto::frame::{
    Characteristics, CharacteristicsAck, CsrReply, Ping, RstStream, SynReply, SynStream,
};
use seacat_proto::{
    Bytes, Config, Connection, ConnectionError, Control, Event, Extensions, KeepAliveConfig,
    MAX_FRAME, MAX_PAYLOAD, OpenError, Priority, Reason, ReplyHead, RequestHead, Role, StreamId,
};

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}

fn head(path: &str) -> RequestHead {
    RequestHead::new(b"erp", b"GET", path.as_bytes()).unwrap()
}

fn gateway() -> Connection {
    Connection::new(Role::Gateway, &without_windows(), Instant::now())
}

fn without_windows() -> Config {
    Config { extensions: Extensions::NONE, ..Config::default() }
}

/// What a connection writes, as frames for the eye.
fn written(connection: &mut Connection) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| connection.poll_transmit()).map(|frame| frame.to_vec()).collect()
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

fn rst(number: u32, reason: Reason) -> Vec<u8> {
    RstStream { id: id(number), reason }.encode().to_vec()
}

#[test]
fn a_request_with_a_body_and_its_answer() {
    let mut pair = Pair::new(Extensions::NONE);
    let stream = pair.client.open(RequestHead::new(b"h", b"POST", b"/").unwrap(), false).unwrap();
    pair.client.send(stream, Bytes::from(vec![1; 40_000])).unwrap();
    pair.client.finish(stream).unwrap();
    let seen = pair.settle();
    let lengths: Vec<usize> = seen
        .gateway
        .iter()
        .filter_map(|event| match event {
            Event::Data { bytes, .. } => Some(bytes.len()),
            _ => None,
        })
        .collect();
    assert_eq!(lengths, [MAX_PAYLOAD, MAX_PAYLOAD, 40_000 - 2 * MAX_PAYLOAD]);
    pair.gateway.reply(stream, ReplyHead::new(200), false).unwrap();
    pair.gateway.send(stream, Bytes::from_static(b"ok")).unwrap();
    pair.gateway.finish(stream).unwrap();
    let seen = pair.settle();
    assert!(matches!(&seen.client[..], [
        Event::Reply { end: false, .. },
        Event::Data { end: true, bytes, .. },
    ] if bytes == "ok"));
    assert_eq!((pair.client.stream_count(), pair.gateway.stream_count()), (0, 0));
}

/// Whether it lets go before or after the answer, which ends on its head.
#[test]
fn a_request_to_stop_loses_no_response() {
    for before in [true, false] {
        let mut pair = Pair::new(Extensions::ALL);
        pair.client.ping(pair.now);
        pair.settle();
        let stream = pair.client.open(head("/"), false).unwrap();
        pair.settle();
        if before {
            pair.gateway.stop_receiving(stream);
        }
        pair.gateway.reply(stream, ReplyHead::new(413), true).unwrap();
        if !before {
            pair.gateway.stop_receiving(stream);
        }
        let answer = SynReply { id: stream, fin: true, head: ReplyHead::new(413) }.encode();
        let stop = rst(stream.get(), Reason::CANCEL);
        assert_eq!(written(&mut pair.gateway), [answer, stop]);
        assert_eq!(pair.gateway.stream_count(), 0);
    }
}

#[test]
fn one_frame_a_turn_and_control_first() {
    let mut client = Connection::new(Role::Client, &Config::default(), Instant::now());
    let big = Bytes::from(vec![0; 3 * MAX_PAYLOAD]);
    let mut urgent = head("/urgent");
    urgent.set_priority(Priority::new(0).unwrap());
    let streams =
        [head("/a"), head("/b"), urgent].map(|head| client.open(head, false).unwrap().get());
    for stream in streams {
        client.send(id(stream), big.clone()).unwrap();
        client.finish(id(stream)).unwrap();
    }
    let order: Vec<u32> = std::iter::from_fn(|| client.poll_transmit())
        .map(|frame| frame.stream.unwrap().get())
        .collect();
    assert_eq!(order, [1, 3, 5, 5, 5, 5, 1, 3, 1, 3, 1, 3]);
}

#[test]
fn a_gateway_takes_any_odd_id_that_is_free() {
    let mut gateway = gateway();
    let now = Instant::now();
    for (number, expected) in [
        (49, None),
        (7, None),
        (51, None),
        (8, Some(Reason::PROTOCOL_ERROR)),
        (49, Some(Reason::PROTOCOL_ERROR)),
    ] {
        let frame = SynStream { id: id(number), fin: true, head: head("/") }.encode();
        gateway.handle_input(&frame, now).unwrap();
        let answers = written(&mut gateway);
        match expected {
            None => assert!(answers.is_empty(), "{number}"),
            Some(reason) => assert_eq!(answers, [rst(number, reason)], "{number}"),
        }
    }
    let kinds: Vec<u32> = events(&mut gateway)
        .iter()
        .map(|event| match event {
            Event::Request { id, .. } => id.get(),
            Event::Reset { id, .. } => id.get() + 1000,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [49, 7, 51, 1049], "the doubled id loses its stream");
}

#[test]
fn frames_that_break_the_rules_of_a_stream_reset_it_alone() {
    let reply = |fin| SynReply { id: id(1), fin, head: ReplyHead::new(200) }.encode();
    let data = |number, fin| seacat_proto::frame::head::data(id(number), fin, 0).to_vec();
    let interim = SynReply { id: id(1), fin: false, head: ReplyHead::new(103) }.encode();
    let bad_text = {
        let mut frame = reply(false);
        frame.push(5);
        frame[7] += 1;
        frame
    };
    type Case = (&'static str, Vec<Vec<u8>>, Option<Vec<u8>>);
    let cases: [Case; 9] = [
        ("DATA before the head", vec![data(1, false)], Some(rst(1, Reason::PROTOCOL_ERROR))),
        ("a second head", vec![reply(false), reply(false)], Some(rst(1, Reason::PROTOCOL_ERROR))),
        ("an interim head is not the answer", vec![interim, reply(true)], None),
        ("a head with broken strings", vec![bad_text], Some(rst(1, Reason::PROTOCOL_ERROR))),
        (
            "DATA after the end",
            vec![reply(true), data(1, false)],
            Some(rst(1, Reason::STREAM_ALREADY_CLOSED)),
        ),
        (
            "DATA for a stream never opened",
            vec![data(999, true)],
            Some(rst(999, Reason::INVALID_STREAM)),
        ),
        ("DATA on an even stream", vec![data(4, true)], Some(rst(4, Reason::INVALID_STREAM))),
        ("RST for a stream never opened", vec![rst(77, Reason::CANCEL)], None),
        (
            "a stream opened towards a client",
            vec![SynStream { id: id(2), fin: true, head: head("/") }.encode()],
            Some(rst(2, Reason::REFUSED_STREAM)),
        ),
    ];
    for (what, frames, expected) in cases {
        let mut client = Connection::new(Role::Client, &Config::default(), Instant::now());
        // The upload is still open, so that the stream exists after the response's end.
        client.open(head("/"), false).unwrap();
        written(&mut client);
        client.handle_input(&frames.concat(), Instant::now()).unwrap();
        assert_eq!(written(&mut client), expected.into_iter().collect::<Vec<_>>(), "{what}");
        client.open(head("/next"), true).expect(what);
    }
}

#[test]
fn late_frames_of_an_ended_stream_are_ignored() {
    let mut pair = Pair::new(Extensions::NONE);
    let stream = pair.client.open(head("/"), true).unwrap();
    pair.settle();
    pair.client.reset(stream, Reason::CANCEL);
    pair.gateway.reply(stream, ReplyHead::new(200), false).unwrap();
    pair.gateway.send(stream, Bytes::from_static(b"late")).unwrap();
    // The answer is on its way while the reset is.
    let late: Vec<u8> = written(&mut pair.gateway).concat();
    assert_eq!(written(&mut pair.client), [rst(stream.get(), Reason::CANCEL)]);
    pair.client.handle_input(&late, pair.now).unwrap();
    assert!(written(&mut pair.client).is_empty());
    assert!(events(&mut pair.client).is_empty());
}

#[test]
fn a_stream_reset_before_it_was_sent_sends_nothing() {
    let mut client = Connection::new(Role::Client, &Config::default(), Instant::now());
    for _ in 0..1000 {
        let stream = client.open(head("/"), false).unwrap();
        client.send(stream, Bytes::from_static(b"x")).unwrap();
        client.reset(stream, Reason::CANCEL);
    }
    assert!(client.poll_transmit().is_none());
    assert_eq!(client.stream_count(), 0);
}

#[test]
fn a_gateway_that_has_answered_asks_the_client_to_stop() {
    let mut pair = Pair::new(Extensions::NONE);
    let stream = pair.client.open(head("/"), false).unwrap();
    pair.settle();
    pair.gateway.stop_receiving(stream);
    pair.gateway.reply(stream, ReplyHead::new(413), false).unwrap();
    pair.gateway.send(stream, Bytes::from(vec![0; 100])).unwrap();
    pair.gateway.finish(stream).unwrap();
    let seen = pair.settle();
    assert!(matches!(
        &seen.client[..],
        [
            Event::Reply { .. },
            Event::Data { end: true, .. },
            Event::Reset { reason: Reason::CANCEL, .. },
        ]
    ));
    assert_eq!((pair.client.stream_count(), pair.gateway.stream_count()), (0, 0));
}

#[test]
fn limits_of_streams() {
    let config = Config { max_streams: 2, ..without_windows() };
    let now = Instant::now();
    let mut client = Connection::new(Role::Client, &config, now);
    client.open(head("/"), true).unwrap();
    client.open(head("/"), true).unwrap();
    assert_eq!(client.open(head("/"), true), Err(OpenError::TooManyStreams));
    client.drain();
    assert_eq!(client.open(head("/"), true), Err(OpenError::Draining));

    let mut gateway = Connection::new(Role::Gateway, &config, now);
    for number in [1, 3, 5] {
        let frame = SynStream { id: id(number), fin: true, head: head("/") }.encode();
        gateway.handle_input(&frame, now).unwrap();
    }
    assert_eq!(written(&mut gateway), [rst(5, Reason::REFUSED_STREAM)]);
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_flooding() {
    let mut gateway = gateway();
    let ping: Vec<u8> = Ping { id: 1 }.encode().repeat(100);
    let outcome = (0..1000).find_map(|_| gateway.handle_input(&ping, Instant::now()).err());
    assert_eq!(outcome, Some(ConnectionError::Flood));
}

#[test]
fn another_protocol_is_named() {
    for (role, bytes, expected) in [
        (Role::Client, &b"HTTP/1.1 400 Bad Request\r\n"[..], ConnectionError::HttpServer),
        (Role::Gateway, b"GET / HTTP/1.1\r\n", ConnectionError::HttpClient),
        (Role::Gateway, b"OPTIONS * HTTP/1.1\r\n", ConnectionError::HttpClient),
        (Role::Gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ConnectionError::HttpClient),
        (
            Role::Gateway,
            b"\x00\x00\x00\x01\x00\xff\xff\xff",
            ConnectionError::FrameTooLarge(0x100_0007),
        ),
    ] {
        for cut in [0, 1, 4, 7] {
            let mut connection = Connection::new(role, &Config::default(), Instant::now());
            let now = Instant::now();
            let outcome = connection
                .handle_input(&bytes[..cut], now)
                .and_then(|()| connection.handle_input(&bytes[cut..], now));
            assert_eq!(outcome, Err(expected), "cut at {cut}");
        }
    }
}

#[test]
fn pings_are_echoed_by_the_other_side_only() {
    let mut pair = Pair::new(Extensions::NONE);
    pair.client.ping(pair.now);
    pair.now += Duration::from_millis(20);
    let seen = pair.settle();
    assert!(matches!(seen.client[..], [Event::Pong { rtt }] if rtt == Duration::from_millis(20)));
    // A gateway's own even id comes back; a client's odd one from nowhere is ignored.
    pair.client.handle_input(&Ping { id: 2 }.encode(), pair.now).unwrap();
    assert_eq!(written(&mut pair.client), [Ping { id: 2 }.encode().to_vec()]);
    pair.client.handle_input(&Ping { id: 9 }.encode(), pair.now).unwrap();
    assert!(written(&mut pair.client).is_empty() && events(&mut pair.client).is_empty());
}

#[test]
fn silence_closes_the_connection() {
    let keepalive = KeepAliveConfig::default();
    let config = Config { keepalive: Some(keepalive), ..Config::default() };
    let start = Instant::now();
    let mut client = Connection::new(Role::Client, &config, start);
    let mut pings = 0;
    let death = loop {
        let now = client.poll_timeout().expect("a deadline until death");
        match client.handle_timeout(now) {
            Ok(()) => pings += written(&mut client).len(),
            Err(error) => break (now - start, error),
        }
    };
    assert_eq!(death, (Duration::from_secs(50), ConnectionError::Dead));
    assert_eq!(pings, 2);
}

#[test]
fn control_frames_cross_and_unknown_ones_are_no_error() {
    let mut pair = Pair::new(Extensions::NONE);
    let facts = Characteristics::new(3, &[("osh", "desk"), ("apI", "x")]).unwrap();
    pair.client.control(&Control::Characteristics(facts.clone())).unwrap();
    let seen = pair.settle();
    assert!(
        matches!(&seen.gateway[..], [Event::Control(Control::Characteristics(got))] if *got == facts)
    );
    let unknown = [0x80, 0xA1, 0x00, 0x77, 0, 0, 0, 2, 1, 2];
    pair.gateway.control(&Control::CharacteristicsAck(CharacteristicsAck { serial: 3 })).unwrap();
    pair.gateway.control(&Control::CsrReply(CsrReply { flags: CsrReply::STORED })).unwrap();
    pair.client.handle_input(&unknown, pair.now).unwrap();
    let seen = pair.settle();
    assert_eq!(seen.client.len(), 3, "{:?}", seen.client);
}

#[test]
fn drained_means_ended_and_written() {
    let mut pair = Pair::new(Extensions::NONE);
    let stream = pair.client.open(head("/"), true).unwrap();
    pair.client.drain();
    assert!(!pair.client.is_drained());
    pair.settle();
    pair.gateway.reply(stream, ReplyHead::new(204), true).unwrap();
    pair.settle();
    assert!(pair.client.is_drained());
}

#[test]
fn the_largest_frame_has_the_largest_size() {
    let mut pair = Pair::new(Extensions::NONE);
    let stream = pair.client.open(head("/"), false).unwrap();
    written(&mut pair.client);
    pair.client.send(stream, Bytes::from(vec![0; 100_000])).unwrap();
    let sizes: Vec<usize> = written(&mut pair.client).iter().map(Vec::len).collect();
    assert_eq!(sizes[0], MAX_FRAME);
    assert_eq!(sizes.iter().sum::<usize>(), 100_000 + 8 * sizes.len());
}

/// Both ends have announced windows and one stream is open, its head answered.
fn windowed() -> (Pair, StreamId) {
    let mut pair = Pair::new(Extensions::ALL);
    pair.client.ping(pair.now);
    pair.settle();
    let stream = pair.client.open(head("/"), true).unwrap();
    pair.settle();
    pair.gateway.reply(stream, ReplyHead::new(200), false).unwrap();
    pair.settle();
    (pair, stream)
}

/// Carries what the gateway writes; the client's reader takes nothing.
fn to_a_stalled_reader(pair: &mut Pair) -> usize {
    let mut received = 0;
    for frame in written(&mut pair.gateway) {
        pair.client.handle_input(&frame, pair.now).unwrap();
    }
    for event in events(&mut pair.client) {
        if let Event::Data { bytes, .. } = event {
            received += bytes.len();
        }
    }
    received
}

#[test]
fn with_windows_a_stalled_reader_stops_its_own_stream_only() {
    let (mut pair, stalled) = windowed();
    pair.gateway.send(stalled, Bytes::from(vec![0; 1 << 20])).unwrap();
    pair.gateway.finish(stalled).unwrap();
    let received = to_a_stalled_reader(&mut pair);
    assert_eq!(received, 64 * 1024);
    // Another stream is not held up, however long the first one is.
    let other = pair.client.open(head("/other"), true).unwrap();
    pair.settle();
    pair.gateway.reply(other, ReplyHead::new(200), false).unwrap();
    pair.gateway.send(other, Bytes::from(vec![0; 500_000])).unwrap();
    pair.gateway.finish(other).unwrap();
    pair.settle();
    assert_eq!(pair.gateway.stream_count(), 1);
    // The reader wakes up and gets the rest.
    pair.client.taken(stalled, received);
    let rest: usize = pair
        .settle()
        .client
        .iter()
        .map(|event| match event {
            Event::Data { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(received + rest, 1 << 20);
    assert_eq!(pair.gateway.stream_count(), 0);
}

#[test]
fn a_peer_that_ignores_its_window_loses_the_stream() {
    let (mut pair, stream) = windowed();
    let frame =
        [&seacat_proto::frame::head::data(stream, false, MAX_PAYLOAD)[..], &[0; MAX_PAYLOAD]]
            .concat();
    for _ in 0..4 {
        pair.client.handle_input(&frame, pair.now).unwrap();
    }
    assert!(written(&mut pair.client).is_empty());
    pair.client.handle_input(&frame, pair.now).unwrap();
    assert_eq!(written(&mut pair.client), [rst(stream.get(), Reason::FLOW_CONTROL_ERROR)]);
}

/// The announcement answers the client's first frame; a client of the reference era ignores
/// it (golden misc.json), never answers, and nothing changes for it.
#[test]
fn a_peer_without_extensions_is_treated_as_before() {
    let mut gateway = Connection::new(Role::Gateway, &Config::default(), Instant::now());
    assert!(written(&mut gateway).is_empty());
    let frame = SynStream { id: id(1), fin: true, head: head("/") }.encode();
    gateway.handle_input(&frame, Instant::now()).unwrap();
    assert_eq!(
        written(&mut gateway),
        [b"\x80\xA1\0\x58\0\0\0\x0C\0\x01\0\0\0\0\0\x0F\0\0\x10\0".to_vec()]
    );
    gateway.reply(id(1), ReplyHead::new(200), false).unwrap();
    gateway.send(id(1), Bytes::from(vec![0; 1 << 20])).unwrap();
    let bytes: usize = written(&mut gateway).iter().map(Vec::len).sum();
    assert!(bytes > 1 << 20, "no window holds it up");
    // And a client never announces anything unasked.
    let mut client = Connection::new(Role::Client, &Config::default(), Instant::now());
    assert!(written(&mut client).is_empty());
}

/// The reference's Python layer does not look for the end on the head; its Android layer breaks on
/// an empty DATA (wire spec 3.2).
#[test]
fn an_empty_response_ends_where_its_client_expects_fin() {
    let cases = [
        (Extensions::ALL, false, true, 1),
        (Extensions::NONE, false, false, 2),
        (Extensions::NONE, true, true, 1),
    ];
    for (extensions, on_head, fin, frames) in cases {
        let mut pair = Pair::new(extensions);
        pair.client.ping(pair.now);
        pair.settle();
        let stream = pair.client.open(head("/"), true).unwrap();
        pair.settle();
        if on_head {
            pair.gateway.end_on_head();
        }
        pair.gateway.reply(stream, ReplyHead::new(204), true).unwrap();
        assert!(pair.gateway.finish(stream).is_err(), "it has ended");
        let written = written(&mut pair.gateway);
        let expected = SynReply { id: stream, fin, head: ReplyHead::new(204) }.encode();
        assert_eq!((written.len(), &written[0]), (frames, &expected));
        let end = seacat_proto::frame::head::data(stream, true, 0).to_vec();
        assert!(written.get(1).is_none_or(|second| *second == end));
        assert_eq!(pair.gateway.stream_count(), 0);
    }
}

#[test]
fn a_stream_older_than_the_announcement_gets_its_window_with_it() {
    let mut pair = Pair::new(Extensions::ALL);
    let early = pair.client.open(head("/"), true).unwrap();
    // The gateway has announced windows, and sends before it has received the client's
    // announcement.
    for frame in written(&mut pair.client) {
        pair.gateway.handle_input(&frame, pair.now).unwrap();
    }
    events(&mut pair.gateway);
    pair.gateway.reply(early, ReplyHead::new(200), false).unwrap();
    pair.gateway.send(early, Bytes::from(vec![0; 300_000])).unwrap();
    assert_eq!(to_a_stalled_reader(&mut pair), 300_000);
    for frame in written(&mut pair.client) {
        pair.gateway.handle_input(&frame, pair.now).unwrap();
    }
    pair.gateway.send(early, Bytes::from(vec![0; 1 << 20])).unwrap();
    assert_eq!(to_a_stalled_reader(&mut pair), 64 * 1024);
    // Taking what was not counted allows nothing more.
    assert!(!pair.client.taken(early, 300_000));
    assert!(written(&mut pair.client).is_empty());
    assert!(pair.client.taken(early, 64 * 1024));
}
