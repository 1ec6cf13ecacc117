//! CONNECT: from a connection to the proxy to one that leads to the gateway.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::head::{self, FIELDS_MAX, HEAD_MAX, Head, HeadError};
use super::{Credentials, Upstream};
use crate::failure::{Failure, ProxyAuth, Stage, printable};

/// The proxy's answer gets this long: it has to reach the gateway first, and a dial has 20 s for
/// everything.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(12);

/// What is repeated of the schemes that a proxy offers.
const SCHEMES_SHOWN: usize = 8;

/// Asks the proxy at the other end of `tcp` for a connection to `authority`. Afterwards the next
/// byte to be read is the gateway's first.
pub(crate) async fn tunnel(
    tcp: &mut TcpStream,
    upstream: &Upstream,
    authority: &str,
) -> Result<(), Failure> {
    match timeout(ANSWER_LIMIT, ask(tcp, upstream, authority)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::TimedOut { stage: Stage::Proxy, limit: ANSWER_LIMIT }),
    }
}

async fn ask(tcp: &mut TcpStream, upstream: &Upstream, authority: &str) -> Result<(), Failure> {
    let request = request(authority, upstream.credentials.as_ref());
    let wrong = |error| odd(upstream, &error);
    tcp.write_all(request.as_bytes()).await.map_err(|error| wrong(HeadError::Io(error)))?;
    let mut bytes = Vec::new();
    loop {
        let head = head::read(tcp, &mut bytes).await.map_err(wrong)?;
        match head.status {
            // Interim answers (RFC 9110, section 15.2).
            100..200 => {}
            // Whatever it says about a body: there is none (RFC 9110, section 9.3.6).
            200..300 => return Ok(()),
            407 => return Err(unauthorized(upstream, &head)),
            status => {
                let (proxy, reason) = (upstream.to_string(), printable(&head.reason));
                return Err(Failure::ProxyRefused { proxy, status, reason });
            }
        }
    }
}

/// Credentials are sent without being asked for: a question would cost a connection each time.
fn request(authority: &str, credentials: Option<&Credentials>) -> Zeroizing<String> {
    let basic = credentials.map(Credentials::basic);
    let (before, basic) = match &basic {
        Some(basic) => ("\r\nProxy-Authorization: Basic ", basic.as_str()),
        None => ("", ""),
    };
    let parts =
        ["CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, before, basic, "\r\n\r\n"];
    // In one piece: a string that grows leaves copies of its secret behind.
    Zeroizing::new(parts.concat())
}

fn odd(upstream: &Upstream, error: &HeadError) -> Failure {
    let what = match error {
        HeadError::TooLong => format!("it is longer than {} KiB", HEAD_MAX / 1024),
        HeadError::TooManyFields => format!("it has more than {FIELDS_MAX} fields"),
        HeadError::NotHttp => "it is not HTTP".to_owned(),
        HeadError::Io(error) => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => "it hung up before its answer was whole".to_owned(),
            _ => error.to_string(),
        },
    };
    Failure::ProxyAnswer { proxy: upstream.to_string(), what }
}

fn unauthorized(upstream: &Upstream, head: &Head) -> Failure {
    let problem = if !head.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
        ProxyAuth::NoBasic
    } else if upstream.credentials.is_some() {
        ProxyAuth::Refused
    } else {
        ProxyAuth::Missing
    };
    let offered: Vec<String> =
        head.schemes.iter().take(SCHEMES_SHOWN).map(|scheme| printable(scheme)).collect();
    Failure::ProxyAuth { proxy: upstream.to_string(), problem, offered }
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
