//! The tolerant reading of responses: what old servers send, what it is mended to, and what is
//! refused with a reason. Every head whole and byte by byte.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use http::Method;
use seacat_http1::{Framing, MAX_RESPONSE_HEAD, ResponseReader, Rule, Violation};

/// The head in one line: `version status reason | Name: value | … | framing, kept or closed`.
fn read(input: &[u8], piece: usize) -> Result<Option<String>, Violation> {
    let mut reader = ResponseReader::default();
    let mut end = 0;
    while end < input.len() {
        end = (end + piece).min(input.len());
        let Some((head, length)) = reader.read(&input[..end])? else { continue };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut parts =
            vec![format!("{:?} {} {}", head.version, head.status.as_u16(), text(&head.reason))];
        parts.extend(head.fields.iter().map(|(n, v)| format!("{}: {}", text(n), text(v))));
        let framing = head.framing(&Method::GET)?;
        let kept = if head.keeps_alive(framing) { "kept" } else { "closed" };
        parts.push(format!("{framing:?}, {kept}"));
        assert!(length <= end);
        return Ok(Some(parts.join(" | ")));
    }
    Ok(None)
}

fn both_ways(input: &str) -> Result<Option<String>, Violation> {
    let whole = read(input.as_bytes(), input.len().max(1));
    assert_eq!(whole, read(input.as_bytes(), 1), "{input:?}");
    whole
}

/// `~` stands for CR LF.
#[rustfmt::skip]
const TAKEN: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK~Content-Length: 5~~", "HTTP/1.1 200 OK | Content-Length: 5 | Length(5), kept"),
    ("HTTP/1.1 200 OK~ETag: x~WWW-Authenticate: Basic~DNT: 1~SOAPAction:~~", "HTTP/1.1 200 OK | ETag: x | WWW-Authenticate: Basic | DNT: 1 | SOAPAction:  | Close, closed"),
    ("HTTP/1.1 404 Gone fishing~Content-Length: 0~~", "HTTP/1.1 404 Gone fishing | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.1 200 ~Content-Length: 0~~", "HTTP/1.1 200  | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.1 200~Content-Length: 0~~", "HTTP/1.1 200  | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.1  200  Two  blanks~~", "HTTP/1.1 200 Two  blanks | Close, closed"),
    ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "HTTP/1.1 200 OK | Content-Length: 5 | Length(5), kept"),
    ("~HTTP/1.1 200 OK~Content-Length: 0~~", "HTTP/1.1 200 OK | Content-Length: 0 | Length(0), kept"),
    ("~~HTTP/1.1 200 OK~Content-Length: 0~~", "HTTP/1.1 200 OK | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.2 200 OK~Content-Length: 0~~", "HTTP/1.1 200 OK | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.0 200 OK~Content-Length: 0~~", "HTTP/1.0 200 OK | Content-Length: 0 | Length(0), closed"),
    ("HTTP/1.0 200 OK~Connection: Keep-Alive~Content-Length: 0~~", "HTTP/1.0 200 OK | Connection: Keep-Alive | Content-Length: 0 | Length(0), kept"),
    ("HTTP/1.1 200 OK~Connection: keep-alive, close~Content-Length: 0~~", "HTTP/1.1 200 OK | Connection: keep-alive, close | Content-Length: 0 | Length(0), closed"),
    ("ICY 200 OK~icy-name: radio~~", "HTTP/1.0 200 OK | icy-name: radio | Close, closed"),
    ("HTTP/1.1 200 OK~X-A : 1~Content-Length\t: 3~~", "HTTP/1.1 200 OK | X-A: 1 | Content-Length: 3 | Length(3), kept"),
    ("HTTP/1.1 200 OK~ X-A: 1~\tmore~Content-Length: 3~~", "HTTP/1.1 200 OK | Content-Length: 3 | Length(3), kept"),
    ("HTTP/1.1 200 OK~ ~Content-Length: 3~~", "HTTP/1.1 200 OK | Content-Length: 3 | Length(3), kept"),
    ("HTTP/1.1 200 OK~Content-Type: text/html;~ charset=utf-8~\t; a=b~~", "HTTP/1.1 200 OK | Content-Type: text/html; charset=utf-8 ; a=b | Close, closed"),
    ("HTTP/1.1 200 OK~Transfer-Encoding:~ chunked~~", "HTTP/1.1 200 OK | Transfer-Encoding: chunked | Chunked, kept"),
    ("HTTP/1.0 200 OK~Connection: keep-alive~Transfer-Encoding: chunked~~", "HTTP/1.0 200 OK | Connection: keep-alive | Transfer-Encoding: chunked | Chunked, closed"),
    ("HTTP/1.1 200 OK~Transfer-Encoding: chunked~Content-Length: 9~~", "HTTP/1.1 200 OK | Transfer-Encoding: chunked | Content-Length: 9 | Chunked, closed"),
    ("HTTP/1.1 200 OK~Transfer-Encoding: identity~Content-Length: 9~~", "HTTP/1.1 200 OK | Transfer-Encoding: identity | Content-Length: 9 | Length(9), kept"),
    ("HTTP/1.1 200 OK~Content-Length: 5~Content-Length: 5~~", "HTTP/1.1 200 OK | Content-Length: 5 | Content-Length: 5 | Length(5), kept"),
    ("HTTP/1.1 204 No Content~Content-Length: 5~~", "HTTP/1.1 204 No Content | Content-Length: 5 | Length(0), kept"),
    ("HTTP/1.1 304 Not Modified~Transfer-Encoding: chunked~~", "HTTP/1.1 304 Not Modified | Transfer-Encoding: chunked | Length(0), kept"),
    ("HTTP/1.1 999 Request denied~~", "HTTP/1.1 999 Request denied | Close, closed"),
    ("HTTP/1.1 101 Switching~Upgrade: x~~", "HTTP/1.1 101 Switching | Upgrade: x | Tunnel, closed"),
    ("HTTP/1.1 200 A\u{7}bell~~", "HTTP/1.1 200  | Close, closed"),
];

const REFUSED: &[(&str, Rule)] = &[
    ("SSH-2.0-OpenSSH~", Rule::Protocol),
    ("<html>", Rule::Protocol),
    ("HTTP/2 200~", Rule::Protocol),
    ("HTTP/0.9 200 OK~~", Rule::Protocol),
    ("~~~~~HTTP/1.1 200 OK~~", Rule::Protocol),
    ("HTTP/1.1 OK~~", Rule::Syntax),
    ("HTTP/1.1 2000 OK~~", Rule::Syntax),
    ("HTTP/1.1 099 OK~~", Rule::Syntax),
    ("HTTP/1.1 20x OK~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~X~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~X Y: 1~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~: 1~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~X: a\rSet-Cookie: b~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~X: a\0b~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~X: a~ b\0~~", Rule::Syntax),
    ("HTTP/1.1 200 OK~ Content-Length: 5~~", Rule::Length),
    ("HTTP/1.1 200 OK~Content-Length: 5~ 6~~", Rule::Length),
    ("HTTP/1.1 200 OK~Content-Length: 5~Content-Length: 6~~", Rule::Length),
    ("HTTP/1.1 200 OK~Content-Length: five~~", Rule::Length),
    ("HTTP/1.1 200 OK~Content-Length: -5~~", Rule::Length),
    ("HTTP/1.1 200 OK~Transfer-Encoding: gzip~Content-Length: 5~~", Rule::TransferCoding),
    ("HTTP/1.1 200 OK~Transfer-Encoding: gzip, chunked~~", Rule::TransferCoding),
    ("HTTP/1.1 200 OK~Transfer-Encoding: chunked, gzip~~", Rule::TransferCoding),
    ("HTTP/1.1 200 OK~Transfer-Encoding: chunked, chunked~~", Rule::TransferCoding),
];

#[test]
fn heads_that_are_taken() {
    for (input, expected) in TAKEN {
        let found = both_ways(&input.replace('~', "\r\n")).unwrap();
        assert_eq!(found.as_deref(), Some(*expected), "{input:?}");
    }
}

#[test]
fn heads_that_are_refused() {
    for (input, rule) in REFUSED {
        let found = both_ways(&input.replace('~', "\r\n"));
        assert_eq!(found.map_err(|it| it.rule), Err(*rule), "{input:?}");
    }
}

#[test]
fn an_incomplete_head_waits() {
    for (input, _) in TAKEN {
        let input = input.replace('~', "\r\n");
        for cut in 0..input.len() {
            if input.is_char_boundary(cut) {
                assert_eq!(both_ways(&input[..cut]), Ok(None), "{:?}", &input[..cut]);
            }
        }
    }
}

#[test]
fn interim_heads_are_read_one_after_the_other() {
    let input = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let mut reader = ResponseReader::default();
    let (interim, length) = reader.read(input).unwrap().unwrap();
    assert!(interim.is_interim() && interim.status == 103);
    let (last, rest) = reader.read(&input[length..]).unwrap().unwrap();
    assert!(!last.is_interim() && last.fields.is_empty());
    assert_eq!(length + rest, input.len());
    assert_eq!(last.framing(&Method::GET), Ok(Framing::Length(0)));
}

#[test]
fn fields_are_bounded_by_bytes_alone() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(2000));
    assert!(both_ways(&many).is_ok_and(|it| it.is_some()));
    let large = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_RESPONSE_HEAD));
    assert_eq!(both_ways(&large).map_err(|it| it.rule), Err(Rule::HeadTooLarge));
}
