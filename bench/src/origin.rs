//! The origin behind every peer, in a process of its own: fast, so that it does not dominate the
//! measurement.
//!
//! | request | response |
//! |---|---|
//! | `GET /k` | 1 KiB |
//! | `GET /N` | N bytes of the [`Pattern`] |
//! | `POST …` | how many bytes the body had |

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::http::{declared_length, field};
use crate::pattern::Pattern;

/// The small body, in bytes.
const SMALL: usize = 1024;
/// The largest head it reads, in bytes: many times the size of any peer's requests.
const MAX_HEAD: usize = 16 * 1024;
/// How much of an upload is read at once, in bytes.
const READ: usize = 256 * 1024;

/// Serves on an address until the process is killed.
pub(crate) fn run(address: SocketAddr) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    LocalSet::new()
        .block_on(&runtime, serve(address))
        .map_err(|error| format!("origin on {address}: {error}"))
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let pattern = Rc::new(Pattern::new());
    loop {
        let (stream, _) = listener.accept().await?;
        let pattern = Rc::clone(&pattern);
        // A peer that disconnects ends only its own connection.
        tokio::task::spawn_local(async move { connection(stream, &pattern).await });
    }
}

/// The request in one head.
#[derive(Debug, PartialEq)]
enum Request {
    Small,
    Bytes(u64),
    Count(u64),
    /// Not a request of the load generator; answered with an error, so that the run fails with a
    /// reason.
    Unknown(&'static str),
}

async fn connection(mut stream: TcpStream, pattern: &Pattern) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let small = answer(SMALL as u64, pattern.next(0, SMALL as u64));
    let mut buffer = Vec::with_capacity(MAX_HEAD);
    loop {
        let size = loop {
            if let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if buffer.len() > MAX_HEAD || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let (request, close) = read(&buffer[..size]);
        buffer.drain(..size);
        match request {
            Request::Small => stream.write_all(&small).await?,
            Request::Bytes(length) => send(&mut stream, pattern, length).await?,
            Request::Count(length) => {
                discard(&mut stream, &mut buffer, length).await?;
                let count = length.to_string();
                let answer = answer(count.len() as u64, count.as_bytes());
                stream.write_all(&answer).await?;
            }
            Request::Unknown(status) => {
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                return Ok(());
            }
        }
        if close {
            return stream.shutdown().await;
        }
    }
}

/// The request in a head, and whether the connection is to be closed.
fn read(head: &[u8]) -> (Request, bool) {
    let Ok(text) = std::str::from_utf8(head) else {
        return (Request::Unknown("400 Bad Request"), true);
    };
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let close = field(lines.clone(), "connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    // Some peers forward the absolute form. The path follows the last slash in both forms.
    let path = target.rsplit('/').next().unwrap_or_default();
    let request = match (method, path) {
        (Some("GET"), "k") => Request::Small,
        (Some("GET"), n) => n.parse().map_or(Request::Unknown("404 Not Found"), Request::Bytes),
        (Some("POST"), _) => {
            declared_length(lines).map_or(Request::Unknown("411 Length Required"), Request::Count)
        }
        _ => Request::Unknown("405 Method Not Allowed"),
    };
    (request, close)
}

fn answer(length: u64, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn send(stream: &mut TcpStream, pattern: &Pattern, length: u64) -> io::Result<()> {
    stream.write_all(&answer(length, &[])).await?;
    let mut sent = 0;
    while sent < length {
        let next = pattern.next(sent, length - sent);
        stream.write_all(next).await?;
        sent += next.len() as u64;
    }
    Ok(())
}

/// Reads a body whose beginning is in `buffer`.
async fn discard(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: u64) -> io::Result<()> {
    let mut left = length;
    let early = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    buffer.drain(..early);
    left -= early as u64;
    let mut piece = vec![0; READ];
    while left > 0 {
        let room = usize::try_from(left).map_or(READ, |left| left.min(READ));
        let n = stream.read(&mut piece[..room]).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_both_forms_and_refuses_what_no_load_sends() {
        for (head, request, close) in [
            ("GET /k HTTP/1.1\r\nHost: h\r\n\r\n", Request::Small, false),
            ("GET http://h/k HTTP/1.1\r\n\r\n", Request::Small, false),
            ("GET /70000 HTTP/1.1\r\nConnection: close\r\n\r\n", Request::Bytes(70_000), true),
            ("POST /up HTTP/1.1\r\ncontent-length: 9\r\n\r\n", Request::Count(9), false),
            ("POST /up HTTP/1.1\r\n\r\n", Request::Unknown("411 Length Required"), false),
            ("GET /x HTTP/1.1\r\n\r\n", Request::Unknown("404 Not Found"), false),
        ] {
            assert_eq!(read(head.as_bytes()), (request, close), "{head}");
        }
    }
}
