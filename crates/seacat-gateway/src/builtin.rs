//! Hosts that the gateway serves itself: a welcome page, an echo and a download.
//!
//! They need no socket, so tests and benchmarks use them as the server.

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use seacat_link::{RecvHalf, SendHalf};
use seacat_proto::RequestHead;
use serde::Deserialize;

use crate::fault::Failed;
use crate::identity::Caller;
use crate::text::{self, Text};

/// A host without a back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// A welcome page: HTML for browsers, plain text for everything else.
    Hello,
    /// Answers with the request: method, path, fields, and the body as it comes.
    Echo,
    /// `/1000`, `/64K`, `/10M`, `/1G`: so many bytes (K, M and G count in 1024). Byte number `i`
    /// is `i` mod 251.
    Download,
}

impl Builtin {
    /// All of them, with their host names in the demo.
    pub const ALL: [(&'static str, Self); 3] =
        [("hello", Self::Hello), ("echo", Self::Echo), ("download", Self::Download)];

    /// Answers one request.
    pub(crate) async fn answer(
        self,
        head: &RequestHead,
        caller: &Caller,
        reply: &mut SendHalf,
        body: &mut RecvHalf,
    ) -> Result<(), Failed> {
        match self {
            Self::Echo => echo(head, caller, reply, body).await,
            Self::Hello | Self::Download if !matches!(head.method(), b"GET" | b"HEAD") => {
                let text = Text::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD work here");
                text.field("Allow", "GET, HEAD").send(head, reply)
            }
            Self::Hello => hello(head, reply),
            Self::Download => download(head, reply).await,
        }
    }
}

fn hello(head: &RequestHead, reply: &mut SendHalf) -> Result<(), Failed> {
    let html = head.fields().any(|(name, value)| {
        name.eq_ignore_ascii_case(b"accept") && value.windows(9).any(|it| it == b"text/html")
    });
    let text = match html {
        true => Text::new(StatusCode::OK, include_str!("hello.html")).html(),
        false => Text::new(StatusCode::OK, include_str!("hello.txt")),
    };
    text.field("Vary", "Accept").send(head, reply)
}

async fn echo(
    head: &RequestHead,
    caller: &Caller,
    reply: &mut SendHalf,
    body: &mut RecvHalf,
) -> Result<(), Failed> {
    let end = head.method() == b"HEAD";
    reply.reply(text::head(StatusCode::OK, text::PLAIN)?, end)?;
    if end {
        return Ok(());
    }
    reply.send(request_text(head, caller))?;
    while let Some(bytes) = body.data().await {
        reply.ready().await?;
        reply.send(bytes?)?;
    }
    Ok(reply.finish()?)
}

/// The request's head in HTTP/1.1 form, with the identity fields that a back end receives.
fn request_text(head: &RequestHead, caller: &Caller) -> Bytes {
    let mut text = BytesMut::with_capacity(1024);
    for part in [head.method(), b" ", head.path(), b"\n"] {
        text.put_slice(part);
    }
    let fields = caller.identity_fields(SystemTime::now());
    let fields = fields.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let claimed = |(name, _): &(&[u8], &[u8])| caller.fields.claims(name);
    for (name, value) in head.fields().filter(|it| !claimed(it)).chain(fields) {
        for part in [name, b": ", value, b"\n"] {
            text.put_slice(part);
        }
    }
    text.put_slice(b"\n");
    text.freeze()
}

async fn download(head: &RequestHead, reply: &mut SendHalf) -> Result<(), Failed> {
    let Some(length) = size(head.path()) else {
        let text = "the path says how many bytes: /1000, /64K, /10M or /1G, and at most /1024G\n";
        return Text::new(StatusCode::NOT_FOUND, text).send(head, reply);
    };
    let mut answer = text::head(StatusCode::OK, "application/octet-stream")?;
    answer.push(b"Content-Length", length.to_string().as_bytes())?;
    let end = length == 0 || head.method() == b"HEAD";
    reply.reply(answer, end)?;
    let mut left = if end { 0 } else { length };
    while left > 0 {
        reply.ready().await?;
        let piece = &BLOCK[..BLOCK.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        reply.send(Bytes::from_static(piece))?;
        left -= piece.len() as u64;
        if left == 0 {
            reply.finish()?;
        }
    }
    Ok(())
}

/// The size requested by a path.
fn size(path: &[u8]) -> Option<u64> {
    /// 1 TiB: beyond any test, and far from overflow.
    const LARGEST: u64 = 1 << 40;
    let path = std::str::from_utf8(path).ok()?.strip_prefix('/')?;
    let path = path.split('?').next()?;
    let (number, unit) = match path.as_bytes().last()? {
        b'K' | b'k' => (&path[..path.len() - 1], 1 << 10),
        b'M' | b'm' => (&path[..path.len() - 1], 1 << 20),
        b'G' | b'g' => (&path[..path.len() - 1], 1 << 30),
        _ => (path, 1),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size <= LARGEST)
}

/// The block that downloads repeat. Its size is close to the 64 KiB that a stream may queue and a
/// whole number of periods, so that consecutive blocks continue the pattern.
static BLOCK: [u8; 251 * 260] = {
    let mut block = [0; 251 * 260];
    let mut i = 0;
    while i < block.len() {
        block[i] = (i % 251) as u8;
        i += 1;
    }
    block
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_paths() {
        let cases: &[(&str, Option<u64>)] = &[
            ("/0", Some(0)),
            ("/1000", Some(1000)),
            ("/64K", Some(65536)),
            ("/1m", Some(1 << 20)),
            ("/1G?again", Some(1 << 30)),
            ("/1024G", Some(1 << 40)),
            ("/1025G", None),
            ("/99999999999999999999", None),
            ("/99999999999999999G", None),
            ("/", None),
            ("", None),
            ("/K", None),
            ("/+1", None),
            ("/-1", None),
            ("/1.5M", None),
            ("/1M/x", None),
            ("/\u{fc}", None),
        ];
        for (path, expected) in cases {
            assert_eq!(size(path.as_bytes()), *expected, "{path}");
        }
    }
}
