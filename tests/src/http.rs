//! A minimal client that sends exactly the given bytes and reads strictly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a client waits for any one read. Longer than the proxy waits for its channel (10 s):
/// reaching it means that the peer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, with its empty line.
    pub head: String,
    /// The body, without chunk framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// All values of a field, in order; names are compared without case.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The proxy's own code (`SC-…`), when the proxy made this answer.
    pub fn code(&self) -> Option<String> {
        let text = format!("{}{}", self.head, self.text());
        let start = text.find("SC-")?;
        let is_code = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '-';
        Some(text[start..].chars().take_while(is_code).collect())
    }
}

/// A keep-alive connection to a proxy (or to anything that speaks HTTP/1.1).
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    /// The head of a final answer has been read since the last request.
    head_read: bool,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// Whatever the connection attempt met.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), head_read: false })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(std::net::Shutdown::Write)
    }

    /// Reads one final answer; interim ones (1xx but 101) are passed over.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends before the answer does, `InvalidData` when it is
    /// not HTTP/1, and what reading met.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        self.head_read = false;
        loop {
            let (status, head) = self.head()?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            self.head_read = true;
            let mut answer = Answer { status, head, body: Vec::new() };
            let tunnel = method == "CONNECT" && (200..300).contains(&status);
            if method != "HEAD" && !tunnel && !matches!(status, 101 | 204 | 304) {
                answer.body = self.body(&answer)?;
            }
            return Ok(answer);
        }
    }

    /// Did the last [`Client::answer`] get as far as a final head? Then an error of it means a
    /// body that was cut short.
    pub fn head_was_read(&self) -> bool {
        self.head_read
    }

    /// Sends a whole request and reads its answer.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::answer`].
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        let method = request.split(|byte| *byte == b' ').next().unwrap_or_default();
        self.answer(&String::from_utf8_lossy(method))
    }

    /// `GET` of an absolute URL.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn get(&mut self, url: &str) -> io::Result<Answer> {
        self.ask(request("GET", url).as_bytes())
    }

    /// Reads and forgets until `enough` bytes have come, the connection ends, or nothing more
    /// comes for `patience`; returns how many came.
    pub fn read_away(&mut self, enough: u64, patience: Duration) -> u64 {
        self.set_patience(patience);
        let mut count = 0;
        let mut room = [0; 64 * 1024];
        while count < enough {
            match self.stream.read(&mut room) {
                Ok(0) | Err(_) => break,
                Ok(n) => count += n as u64,
            }
        }
        count
    }

    /// Whether the connection has ended by now; what still comes is forgotten.
    pub fn has_ended(&mut self) -> bool {
        self.set_patience(Duration::from_millis(1));
        let mut room = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => return true,
                Ok(_) => {}
                // A reset is an end too.
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Has something come, an answer or the end of the connection?
    pub fn has_news(&self) -> bool {
        let stream = self.stream.get_ref();
        let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        stream.set_nonblocking(false).expect("a socket can be set back");
        !looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// How long a single read may wait, when not as long as usual.
    pub fn set_patience(&mut self, limit: Duration) {
        self.stream.get_mut().set_read_timeout(Some(limit)).expect("a positive time limit");
    }

    fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            self.line(&mut head)?;
        }
        let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.ok_or_else(|| invalid(&format!("not HTTP/1: {head:?}")))?;
        Ok((status, head))
    }

    fn body(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        match (
            answer.fields("content-length").as_slice(),
            answer.fields("transfer-encoding").as_slice(),
        ) {
            ([length], []) => {
                let length = length.parse().map_err(|_| invalid("Content-Length"))?;
                body.resize(length, 0);
                self.stream.read_exact(&mut body)?;
            }
            ([], ["chunked"]) => while self.chunk(&mut body)? {},
            ([], []) => {
                self.stream.read_to_end(&mut body)?;
            }
            _ => return Err(invalid("ambiguous framing")),
        }
        Ok(body)
    }

    /// Reads one chunk; says whether it was not the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = String::new();
        self.line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(|_| invalid("chunk size"))?;
        let before = body.len();
        body.resize(before + size, 0);
        self.stream.read_exact(&mut body[before..])?;
        line.clear();
        self.line(&mut line)?;
        if line == "\r\n" { Ok(size > 0) } else { Err(invalid("chunk end")) }
    }

    fn line(&mut self, line: &mut String) -> io::Result<()> {
        match self.stream.read_line(line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// A request without a body, in absolute form.
pub fn request(method: &str, url: &str) -> String {
    let host = url.split('/').nth(2).unwrap_or_default();
    format!("{method} {url} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[cfg(test)]
mod harness {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What a client makes of `bytes` from a server that then closes.
    fn read(bytes: &'static [u8]) -> io::Result<Answer> {
        read_with(bytes).0
    }

    /// The same, and whether it had a head.
    fn read_with(bytes: &'static [u8]) -> (io::Result<Answer>, bool) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || listener.accept().unwrap().0.write_all(bytes));
        let mut client = Client::connect(port).unwrap();
        let answer = client.answer("GET");
        server.join().unwrap().unwrap();
        (answer, client.head_was_read())
    }

    #[test]
    fn reads_each_framing() {
        let length = read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef").unwrap();
        assert_eq!((length.status, length.text().as_str()), (200, "abc"));
        let chunked = read(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        assert_eq!(chunked.unwrap().text(), "abc");
        let closed = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\n\r\nabc").unwrap();
        assert_eq!((closed.status, closed.text().as_str()), (404, "abc"));
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        for (cut, has_head) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[..], true),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", true),
            (b"HTTP/1.1 200 OK\r\n", false),
            (b"HTTP/1.1 100 Continue\r\n\r\n", false),
        ] {
            let (answer, head) = read_with(cut);
            assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{cut:?}");
            assert_eq!(head, has_head, "{cut:?}");
        }
    }

    #[test]
    fn finds_our_code() {
        let answer = read(b"HTTP/1.1 502 Bad\r\nX: details=\"SC-GATEWAY-LOST\"\r\n\r\n").unwrap();
        assert_eq!(answer.code().as_deref(), Some("SC-GATEWAY-LOST"));
    }
}
