//! A request through our own proxy, as an application would send it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use seacat_proxy::Credentials;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::report::millis;

/// A request may wait 10 s for the channel, and its host for 30 s more.
const LIMIT: Duration = Duration::from_secs(40);

/// What is read of the answer; the rest is left unread.
const READ_MAX: u64 = 4 << 20;

/// What is kept of it: the head, and the beginning of an explanation.
const KEPT_MAX: usize = 64 << 10;

/// Requests that the diagnosis makes: from which address and when, the latest of them.
#[derive(Debug, Clone, Default)]
pub struct OwnRequests(Arc<Mutex<VecDeque<(SocketAddr, SystemTime)>>>);

/// As many as the lines that the access log keeps: all of them may be of a diagnosis.
const REMEMBERED: usize = 500;

impl OwnRequests {
    fn remember(&self, client: SocketAddr) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() == REMEMBERED {
            clients.pop_front();
        }
        clients.push_back((client, SystemTime::now()));
    }

    /// Whether a request that came from `client` at `time` is one of ours. An application may get
    /// the same port later, so the address alone does not decide.
    #[must_use]
    pub fn contains(&self, client: SocketAddr, time: SystemTime) -> bool {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let near = |since: SystemTime| {
            let apart = time.duration_since(since).or_else(|_| since.duration_since(time));
            apart.is_ok_and(|apart| apart < LIMIT)
        };
        clients.iter().any(|(ours, since)| *ours == client && near(*since))
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host behind the gateway.
    pub host: String,
    /// The path, without a query.
    pub path: String,
}

impl Target {
    /// The first page of a host.
    #[must_use]
    pub fn root(host: impl Into<String>) -> Self {
        Self { host: host.into(), path: "/".to_owned() }
    }
}

impl fmt::Display for Target {
    /// The host, and the path when it is not `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "/" => f.write_str(&self.host),
            path => write!(f, "{}{path}", self.host),
        }
    }
}

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub struct Way {
    /// Our proxy.
    pub proxy: SocketAddr,
    /// What it wants to be shown.
    pub credentials: Option<Credentials>,
    /// Where it is noted that the request is not an application's.
    pub own: OwnRequests,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Who was asked.
    pub host: String,
    /// For what.
    pub path: String,
    /// The status.
    pub status: u16,
    /// The code of our own error, if the answer is ours.
    pub code: Option<String>,
    /// From the connection to the end of the answer, in milliseconds.
    pub ms: f64,
    /// The body's length in bytes, as far as it was read.
    pub bytes: u64,
    /// The beginning of the body.
    pub text: String,
}

/// Sends a GET for `target` and reads the answer.
///
/// # Errors
/// When our proxy does not answer.
pub async fn send(way: &Way, target: &Target) -> io::Result<Tested> {
    let Target { host, path } = target;
    let authority = if host.contains(['.', ':']) { host.clone() } else { format!("{host}.seacat") };
    let basic = way.credentials.as_ref().map(|it| {
        let pair = Zeroizing::new(format!("{}:{}", it.user, it.password));
        Zeroizing::new(format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(pair.as_bytes())))
    });
    let head = Zeroizing::new(format!(
        "GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/plain, */*;q=0.5\r\n\
         User-Agent: seacat-proxy/{} (test)\r\n{}Connection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        basic.as_ref().map_or("", |it| it.as_str()),
    ));
    let began = Instant::now();
    let answer = async {
        let tcp = TcpStream::connect(way.proxy).await?;
        way.own.remember(tcp.local_addr()?);
        exchange(tcp, head.as_bytes()).await
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the answer takes too long");
    let answer = timeout(LIMIT, answer).await.map_err(|_| late())??;
    Ok(Tested {
        host: host.clone(),
        path: path.clone(),
        status: answer.status,
        code: answer.field("proxy-status").and_then(code_in),
        ms: millis(began.elapsed()),
        bytes: answer.body,
        text: answer.text,
    })
}

/// The status of our own page at `address`.
pub(super) async fn page(address: SocketAddr, own: Option<&OwnRequests>) -> io::Result<u16> {
    let tcp = TcpStream::connect(address).await?;
    if let Some(own) = own {
        own.remember(tcp.local_addr()?);
    }
    let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    Ok(exchange(tcp, head.as_bytes()).await?.status)
}

struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    text: String,
    body: u64,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Our proxy closes after the answer, as it was asked to, so the end of the body is the end.
async fn exchange(mut tcp: TcpStream, head: &[u8]) -> io::Result<Answer> {
    tcp.write_all(head).await?;
    let mut reader = BufReader::new(tcp).take(READ_MAX);
    let (mut kept, mut chunk, mut total) = (Vec::new(), vec![0; 16 << 10], 0_u64);
    loop {
        let count = reader.read(&mut chunk).await?;
        if count == 0 {
            break;
        }
        total += count as u64;
        let room = KEPT_MAX.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&chunk[..room]);
    }
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let text = String::from_utf8_lossy(&kept);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(odd)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    Ok(Answer {
        status: status.ok_or_else(odd)?,
        fields: lines.filter_map(field).collect(),
        body: total.saturating_sub(head.len() as u64 + 4),
        text: body.to_owned(),
    })
}

/// How a gateway marks the 403 for want of an identity.
const DENIAL: &str = "details=\"identity\"";

/// `SC-…` in a field Proxy-Status, or what stands for it in a gateway's.
fn code_in(field: &str) -> Option<String> {
    if field.contains(DENIAL) {
        return Some("SC-NOT-ENROLLED".to_owned());
    }
    let start = field.find("SC-")?;
    let is_part = |c: char| c.is_ascii_uppercase() || c == '-';
    let code = &field[start..];
    Some(code[..code.find(|c| !is_part(c)).unwrap_or(code.len())].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_our_own_answers() {
        for (field, code) in [
            (
                "seacat-proxy; error=destination_unavailable; details=\"SC-NOT-CONNECTED\"",
                Some("SC-NOT-CONNECTED"),
            ),
            ("x; details=\"SC-LOST (more)\"", Some("SC-LOST")),
            ("seacat-gateway; details=\"identity\"", Some("SC-NOT-ENROLLED")),
            ("x", None),
        ] {
            assert_eq!(code_in(field).as_deref(), code, "{field}");
        }
    }

    #[test]
    fn our_own_requests_are_known_for_a_while() {
        let own = OwnRequests::default();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let last = u16::try_from(REMEMBERED).unwrap() + 8;
        for port in 1..=last {
            own.remember(at(port));
        }
        let now = SystemTime::now();
        assert!(own.contains(at(last), now) && own.contains(at(9), now));
        assert!(!own.contains(at(8), now), "the oldest are forgotten");
        assert!(!own.contains(at(last), now + LIMIT * 2), "an application has the port now");
    }
}
