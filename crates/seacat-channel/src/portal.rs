//! Captive portals: the network of a hotel or a train that answers in everybody's place until the user
//! has signed in.
//!
//! One shows itself by an answer in plain HTTP where TLS is expected, or by a certificate that is not
//! the gateway's together with a plain-HTTP request to the gateway's address that is sent elsewhere.
//! The gateway itself is asked, not a well-known page: nobody else learns where this computer is.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{DEFAULT_PORT, GatewayConfig};
use crate::failure::{Failure, printable};

/// A portal is in this very network, so it answers at once.
const LIMIT: Duration = Duration::from_secs(2);

/// The longest head that is read.
const HEAD: u64 = 16 * 1024;

/// Fields that are looked at.
const FIELDS: usize = 64;

/// The failure of a dial to `address`, named for what it is if a captive portal is behind it.
pub(crate) async fn explain(
    failure: Failure,
    gateway: &GatewayConfig,
    address: SocketAddr,
) -> Failure {
    let port = match failure {
        Failure::NotTls => address.port(),
        Failure::UnknownCa { .. }
        | Failure::WrongName { .. }
        | Failure::BadCertificate(_)
        | Failure::Expired { .. } => 80,
        _ => return failure,
    };
    let target = SocketAddr::new(address.ip(), port);
    match timeout(LIMIT, ask(target, &gateway.host)).await {
        Ok(Ok(head)) => match portal(&head, &gateway.host, port) {
            Some(host) => Failure::Portal { host },
            None => failure,
        },
        _ => failure,
    }
}

/// The beginning of the answer to a request in plain HTTP.
async fn ask(address: SocketAddr, host: &str) -> std::io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect(address).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut tcp = tcp.take(HEAD);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if tcp.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// Whether this answer is a portal's, and the host to sign in at, if it names one.
fn portal(head: &[u8], host: &str, port: u16) -> Option<Option<String>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).ok()?;
    let field = |name: &str| {
        let field = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    };
    let elsewhere = field("location").and_then(authority).filter(|it| !is_same_site(it, host));
    let page = field("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    match response.code? {
        511 => Some(elsewhere.map(printable)),
        300..=399 if elsewhere.is_some() => Some(elsewhere.map(printable)),
        // No web server speaks plain HTTP on the port of HTTPS.
        200 if page && port == DEFAULT_PORT => Some(None),
        _ => None,
    }
}

/// The host in an absolute URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// A web server may send its visitors from `gw.example.com` to `www.gw.example.com`, or back.
fn is_same_site(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    let within = |inner: &str, outer: &str| {
        inner == outer || inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'))
    };
    within(&one, &other) || within(&other, &one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_portal_answers() {
        let redirect = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n");
        let named = |host: &str| Some(Some(host.to_owned()));
        let page = "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>";
        let cases = [
            (redirect("http://login.hotel.example/?to=gw"), 443, named("login.hotel.example")),
            (redirect("https://10.0.0.1:8443/login"), 80, named("10.0.0.1")),
            (redirect("http://[fd00::1]:80/"), 80, named("fd00::1")),
            (redirect("http://u@login.example/"), 80, named("login.example")),
            (redirect("https://gw.example.com/"), 80, None),
            (redirect("https://www.gw.example.com/"), 80, None),
            (redirect("https://notgw.example.com/"), 80, named("notgw.example.com")),
            (redirect("/login"), 80, None),
            ("HTTP/1.1 511 Network Authentication Required\r\n\r\n".to_owned(), 80, Some(None)),
            (page.to_owned(), 443, Some(None)),
            (page.to_owned(), 80, None),
            ("HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n".to_owned(), 443, None),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), 443, None),
            (String::new(), 443, None),
        ];
        for (head, port, expected) in cases {
            let found = portal(head.as_bytes(), "gw.example.com", port);
            assert_eq!(found, expected, "{head} at {port}");
        }
    }
}
