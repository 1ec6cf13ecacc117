//! The strict reading of requests against hostile and odd input: every case whole and byte by
//! byte, and random mutations against a second, slower opinion.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use bytes::BytesMut;
use proptest::prelude::*;
use seacat_http1::Framing::{Chunked, Length, Tunnel};
use seacat_http1::{
    BodyDecoder, Decoded, Framing, MAX_REQUEST_HEAD, MAX_REQUEST_LINE, RequestReader, Rule,
    Violation,
};

/// What came of reading the messages of one connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Whole messages: the length of the head, the framing, the content.
    messages: Vec<(usize, Framing, Vec<u8>)>,
    /// Content of a message that is not whole.
    content: Vec<u8>,
    /// Why nothing more is read.
    refused: Option<Rule>,
}

/// Reads as a server does: head, body, head …
#[derive(Default)]
struct Connection {
    input: BytesMut,
    reader: RequestReader,
    body: Option<(usize, Framing, BodyDecoder)>,
    outcome: Outcome,
}

impl Connection {
    fn read(&mut self) -> Result<(), Violation> {
        loop {
            let Some((head, framing, decoder)) = &mut self.body else {
                let Some((head, length)) = self.reader.read(&self.input)? else { return Ok(()) };
                let _ = self.input.split_to(length);
                self.reader = RequestReader::default();
                self.body = Some((length, head.framing, BodyDecoder::for_request(head.framing)));
                continue;
            };
            match decoder.decode(&mut self.input)? {
                Decoded::Data(data) => self.outcome.content.extend_from_slice(&data),
                Decoded::More => return Ok(()),
                Decoded::End => {
                    let content = std::mem::take(&mut self.outcome.content);
                    self.outcome.messages.push((*head, *framing, content));
                    if *framing == Tunnel {
                        return Ok(());
                    }
                    self.body = None;
                }
            }
        }
    }
}

fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut connection = Connection::default();
    for piece in pieces {
        connection.input.extend_from_slice(piece);
        if let Err(violation) = connection.read() {
            connection.outcome.refused = Some(violation.rule);
            break;
        }
        if connection.outcome.messages.last().is_some_and(|it| it.1 == Tunnel) {
            break;
        }
    }
    connection.outcome
}

fn feed_both_ways(input: &[u8]) -> Outcome {
    let whole = feed([input]);
    let bytewise = feed(input.chunks(1));
    assert_eq!(whole, bytewise, "{}", input.escape_ascii());
    whole
}

/// Heads that are refused, with the rule they break.
#[rustfmt::skip]
const REFUSED: &[(Rule, &[u8])] = &[
    // Two lengths, or an unclear one: smuggling.
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length:  1 2\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n"),
    (Rule::TransferCoding, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n"),
    (Rule::Length, b"POST http://a/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    // Lines and blanks.
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\nHost: a\n\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\r\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\n Host: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\n \r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost\t: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX(Y): 1\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX\xe9: 1\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\x0bb\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n"),
    (Rule::Syntax, b"\r\n\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"\nGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b" GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"\rGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    // Host.
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    (Rule::Host, b"GET http://a/ HTTP/1.1\r\nHost: a:http\r\n\r\n"),
    (Rule::Host, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    (Rule::Host, b"CONNECT a:80 HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    // The request line.
    (Rule::Protocol, b"GET /\r\n"),
    (Rule::Protocol, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (Rule::Protocol, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (Rule::Version, b"GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n"),
    (Rule::Version, b"GET http://a/ HTTP/0.9\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ http/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.10\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/11\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/ HTTP/1.1 \r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET http://a/b c HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET  http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET\thttp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"GET\r\n"),
    (Rule::Syntax, b"G{T http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"\x80GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::MethodTooLong, b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    // The target.
    (Rule::Target, b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET http://a:99999/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET http://a%2fb/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET http://a/\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Scheme, b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Scheme, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Scheme, b"GET ://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT /a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Target, b"CONNECT u@a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Rule::Syntax, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"),
    (Rule::Syntax, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
];

/// Heads that are taken, and their framing.
#[rustfmt::skip]
const TAKEN: &[(Framing, &[u8])] = &[
    (Length(0), b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.0\r\n\r\n"),
    (Length(0), b"GET http://a HTTP/1.1\r\nhost:a:80\r\n\r\n"),
    (Length(0), b"GET http://a?q=1 HTTP/1.1\r\nHost: other\r\n\r\n"),
    (Length(0), b"GET HTTP://a:/ HTTP/1.1\r\nHost: \t a \t\r\n\r\n"),
    (Length(0), b"GET ws://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"GET http://[2001:db8::1]:8080/ HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n"),
    (Length(0), b"GET /a{b}|\"c\"?d=`e`^[f] HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"M-SEARCH http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX-Empty:\r\nX-Text: \xe9\t,\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
    (Length(5), b"POST http://a/ HTTP/1.1\r\nHost: a\r\ncontent-length: 0005\r\n\r\nhello"),
    (Chunked, b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    (Length(1), b"POST http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n1"),
    (Tunnel, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, UPGRADE\r\n\r\n\x81\x00"),
    (Tunnel, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nconnection: upgrade\r\nupgrade: h2c, websocket\r\n\r\n"),
    (Tunnel, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01 anything\r\nat all"),
    (Tunnel, b"CONNECT [::1]:443 HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
    (Length(0), b"GET http://a/ HTTP/1.2\r\nHost: a\r\n\r\n"),
    (Length(0), b"GET http://u:p@a/ HTTP/1.1\r\nHost: u:p@a\r\n\r\n"),
    (Length(0), b"GET http://a/#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (Length(0), b"GET http://a/\xc3\xa9?\"<x>\" HTTP/1.1\r\nHost: a\r\n\r\n"),
];

#[test]
fn refused_heads() {
    for (rule, head) in REFUSED {
        let outcome = feed_both_ways(head);
        assert_eq!(outcome.refused, Some(*rule), "{}", head.escape_ascii());
        assert!(outcome.messages.is_empty(), "{}", head.escape_ascii());
    }
}

#[test]
fn taken_heads() {
    for (framing, head) in TAKEN {
        let outcome = feed_both_ways(head);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(outcome.refused, None, "{}", head.escape_ascii());
        let [(length, found, _)] = &outcome.messages[..] else {
            panic!("{} messages: {}", outcome.messages.len(), head.escape_ascii());
        };
        assert_eq!((*length, *found), (end, *framing), "{}", head.escape_ascii());
    }
}

#[test]
fn an_incomplete_head_waits() {
    for (_, head) in TAKEN {
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        for cut in 0..end {
            assert_eq!(feed([&head[..cut]]), Outcome::default(), "{}", head[..cut].escape_ascii());
        }
    }
}

#[test]
fn a_bad_request_does_not_disturb_the_good_ones_before_it() {
    let plain = TAKEN.iter().filter(|(framing, _)| *framing != Tunnel);
    let good: Vec<u8> = plain.clone().flat_map(|(_, head)| head.to_vec()).collect();
    for (rule, bad) in REFUSED {
        let outcome = feed_both_ways(&[&good, *bad].concat());
        assert_eq!(outcome.messages.len(), plain.clone().count());
        assert_eq!(outcome.refused, Some(*rule), "{}", bad.escape_ascii());
    }
}

#[test]
fn limits_are_exact() {
    let field = |length: usize| {
        let fixed = "GET http://a/ HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        let value = "v".repeat(length - fixed);
        format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n")
    };
    let line = |length: usize| {
        let path = "p".repeat(length - "GET http://a/ HTTP/1.1\r\n".len());
        format!("GET http://a/{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let fields = |count: usize| {
        format!("GET http://a/ HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count - 1))
    };
    for (head, refused) in [
        (field(MAX_REQUEST_HEAD), None),
        (field(MAX_REQUEST_HEAD + 1), Some(Rule::HeadTooLarge)),
        (line(MAX_REQUEST_LINE), None),
        (line(MAX_REQUEST_LINE + 1), Some(Rule::TargetTooLong)),
        (fields(200), None),
        (fields(201), Some(Rule::HeadTooLarge)),
    ] {
        assert_eq!(feed_both_ways(head.as_bytes()).refused, refused, "{} bytes", head.len());
    }
    // An endless line is refused without its end.
    let endless = [b'A'; MAX_REQUEST_LINE + 1];
    assert_eq!(feed_both_ways(&endless).refused, Some(Rule::TargetTooLong));
    let endless = format!("GET http://a/ HTTP/1.1\r\nX: {}", "v".repeat(MAX_REQUEST_HEAD));
    assert_eq!(feed_both_ways(endless.as_bytes()).refused, Some(Rule::HeadTooLarge));
}

const CHUNKED: &[u8] = b"POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn chunked_bodies_that_pass() {
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(4095));
    let bodies: &[&[u8]] = &[
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n",
        b"0000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n",
        b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
        b"0\r\nX-Sum: 1\r\nY:\r\n\r\n",
        extension.as_bytes(),
    ];
    for body in bodies {
        // A second request shows that the end was found.
        let outcome = feed_both_ways(&[CHUNKED, body, b"GET / HTTP/1.0\r\n\r\n"].concat());
        assert_eq!(outcome.messages.len(), 2, "{}", body.escape_ascii());
        assert_eq!(outcome.refused, None);
    }
}

#[test]
fn broken_chunks_and_the_content_before_them() {
    let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(4096));
    let two_extensions = format!("1;{}\r\nx\r\n1;{}\r\n", "e".repeat(2100), "e".repeat(2100));
    let endless = format!("1;{}", "e".repeat(5000));
    let trailers = format!("0\r\n{}\r\n", "X: 1\r\n".repeat(3000));
    let cases: &[(usize, &[u8])] = &[
        (0, b"x\r\n"),
        (0, b"\r\n"),
        (0, b" 5\r\nhello\r\n"),
        (0, b"5 \r\nhello\r\n"),
        (0, b"+5\r\nhello\r\n"),
        (0, b"-1\r\n"),
        (0, b"0x5\r\nhello\r\n"),
        (0, b"5h\r\nhello\r\n"),
        (0, b"5\nhello\r\n"),
        (0, b"5\rx\nhello\r\n"),
        (0, b";a\r\n"),
        (0, b"5;a\x01b\r\nhello\r\n"),
        (0, b"5;a\rb\r\nhello\r\n"),
        (0, b"00000000000000005\r\nhello\r\n"),
        (0, b"ffffffffffffffff\r\n"),
        (0, b"8000000000000000\r\n"),
        (0, b"fffffffffffffffff\r\n"),
        (5, b"5\r\nhelloX"),
        (5, b"5\r\nhello\n"),
        (5, b"5\r\nhello\rX"),
        (5, b"5\r\nhello0\r\n\r\n"),
        (0, b"0\r\nX\r\n\r\n"),
        (0, b"0\r\nX : 1\r\n\r\n"),
        (0, b"0\r\nX: 1\n\r\n"),
        (0, b"0\r\nX: \x00\r\n\r\n"),
        (0, b"0\r\n X: 1\r\n\r\n"),
        (0, b"0\r\nGET / HTTP/1.1\r\n\r\n"),
        (0, trailers.as_bytes()),
        (0, long_extension.as_bytes()),
        (1, two_extensions.as_bytes()),
        (0, endless.as_bytes()),
    ];
    for (content, body) in cases {
        let outcome = feed_both_ways(&[CHUNKED, *body].concat());
        let text = body[..body.len().min(60)].escape_ascii();
        assert_eq!(outcome.refused, Some(Rule::Chunk), "{text}");
        assert_eq!(outcome.content.len(), *content, "{text}");
        assert!(outcome.messages.is_empty(), "{text}");
    }
}

#[test]
fn a_body_is_not_read_as_a_request() {
    let post = "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n";
    let body = "GET / HTTP/9.9\r\n\r\n";
    let outcome = feed_both_ways(format!("{post}{body}GET / HTTP/1.0\r\n\r\n").as_bytes());
    assert_eq!((outcome.messages.len(), outcome.refused), (2, None));
    assert_eq!(outcome.messages[0].2, body.as_bytes());
}

/// A second opinion on one head, written for clarity and not for speed: what RFC 9112 and this
/// reader allow. Only what it accepts may be taken.
fn is_strict(head: &[u8]) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    };
    // Every byte as one char, so that positions are those of the bytes.
    let text: String = head.iter().map(|&b| char::from(b)).collect();
    let text = text.strip_prefix("\r\n").unwrap_or(&text);
    let Some(text) = text.strip_suffix("\r\n\r\n") else {
        return false;
    };
    let lines: Vec<&str> = text.split("\r\n").collect();
    if lines.iter().any(|line| line.chars().any(|c| c.is_ascii_control() && c != '\t')) {
        return false;
    }
    let [method, target, version] = lines[0].split(' ').collect::<Vec<_>>()[..] else {
        return false;
    };
    let fields: Option<Vec<(String, &str)>> = lines[1..]
        .iter()
        .map(|line| line.split_once(':'))
        .map(|field| field.filter(|(name, _)| token(name)))
        .map(|field| field.map(|(name, value)| (name.to_ascii_lowercase(), value)))
        .collect();
    let Some(fields) = fields else { return false };
    let values = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name == wanted);
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    let (hosts, lengths, codings) =
        (values("host"), values("content-length"), values("transfer-encoding"));
    let framed = match (&lengths[..], &codings[..]) {
        ([], []) => true,
        ([length], []) => !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()),
        ([], [coding]) => coding.eq_ignore_ascii_case("chunked") && version != "HTTP/1.0",
        _ => false,
    };
    let newer = version.len() == 8 && version.starts_with("HTTP/1.") && version != "HTTP/1.0";
    let authority = match target.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
        None if method == "CONNECT" => target,
        None => "",
    };
    token(method)
        && !target.is_empty()
        && !authority.contains(['\\', '%'])
        && (newer && hosts.len() == 1 || version == "HTTP/1.0" && hosts.len() < 2)
        && hosts.iter().all(|host| !host.is_empty() && !host.contains([' ', '\t', '/', '\\']))
        && framed
}

#[test]
fn the_second_opinion_agrees_about_the_tables() {
    for (_, head) in TAKEN {
        let end = head.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(is_strict(&head[..end]), "{}", head.escape_ascii());
    }
}

/// A valid head with some bytes replaced, removed or inserted.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = TAKEN.iter().map(|(_, head)| head.to_vec()).collect();
    let piece = prop_oneof![
        prop::sample::select(&b"\r\n \t:,;/?#@[]%0159+-a\0\x7f\x80"[..]).prop_map(|b| vec![b]),
        prop::sample::select(vec![
            b"\r\n".to_vec(),
            b"\r\n ".to_vec(),
            b"Host: b\r\n".to_vec(),
            b"Content-Length: 3\r\n".to_vec(),
            b"Transfer-Encoding: chunked\r\n".to_vec(),
            b"chunked".to_vec(),
            b"HTTP/1.0".to_vec(),
            b"http://".to_vec(),
        ]),
    ];
    let edit = (any::<prop::sample::Index>(), 0..3usize, piece);
    (prop::sample::select(seeds), prop::collection::vec(edit, 0..4)).prop_map(
        |(mut head, edits)| {
            for (at, remove, piece) in edits {
                let at = at.index(head.len() + 1);
                let end = (at + remove).min(head.len());
                head.splice(at..end, piece);
            }
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// The first head to be taken is one that the second opinion accepts, too.
    #[test]
    fn only_strict_heads_are_taken(input in mutated()) {
        let outcome = feed([&input[..]]);
        if let Some((length, ..)) = outcome.messages.first() {
            let head = &input[..*length];
            prop_assert!(is_strict(head), "{}", head.escape_ascii());
        }
    }

    /// However the bytes are cut, the same messages are read and the same verdict is given.
    #[test]
    fn cuts_do_not_matter(first in mutated(), second in mutated(), cuts in prop::collection::vec(1..40usize, 1..20)) {
        let input = [first, second].concat();
        let mut rest = &input[..];
        let mut pieces = Vec::new();
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(feed(pieces), feed([&input[..]]));
    }

    /// No input makes it panic, or hand out more than it got.
    #[test]
    fn invalid_input_is_survived(input in prop::collection::vec(any::<u8>(), 0..600)) {
        let outcome = feed([CHUNKED, &input]);
        prop_assert!(outcome.content.len() <= input.len());
    }
}
