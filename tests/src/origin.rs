//! An origin for what nginx cannot do: say what reached it, be slow on purpose, sum an upload.
//!
//! | path | answer |
//! |---|---|
//! | `/echo`, `/echo/…` | the request's head as it arrived, an empty line, the body |
//! | `/sum` | SHA-256 and length of the body |
//! | `/slow/MS` | "slow" after that many milliseconds |
//! | `/drip/N/MS` | N chunks of 1 KiB, that many milliseconds apart |
//! | `/torn` | one chunk, and the connection is closed 100 ms later |
//! | `/hang-up` | none: the connection is closed |
//! | anything else | 200 and the path |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::place::sha256_of;

/// The largest head it reads, in bytes. Larger than what the proxy lets through.
const MAX_HEAD: usize = 1024 * 1024;

/// How much of a body is kept, in bytes.
const KEPT: u64 = 64 * 1024;

/// One request as it reached the origin.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head, byte for byte, with its empty line.
    pub head: String,
    /// The body, or its first 64 KiB.
    pub body: Vec<u8>,
    /// Two readers could see different ends of it. Nothing of that kind may ever get here.
    pub ambiguous: bool,
}

impl Seen {
    /// All values of a field, in order; names are compared without case.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// A running origin. Its threads end when their connections do.
#[derive(Debug)]
pub struct Origin {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Origin {
    /// Starts it on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::free_port())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let record = Arc::clone(&record);
                // A client that disconnects in the middle is part of some scenarios.
                thread::spawn(move || serve(&stream, &record));
            }
        });
        Self { port, seen }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request that reached it whole since this was last asked.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Serves one connection until it ends or sends something that is not strict HTTP/1.1.
fn serve(stream: &TcpStream, record: &Mutex<Vec<Seen>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    while let Some(head) = read_head(&mut reader)? {
        let mut seen = Seen { head, body: Vec::new(), ambiguous: false };
        if seen.fields("expect").iter().any(|v| v.eq_ignore_ascii_case("100-continue")) {
            (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let target = seen.line().split(' ').nth(1).unwrap_or_default().to_owned();
        let mut body = match Body::new(&mut reader, &seen) {
            Ok(body) => body,
            Err(error) => {
                seen.ambiguous = true;
                record.lock().unwrap().push(seen);
                return Err(error);
            }
        };
        if target == "/sum" {
            let (sum, length) = sha256_of(body)?;
            record.lock().unwrap().push(seen);
            answer(stream, 200, format!("{sum} {length}\n").as_bytes())?;
            continue;
        }
        io::copy(&mut (&mut body).take(KEPT), &mut seen.body)?;
        io::copy(&mut body, &mut io::sink())?;
        let text = [seen.head.as_bytes(), &seen.body].concat();
        let is_head = seen.line().starts_with("HEAD ");
        record.lock().unwrap().push(seen);
        let words: Vec<&str> = target.trim_start_matches('/').split('/').collect();
        match words.as_slice() {
            _ if is_head => answer(stream, 200, b"")?,
            ["echo", ..] => answer(stream, 200, &text)?,
            ["slow", ms] => {
                thread::sleep(millis(ms));
                answer(stream, 200, b"slow\n")?;
            }
            ["drip", count, ms] => drip(stream, count.parse().unwrap_or(1), millis(ms))?,
            ["torn"] => {
                let torn = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntorn\r\n";
                (&*stream).write_all(torn)?;
                thread::sleep(millis("100"));
                return stream.shutdown(Shutdown::Both);
            }
            ["hang-up"] => return stream.shutdown(Shutdown::Both),
            _ => answer(stream, 200, format!("you asked for {target}\n").as_bytes())?,
        }
    }
    Ok(())
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap_or(0))
}

/// A head up to and with its empty line, or nothing when the connection has ended between two.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let before = head.len();
        reader.take((MAX_HEAD - before) as u64).read_until(b'\n', &mut head)?;
        if head.len() == before {
            let nothing = head.is_empty();
            return if nothing { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

fn answer(mut stream: &TcpStream, status: u16, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())
}

fn drip(mut stream: &TcpStream, count: usize, pause: Duration) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for _ in 0..count {
        stream.write_all(format!("400\r\n{}\r\n", "drip".repeat(256)).as_bytes())?;
        thread::sleep(pause);
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Where in its body a request is.
enum Framing {
    /// So many bytes are left of it.
    Length(u64),
    /// So many bytes are left of the chunk being read; another follows.
    Chunk(u64),
    Ended,
}

struct Body<R> {
    reader: R,
    framing: Framing,
}

impl<R: BufRead> Body<R> {
    /// The body that a head announces. Both framings at once, or one twice, is what must never
    /// get here.
    fn new(mut reader: R, seen: &Seen) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "ambiguous framing");
        let lengths = seen.fields("content-length");
        let codings = seen.fields("transfer-encoding");
        let framing = match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Framing::Ended,
            ([length], []) if length.bytes().all(|b| b.is_ascii_digit()) => {
                Framing::Length(length.parse().map_err(|_| bad())?)
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => next_chunk(&mut reader)?,
            _ => return Err(bad()),
        };
        Ok(Self { reader, framing })
    }
}

/// Reads the line before a chunk; after the last, the trailers too.
fn next_chunk(reader: &mut impl BufRead) -> io::Result<Framing> {
    let size = u64::from_str_radix(line(reader)?.trim(), 16);
    match size.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))? {
        0 => {
            while !line(reader)?.trim().is_empty() {}
            Ok(Framing::Ended)
        }
        size => Ok(Framing::Chunk(size)),
    }
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = match &mut self.framing {
            Framing::Ended | Framing::Length(0) => return Ok(0),
            Framing::Length(left) | Framing::Chunk(left) => left,
        };
        let room = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let n = self.reader.read(&mut buffer[..room])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= n as u64;
        if matches!(self.framing, Framing::Chunk(0)) {
            line(&mut self.reader)?;
            self.framing = next_chunk(&mut self.reader)?;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod harness {
    use super::*;
    use crate::http::{Client, request};

    #[test]
    fn says_what_reached_it() {
        let origin = Origin::start();
        let mut client = Client::connect(origin.port()).unwrap();
        let chunked = "POST /sum HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                       1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
        let sum = client.ask(chunked.as_bytes()).unwrap().text();
        assert!(sum.starts_with("ba7816bf8f01cfea") && sum.ends_with(" 3\n"), "{sum}");
        let echo = client.ask(b"GET /echo HTTP/1.1\r\nX: 1\r\n\r\n").unwrap();
        assert_eq!(echo.text(), "GET /echo HTTP/1.1\r\nX: 1\r\n\r\n");
        assert_eq!(client.get("/drip/3/1").unwrap().body.len(), 3 * 1024);
        assert!(client.ask(request("GET", "/hang-up").as_bytes()).is_err());
        let seen: Vec<String> = origin.take_seen().iter().map(|s| s.line().to_owned()).collect();
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(origin.take_seen().is_empty());
    }

    #[test]
    fn ambiguous_framing_is_noticed() {
        for framing in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Transfer-Encoding: gzip",
        ] {
            let origin = Origin::start();
            let mut client = Client::connect(origin.port()).unwrap();
            let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n0\r\n\r\n");
            assert!(client.ask(request.as_bytes()).is_err(), "{framing}");
            assert!(origin.take_seen()[0].ambiguous, "{framing}");
        }
    }
}
