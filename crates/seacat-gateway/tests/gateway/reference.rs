//! Clients of the reference era, frame by frame: what they do that ours would not.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use seacat_gateway::Demo;
use seacat_link::LinkConfig;
use seacat_proto::frame::{
    Frame, FrameHead, HEADER, Ping, RawFrame, RstStream, SocketsReply, SynStream, head,
};
use seacat_proto::{
    Config, Connection, MAX_PAYLOAD, Priority, Reason, Role, SocketsCode, StreamId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::*;

/// A client without any sense: it writes the bytes it is given, each time as one TLS record.
struct Raw(TlsStream<TcpStream>);

impl Raw {
    async fn connect(demo: &Demo) -> Self {
        let tcp = TcpStream::connect(demo.addr).await.unwrap();
        let name = ServerName::try_from(Demo::SERVER_NAME).unwrap();
        let connector = TlsConnector::from(Arc::new(anonymous(&demo.ca_pem)));
        Self(connector.connect(name, tcp).await.unwrap())
    }

    async fn write(&mut self, record: &[u8]) {
        assert!(record.len() <= 16_384, "more than one record");
        self.0.write_all(record).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next frame, whole.
    async fn frame(&mut self) -> (FrameHead, Vec<u8>) {
        let mut fixed = [0; HEADER];
        self.0.read_exact(&mut fixed).await.unwrap();
        let head = FrameHead::decode(fixed);
        let mut body = vec![0; head.length()];
        self.0.read_exact(&mut body).await.unwrap();
        (head, body)
    }

    /// The answer on a stream: status, whether the head ended it, body.
    async fn answer(&mut self, number: u32) -> (u16, bool, Vec<u8>) {
        let (mut status, mut at_once, mut all) = (0, false, Vec::new());
        loop {
            let (head, body) = self.frame().await;
            match Frame::decode(RawFrame { head, body: &body }).unwrap() {
                Frame::SynReply(reply) if reply.id.get() == number => {
                    (status, at_once) = (reply.head.status(), reply.fin);
                }
                Frame::Data { id, fin, payload } if id.get() == number => {
                    all.extend_from_slice(payload);
                    if fin {
                        return (status, at_once, all);
                    }
                }
                Frame::RstStream(rst) => panic!("{rst:?}"),
                _ => {}
            }
        }
    }

    /// Whether a PING comes back: then everything before it has been read.
    async fn is_alive(&mut self) -> bool {
        self.write(&Ping { id: 77 }.encode()).await;
        loop {
            let (head, body) = self.frame().await;
            match Frame::decode(RawFrame { head, body: &body }).unwrap() {
                Frame::Ping(Ping { id }) => return id == 77,
                Frame::RstStream(rst) => panic!("{rst:?}"),
                _ => {}
            }
        }
    }
}

fn id(number: u32) -> StreamId {
    StreamId::new(number).unwrap()
}

fn ask(number: u32, fin: bool, method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    SynStream { id: id(number), fin, head: request(method, "app", path, fields) }.encode()
}

fn data(number: u32, fin: bool, bytes: &[u8]) -> Vec<u8> {
    [&head::data(id(number), fin, bytes.len())[..], bytes].concat()
}

/// An origin that reports what it received, heads and 5-byte bodies, and answers "ok".
async fn reporting() -> (Demo, mpsc::UnboundedReceiver<String>) {
    let (report, reported) = mpsc::unbounded_channel();
    let addr = origin(move |mut socket| {
        let report = report.clone();
        async move {
            while let Some(head) = socket.head().await {
                report.send(head).unwrap();
                socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    });
    (gateway(addr.await), reported)
}

#[test]
fn a_connection_may_begin_with_any_odd_stream() {
    scenario(async {
        let (demo, mut reported) = reporting().await;
        let mut client = Raw::connect(&demo).await;
        // The Python layer goes on where its last connection ended; and an empty path is Android's.
        for number in [49, 51, 3, 0x7FFF_FFFF] {
            client.write(&ask(number, true, "GET", "", &[])).await;
            assert_eq!(client.answer(number).await, (200, false, b"ok".to_vec()), "{number}");
            assert!(reported.recv().await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
        }
    });
}

#[test]
fn fields_that_should_not_have_come_go_no_further() {
    scenario(async {
        let (demo, mut reported) = reporting().await;
        let mut client = Raw::connect(&demo).await;
        let fields = [
            ("host", "elsewhere.example"),
            ("Connection", "close, X-Private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic eDp5"),
            ("TE", "trailers"),
            ("X-Multi", "a"),
            ("X-Multi", "b"),
            ("X-Empty", ""),
        ];
        client.write(&ask(1, true, "GET", "/x", &fields)).await;
        assert_eq!(client.answer(1).await.0, 200);
        let head = reported.recv().await.unwrap().to_ascii_lowercase();
        let mut lines: Vec<&str> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
        // The stream's host, not the field's.
        lines.retain(|line| *line != "host: app");
        lines.sort_by_key(|line| line.split(':').next()); // stable: values keep their order
        assert_eq!(lines, ["x-empty: ", "x-multi: a", "x-multi: b"]);
    });
}

#[test]
fn associated_id_slot_priority_and_flags_are_the_clients_own_business() {
    scenario(async {
        let (demo, _told) = reporting().await;
        let mut client = Raw::connect(&demo).await;
        for (nth, priority) in (0..8).enumerate() {
            let number = 1 + 2 * nth as u32;
            let mut head = request("GET", "app", "/", &[]);
            head.set_priority(Priority::new(priority).unwrap());
            let mut frame = SynStream { id: id(number), fin: true, head }.encode();
            frame[4] |= 0x80 | 0x20; // SYSTEM_PRIORITY, EXT_HEADER
            frame[12..16].copy_from_slice(&7u32.to_be_bytes()); // associated id
            frame[17] = 9; // slot
            client.write(&frame).await;
            assert_eq!(client.answer(number).await.0, 200, "priority {priority}");
        }
    });
}

#[test]
fn bodies_come_in_every_size_and_packing() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let mut client = Raw::connect(&demo).await;
        let open = |number, length: usize| {
            let head = request("POST", "echo", "/", &[("Content-Length", &length.to_string())]);
            SynStream { id: id(number), fin: false, head }.encode()
        };
        let byte = |at: usize| (at % 251) as u8;
        let is_whole = |answer: &[u8], length: usize| {
            answer.len() > length
                && answer[answer.len() - length..].iter().enumerate().all(|(at, b)| *b == byte(at))
        };
        // Python's pieces, and Android's, which fill the frame.
        for (number, piece) in [(1, 8192), (3, MAX_PAYLOAD)] {
            let length = 3 * piece + 100;
            let bytes: Vec<u8> = (0..length).map(byte).collect();
            client.write(&open(number, length)).await;
            for piece in bytes.chunks(piece) {
                client.write(&data(number, false, piece)).await;
            }
            client.write(&data(number, true, b"")).await;
            let (status, _, answer) = client.answer(number).await;
            assert!(status == 200 && is_whole(&answer, length), "pieces of {piece}");
        }
        // Three frames in one record.
        let text: Vec<u8> = (0..5).map(byte).collect();
        let packed = [open(5, 5), data(5, false, &text[..2]), data(5, true, &text[2..])].concat();
        client.write(&packed).await;
        assert!(is_whole(&client.answer(5).await.2, 5));
        // One frame in many records, one byte in each.
        for byte in [open(7, 5), data(7, true, &text)].concat() {
            client.write(&[byte]).await;
        }
        assert!(is_whole(&client.answer(7).await.2, 5));
    });
}

/// The Python layer does not look for FIN on SYN_REPLY (wire spec 3.2).
#[test]
fn an_answer_without_a_body_ends_on_data() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let mut client = Raw::connect(&demo).await;
        let head = request("HEAD", "hello", "/", &[]);
        client.write(&SynStream { id: id(1), fin: true, head }.encode()).await;
        assert_eq!(client.answer(1).await, (200, false, Vec::new()));
    });
}

/// The Android layer breaks on an empty DATA with FIN: the end of a body is announced with its last
/// piece wherever the back end has sent both together.
#[test]
fn the_end_comes_with_the_last_piece_of_a_body() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            while let Some(head) = socket.head().await {
                let body = "x".repeat(4000);
                match head.contains("/chunked") {
                    true => {
                        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                        socket.write(&format!("{head}FA0\r\n{body}\r\n0\r\n\r\n")).await;
                    }
                    false => {
                        let head = "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n";
                        socket.write(&format!("{head}{body}")).await;
                    }
                }
            }
        });
        let demo = gateway(addr.await);
        let mut client = Raw::connect(&demo).await;
        for (number, path) in [(1, "/chunked"), (3, "/length")] {
            client.write(&ask(number, true, "GET", path, &[])).await;
            let mut all = 0;
            loop {
                let (head, body) = client.frame().await;
                let frame = Frame::decode(RawFrame { head, body: &body }).unwrap();
                let Frame::Data { fin, payload, .. } = frame else { continue };
                assert!(!payload.is_empty(), "{path}: an empty DATA");
                all += payload.len();
                if fin {
                    break;
                }
            }
            assert_eq!(all, 4000, "{path}");
        }
    });
}

#[test]
fn what_is_late_or_unknown_is_ignored() {
    scenario(async {
        let (demo, _told) = reporting().await;
        let mut client = Raw::connect(&demo).await;
        client.write(&ask(1, true, "GET", "/", &[])).await;
        client.answer(1).await;
        let control = |version: u16, kind: u16, body: &[u8]| {
            let (version, kind) = (version.to_be_bytes(), kind.to_be_bytes());
            let length = (body.len() as u32).to_be_bytes();
            [&version[..], &kind, &length, body].concat()
        };
        let rst = RstStream { id: id(3), reason: Reason::CANCEL }.encode();
        let late_rst = RstStream { id: id(999), reason: Reason::INVALID_STREAM }.encode();
        let reply = SocketsReply { id: id(2), code: SocketsCode::OK }.encode();
        for frame in [
            [ask(3, false, "POST", "/", &[]), rst.to_vec()].concat(),
            data(3, false, b"after our own reset"),
            data(1, true, b"after the end of both"),
            late_rst.to_vec(),
            reply.to_vec(),
            Ping { id: 2 }.encode().to_vec(), // an answer to a PING that never was
            control(0x80A1, 0xA1, b"stats"),  // STATS_REQ
            control(0x80A1, 0xA2, b""),       // STATS_REP
            control(0x80B1, 102, &[1; 64]),   // BUS
            control(0x80B3, 1, b""),          // STORAGE
            control(0x80B4, 1, &[0; 1000]),   // LOG
            control(0x80BC, 0, b"register"),  // CRG
            control(0x8003, 4, &[0; 12]),     // SPDY's SETTINGS
            control(0x8003, 7, &[0; 8]),      // SPDY's GOAWAY
            control(0xFFFF, 0xFFFF, &[0xFF; 9]),
        ] {
            client.write(&frame).await;
            assert!(client.is_alive().await, "after {frame:x?}");
        }
        client.write(&ask(5, true, "GET", "/", &[])).await;
        assert_eq!(client.answer(5).await.0, 200);
    });
}

/// Python and iOS do not answer a gateway's PING, so there is none, and no deadline for one.
#[test]
fn a_client_that_never_answers_a_ping_is_never_asked() {
    let config: Config = LinkConfig::gateway(b"").proto;
    let mut gateway = Connection::new(Role::Gateway, &config, std::time::Instant::now());
    assert_eq!(gateway.poll_timeout(), None);
    assert!(gateway.poll_transmit().is_none());
}
