//! Reverse sockets, both roles: the recorded conversation, the rules, windows.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod pair;

use std::time::Instant;

use pair::Pair;
use seacat_proto::frame::{RstStream, SocketsReply, SocketsRequest, SynReply, head};
use seacat_proto::{
    Bytes, Config, Connection, Event, Extensions, OpenError, Reason, ReplyHead, RequestHead, Role,
    SocketsCode, StreamId,
};

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}

fn new(role: Role) -> Connection {
    Connection::new(
        role,
        &Config { extensions: Extensions::NONE, ..Config::default() },
        Instant::now(),
    )
}

fn receive(connection: &mut Connection, frame: &[u8]) {
    connection.handle_input(frame, Instant::now()).unwrap();
}

/// All that a connection writes.
fn written(connection: &mut Connection) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| connection.poll_transmit()).map(|frame| frame.to_vec()).collect()
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

fn request(number: u32, port: u16) -> Vec<u8> {
    let (command, address_type) = (SocketsRequest::CONNECT, SocketsRequest::CONFIGURED_PORT);
    SocketsRequest { id: id(number), command, address_type, port }.encode().to_vec()
}

fn reply(number: u32, code: SocketsCode) -> Vec<u8> {
    SocketsReply { id: id(number), code }.encode().to_vec()
}

fn data(number: u32, fin: bool, text: &str) -> Vec<u8> {
    [&head::data(id(number), fin, text.len())[..], text.as_bytes()].concat()
}

fn rst(number: u32, reason: Reason) -> Vec<u8> {
    RstStream { id: id(number), reason }.encode().to_vec()
}

/// A recorded frame: its name, who sent it, its bytes.
fn recorded() -> Vec<(String, bool, Vec<u8>)> {
    let items: serde_json::Value =
        serde_json::from_str(include_str!("golden/sockets.json")).unwrap();
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let items = items.as_array().unwrap().iter();
    items.map(|it| (text(&it["name"]), it["direction"] == "C->G", hex(&text(&it["hex"])))).collect()
}

/// Our client in the place of the reference client, up to where it is meant to differ: port 7000
/// echoes in capitals, 7001 is configured and has no listener.
#[test]
fn our_client_answers_as_the_reference_client_did() {
    let mut client = new(Role::Client);
    let (mut asked, mut compared) = (Vec::new(), 0);
    for (name, from_client, bytes) in recorded() {
        if name == "tunnel.07.sockets_request.sid4" {
            break; // a second connection to a port: the reference client has one place, ours many
        }
        if !from_client {
            receive(&mut client, &bytes);
            continue;
        }
        for event in events(&mut client) {
            match event {
                Event::SocketsRequest { id, port: 7000 } => {
                    client.accept(id).unwrap();
                    client.send(id, Bytes::from_static(b"banner\n")).unwrap();
                }
                Event::SocketsRequest { id, .. } => client.refuse(id, SocketsCode::NOT_CONFIGURED),
                Event::Data { id, bytes, .. } => {
                    client.send(id, bytes.to_ascii_uppercase().into()).unwrap();
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        asked.extend(written(&mut client));
        let at = asked.iter().position(|ours| *ours == bytes);
        asked.remove(at.unwrap_or_else(|| panic!("{name} is not among {asked:x?}")));
        // The tunnel was recorded on a connection of its own.
        if name == "sockets_reply.6" {
            client = new(Role::Client);
        }
        compared += 1;
    }
    assert_eq!(compared, 7, "three refusals, a grant, three pieces of data");
    assert!(asked.is_empty());
}

/// Our gateway in the place of the one in the record.
#[test]
fn our_gateway_asks_as_recorded_and_understands_the_answers() {
    let mut gateway = new(Role::Gateway);
    let frames = recorded();
    let frame = |name: &str| frames.iter().find(|(it, ..)| it == name).unwrap().2.clone();
    let socket = gateway.connect(7000).unwrap();
    assert_eq!(written(&mut gateway), [frame("tunnel.00.sockets_request.sid2")]);
    receive(&mut gateway, &frame("tunnel.01.sockets_reply.sid2"));
    receive(&mut gateway, &frame("tunnel.02.data.sid2"));
    assert!(matches!(&events(&mut gateway)[..], [
        Event::SocketsReply { code: SocketsCode::OK, .. },
        Event::Data { end: false, bytes, .. },
    ] if bytes == "banner\n"));
    gateway.send(socket, Bytes::from_static(b"hello")).unwrap();
    assert_eq!(written(&mut gateway), [frame("tunnel.03.data.sid2")]);
    gateway.send(socket, Bytes::from_static(b"last")).unwrap();
    gateway.finish(socket).unwrap();
    assert_eq!(written(&mut gateway), [frame("tunnel.05.data.sid2")]);

    let second = gateway.connect(7000).unwrap();
    assert_eq!(written(&mut gateway), [frame("tunnel.07.sockets_request.sid4")]);
    receive(&mut gateway, &frame("tunnel.08.sockets_reply.sid4"));
    assert!(matches!(
        events(&mut gateway)[..],
        [Event::SocketsReply { code: SocketsCode::IN_USE, .. }]
    ));
    assert!(gateway.send(second, Bytes::from_static(b"bye")).is_err(), "it is over");

    gateway.connect(7001).unwrap();
    assert_eq!(written(&mut gateway), [frame("tunnel.11.sockets_request.sid6")]);
    receive(&mut gateway, &frame("tunnel.12.sockets_reply.sid6"));
    receive(&mut gateway, &frame("tunnel.13.data.sid6"));
    assert!(matches!(
        events(&mut gateway)[..],
        [Event::SocketsReply { code: SocketsCode::OK, .. }, Event::Data { end: true, .. },]
    ));
}

#[test]
fn what_a_client_answers_automatically() {
    let ask = |number, command, address_type| {
        SocketsRequest { id: id(number), command, address_type, port: 22 }.encode().to_vec()
    };
    let syn_reply = SynReply { id: id(2), fin: false, head: ReplyHead::new(200) }.encode();
    type Case = (&'static str, Vec<Vec<u8>>, Vec<Vec<u8>>);
    let cases: [Case; 9] = [
        (
            "address type first",
            vec![ask(3, 9, 1)],
            vec![reply(3, SocketsCode::ADDRESS_UNSUPPORTED)],
        ),
        (
            "then the command",
            vec![ask(3, 2, 0xFE)],
            vec![reply(3, SocketsCode::COMMAND_UNSUPPORTED)],
        ),
        ("an odd id", vec![ask(3, 1, 0xFE)], vec![reply(3, SocketsCode::FAILED)]),
        // Stream 1 is a request of ours and must not notice.
        ("the id of a request", vec![ask(1, 1, 0xFE)], vec![reply(1, SocketsCode::FAILED)]),
        (
            "an id in use",
            vec![request(2, 22), request(2, 22)],
            vec![rst(2, Reason::PROTOCOL_ERROR)],
        ),
        (
            "a head on a socket",
            vec![request(2, 22), syn_reply],
            vec![rst(2, Reason::PROTOCOL_ERROR)],
        ),
        (
            "a client's own frame",
            vec![request(2, 22), reply(2, SocketsCode::OK)],
            vec![rst(2, Reason::PROTOCOL_ERROR)],
        ),
        ("late DATA", vec![request(2, 22), rst(2, Reason::CANCEL), data(2, true, "x")], vec![]),
        ("DATA out of nowhere", vec![data(8, false, "x")], vec![rst(8, Reason::INVALID_STREAM)]),
    ];
    for (what, frames, expected) in cases {
        let mut client = new(Role::Client);
        let ours = client.open(RequestHead::new(b"h", b"GET", b"/").unwrap(), true).unwrap();
        written(&mut client);
        receive(&mut client, &frames.concat());
        assert_eq!(written(&mut client), expected, "{what}");
        let rest = events(&mut client);
        let touched = rest.iter().any(|it| matches!(it, Event::Reset { id, .. } if *id == ours));
        assert!(!touched, "{what}: {rest:?}");
        assert_eq!(client.stream_count(), 1, "{what}");
    }
}

#[test]
fn a_gateway_waits_for_the_answer_and_holds_the_client_to_it() {
    let mut gateway = new(Role::Gateway);
    let socket = gateway.connect(22).unwrap();
    assert!(gateway.send(socket, Bytes::from_static(b"early")).is_err());
    assert!(gateway.reply(socket, ReplyHead::new(200), false).is_err());
    written(&mut gateway);
    receive(&mut gateway, &data(2, false, "early"));
    assert_eq!(written(&mut gateway), [rst(2, Reason::PROTOCOL_ERROR)]);

    gateway.connect(22).unwrap();
    written(&mut gateway);
    receive(&mut gateway, &[reply(4, SocketsCode::OK), reply(4, SocketsCode::OK)].concat());
    assert_eq!(written(&mut gateway), [rst(4, Reason::PROTOCOL_ERROR)]);

    // Answers to nothing, and a client that asks: ignored.
    receive(
        &mut gateway,
        &[reply(2, SocketsCode::OK), reply(7, SocketsCode::OK), request(6, 22)].concat(),
    );
    assert!(written(&mut gateway).is_empty());
    // A request that is withdrawn before it was sent is never sent.
    let unsent = gateway.connect(22).unwrap();
    gateway.reset(unsent, Reason::CANCEL);
    assert!(written(&mut gateway).is_empty());
    assert_eq!(gateway.stream_count(), 0);
}

#[test]
fn a_grant_that_is_taken_back_before_it_left_is_a_reset() {
    let mut client = new(Role::Client);
    receive(&mut client, &request(2, 22));
    client.accept(id(2)).unwrap();
    assert!(client.accept(id(2)).is_err(), "once");
    client.reset(id(2), Reason::CANCEL);
    assert_eq!(written(&mut client), [rst(2, Reason::CANCEL)]);
    assert!(client.accept(id(2)).is_err());
}

#[test]
fn limits_hold_for_sockets_too() {
    let config = Config { max_streams: 2, extensions: Extensions::NONE, ..Config::default() };
    let mut client = Connection::new(Role::Client, &config, Instant::now());
    receive(&mut client, &[request(2, 22), request(4, 22), request(6, 22)].concat());
    assert_eq!(written(&mut client), [reply(6, SocketsCode::FAILED)]);
    client.drain();
    client.refuse(id(2), SocketsCode::FAILED);
    receive(&mut client, &request(8, 22));
    assert_eq!(
        written(&mut client),
        [reply(2, SocketsCode::FAILED), reply(8, SocketsCode::FAILED)]
    );

    let mut gateway = Connection::new(Role::Gateway, &config, Instant::now());
    gateway.connect(1).unwrap();
    gateway.connect(1).unwrap();
    assert_eq!(gateway.connect(1), Err(OpenError::TooManyStreams));
    gateway.drain();
    assert_eq!(gateway.connect(1), Err(OpenError::Draining));
}

/// Asks, grants, and says what came of 1 MiB from the gateway to a reader that takes nothing.
fn stalled_reader(pair: &mut Pair) -> usize {
    let socket = pair.gateway.connect(22).unwrap();
    pair.settle();
    pair.client.accept(socket).unwrap();
    pair.settle();
    pair.gateway.send(socket, Bytes::from(vec![0; 1 << 20])).unwrap();
    written(&mut pair.gateway).iter().map(|frame| frame.len() - 8).sum()
}

#[test]
fn windows_hold_when_both_have_announced_them_before_the_answer() {
    assert_eq!(stalled_reader(&mut Pair::new(Extensions::NONE)), 1 << 20, "without windows");

    let mut pair = Pair::new(Extensions::ALL);
    pair.client.ping(pair.now);
    pair.settle();
    assert_eq!(stalled_reader(&mut pair), 64 * 1024);

    // The request crosses the client's announcement: the answer comes behind it and counts.
    let mut pair = Pair::new(Extensions::ALL);
    pair.client.ping(pair.now);
    let ping = written(&mut pair.client).concat();
    pair.gateway.handle_input(&ping, pair.now).unwrap();
    assert_eq!(stalled_reader(&mut pair), 64 * 1024);
}

#[test]
fn half_close_goes_both_ways() {
    for gateway_first in [true, false] {
        let mut pair = Pair::new(Extensions::ALL);
        let socket = pair.gateway.connect(22).unwrap();
        pair.settle();
        pair.client.accept(socket).unwrap();
        pair.settle();
        let (first, second) = match gateway_first {
            true => (&mut pair.gateway, &mut pair.client),
            false => (&mut pair.client, &mut pair.gateway),
        };
        first.finish(socket).unwrap();
        second.send(socket, Bytes::from_static(b"still")).unwrap();
        let seen = pair.settle();
        assert_eq!((seen.client.len(), seen.gateway.len()), (1, 1));
        assert_eq!((pair.client.stream_count(), pair.gateway.stream_count()), (1, 1));
        let second = if gateway_first { &mut pair.client } else { &mut pair.gateway };
        second.finish(socket).unwrap();
        pair.settle();
        assert_eq!((pair.client.stream_count(), pair.gateway.stream_count()), (0, 0));
    }
}

/// The reference client frees a port at the end of its stream, and knows no RST_STREAM for it.
#[test]
fn a_connection_that_ends_early_frees_the_port_of_a_reference_client() {
    let mut gateway = new(Role::Gateway);
    let socket = gateway.connect(22).unwrap();
    written(&mut gateway);
    receive(&mut gateway, &reply(2, SocketsCode::OK));
    gateway.send(socket, Bytes::from_static(b"half")).unwrap();
    gateway.reset(socket, Reason::CANCEL);
    assert_eq!(written(&mut gateway), [data(2, true, ""), rst(2, Reason::CANCEL)]);
}
