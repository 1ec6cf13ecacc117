//! The head of a proxy's answer: read without a byte of what follows it, and understood.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Longer heads are refused: an honest one has a few hundred bytes, and some have cookies.
pub(super) const HEAD_MAX: usize = 16 * 1024;

/// More fields than fit into a head that means well.
pub(super) const FIELDS_MAX: usize = 128;

/// How much is looked at at once.
const GLANCE: usize = 1024;

/// What can be wrong with a head.
#[derive(Debug)]
pub(super) enum HeadError {
    /// The connection failed or ended.
    Io(io::Error),
    /// [`HEAD_MAX`] was not enough.
    TooLong,
    /// [`FIELDS_MAX`] was not enough.
    TooManyFields,
    /// It is not the head of an HTTP/1 answer.
    NotHttp,
}

/// What matters of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) reason: String,
    /// The schemes that the proxy offers for authentication, as it spells them.
    pub(super) schemes: Vec<String>,
}

/// Reads one head into `head`, which holds those before it. The gateway's first TLS bytes may lie
/// right behind it; they stay in the socket: what is there is looked at first, and only what
/// belongs to the head is taken.
pub(super) async fn read(tcp: &mut TcpStream, head: &mut Vec<u8>) -> Result<Head, HeadError> {
    let start = head.len();
    let mut glance = [0; GLANCE];
    loop {
        let room = GLANCE.min(HEAD_MAX - head.len());
        if room == 0 {
            return Err(HeadError::TooLong);
        }
        let seen = tcp.peek(&mut glance[..room]).await.map_err(HeadError::Io)?;
        if seen == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = head.len();
        head.extend_from_slice(&glance[..seen]);
        let end = end(&head[start..]).map(|end| start + end);
        let taken = end.unwrap_or(head.len()) - before;
        head.truncate(before + taken);
        tcp.read_exact(&mut glance[..taken]).await.map_err(HeadError::Io)?;
        // Whoever speaks something else is not waited for.
        if !b"HTTP/1."[..].starts_with(&head[start..(start + 7).min(head.len())]) {
            return Err(HeadError::NotHttp);
        }
        if end.is_some() {
            return parse(&head[start..]);
        }
    }
}

/// Where the empty line ends. Lines may end in LF alone (RFC 9112, section 2.2).
fn end(bytes: &[u8]) -> Option<usize> {
    let after = |line: usize| match &bytes[line + 1..] {
        [b'\n', ..] => Some(line + 2),
        [b'\r', b'\n', ..] => Some(line + 3),
        _ => None,
    };
    (0..bytes.len()).filter(|&i| bytes[i] == b'\n').find_map(after)
}

fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
        _ => return Err(HeadError::NotHttp),
    }
    let challenges = response
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("proxy-authenticate"));
    let schemes = challenges.flat_map(|field| schemes(&String::from_utf8_lossy(field.value)));
    Ok(Head {
        status: response.code.unwrap_or(0),
        schemes: schemes.collect(),
        reason: response.reason.unwrap_or_default().to_owned(),
    })
}

/// The schemes among challenges and their parameters, which commas separate alike (RFC 9110,
/// section 11.6.1): a scheme is a word that no `=` follows.
fn schemes(value: &str) -> Vec<String> {
    let mut quoted = false;
    let outside = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    let parts: Vec<&str> = value.split(outside).map(str::trim).collect();
    let scheme = |part: &&str| {
        let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
        let is_scheme =
            !word.is_empty() && !word.contains('=') && !rest.trim_start().starts_with('=');
        is_scheme.then(|| word.to_owned())
    };
    parts.iter().filter_map(scheme).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_heads_end() {
        let cases: [(&[u8], Option<usize>); 7] = [
            (b"", None),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"HTTP/1.1 200 OK\r\n\r", None),
            (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03", Some(19)),
            (b"HTTP/1.1 200 OK\n\n\x16\x03", Some(17)),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n\r\n", Some(25)),
            (b"a\n\r\nb", Some(4)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(end(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn many_fields_are_named() {
        let with = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(parse(with(FIELDS_MAX).as_bytes()).is_ok());
        let error = parse(with(FIELDS_MAX + 1).as_bytes()).unwrap_err();
        assert!(matches!(error, HeadError::TooManyFields), "{error:?}");
    }

    #[test]
    fn what_a_proxy_offers() {
        let cases: [(&str, &[&str]); 6] = [
            ("Basic realm=\"corp\"", &["Basic"]),
            ("Negotiate", &["Negotiate"]),
            (
                "Negotiate, NTLM, Basic realm=\"a, b\", charset=\"UTF-8\"",
                &["Negotiate", "NTLM", "Basic"],
            ),
            ("Digest realm = \"x\", nonce = \"y\", Basic realm=\"z\"", &["Digest", "Basic"]),
            ("", &[]),
            ("Basic", &["Basic"]),
        ];
        for (value, expected) in cases {
            assert_eq!(schemes(value), expected, "{value}");
        }
    }
}
