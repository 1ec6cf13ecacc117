//! Proxies that mean well, and proxies that do not, on loopback.

use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::*;
use crate::testing::{listen, serve};

const TLS: &[u8] = b"\x16\x03\x03 the gateway's first bytes";

fn upstream(url: &str, port: u16) -> Upstream {
    Upstream { port, ..url.parse().unwrap() }
}

/// Reads a request's head, byte by byte.
async fn asked(tcp: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match tcp.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(request).unwrap()
}

/// Asks a proxy that says `answer`, in one piece or byte by byte; what follows the answer.
async fn ask(url: &str, answer: Vec<u8>, dribble: bool) -> Result<Vec<u8>, Failure> {
    let server = serve(move |mut tcp| {
        let answer = answer.clone();
        async move {
            asked(&mut tcp).await;
            tcp.set_nodelay(true).unwrap();
            let pieces = if dribble { 1 } else { answer.len().max(1) };
            for piece in answer.chunks(pieces) {
                // Whoever is told nonsense hangs up early.
                if tcp.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = tcp.shutdown().await;
            let _ = tcp.read_u8().await;
        }
    })
    .await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    let upstream = upstream(url, server.address.port());
    tunnel(&mut tcp, &upstream, "gw.example:443").await?;
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).await.unwrap();
    Ok(rest)
}

fn said(outcome: Result<Vec<u8>, Failure>) -> String {
    match outcome {
        Ok(rest) => format!("ok {}", String::from_utf8_lossy(&rest)),
        Err(failure) => format!("{}: {failure}", failure.code()),
    }
}

#[tokio::test]
async fn a_tunnel_begins_right_behind_the_head() {
    let long = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Filler: 0123456789\r\n".repeat(100));
    let heads = [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-agent: old\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 204 Fine\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nX: bare line ends\n\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Soon\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &long,
    ];
    for head in heads {
        for dribble in [false, true] {
            let rest = ask("http://p", [head.as_bytes(), TLS].concat(), dribble).await;
            assert_eq!(rest.unwrap(), TLS, "{head:?}, dribble: {dribble}");
        }
    }
}

#[tokio::test]
async fn what_is_asked() {
    let (listener, address) = listen().await;
    for (url, line) in [
        ("http://p", ""),
        ("http://ann:secret@p", "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n"),
        ("http://ann@p", "Proxy-Authorization: Basic YW5uOg==\r\n"),
    ] {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        let (mut proxy, _) = listener.accept().await.unwrap();
        let upstream = upstream(url, address.port());
        let answer = async {
            let request = asked(&mut proxy).await;
            proxy.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            request
        };
        let (outcome, request) = tokio::join!(tunnel(&mut tcp, &upstream, "[::1]:443"), answer);
        outcome.unwrap();
        let expected = format!("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n{line}\r\n");
        assert_eq!(request, expected);
    }
}

#[tokio::test]
async fn what_proxies_say_instead() {
    let offers = "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"c,d\"\r\n";
    let needs = format!("HTTP/1.1 407 Authenticate\r\n{offers}Content-Length: 3\r\n\r\nabc");
    let ntlm = "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n";
    let cases: [(&str, &str, &str); 12] = [
        (
            "http://p",
            &needs,
            "SC-PROXY-AUTH: the upstream proxy p:PORT wants a user name and a \
          password (it offers Negotiate, Basic)",
        ),
        (
            "http://a:b@p",
            &needs,
            "SC-PROXY-PASSWORD: the upstream proxy p:PORT refused the user \
          name or the password (it offers Negotiate, Basic)",
        ),
        (
            "http://a:b@p",
            ntlm,
            "SC-PROXY-SCHEME: the upstream proxy p:PORT wants an \
          authentication other than Basic (it offers NTLM)",
        ),
        (
            "http://p",
            "HTTP/1.1 407 No\r\n\r\n",
            "SC-PROXY-SCHEME: the upstream proxy p:PORT \
          wants an authentication other than Basic (it offers nothing)",
        ),
        (
            "http://p",
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "SC-PROXY-REFUSED: the upstream \
          proxy p:PORT does not let us through: 503 Service Unavailable",
        ),
        ("http://p", "HTTP/1.1 403 \u{9b}31mForbidden\r\n\r\n", "SC-PROXY-"),
        ("http://p", "HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", "SC-PROXY-REFUSED"),
        (
            "http://p",
            "",
            "SC-PROXY-ANSWER: the answer of the upstream proxy p:PORT cannot be \
          used: it hung up before its answer was whole",
        ),
        (
            "http://p",
            "HTTP/1.1 200 OK\r\nHalf: a he",
            "SC-PROXY-ANSWER: the answer of the \
          upstream proxy p:PORT cannot be used: it hung up",
        ),
        (
            "http://p",
            "SSH-2.0-OpenSSH_9.6\r\n",
            "SC-PROXY-ANSWER: the answer of the upstream \
          proxy p:PORT cannot be used: it is not HTTP",
        ),
        ("http://p", "HTTP/2 200\r\n\r\n", "SC-PROXY-ANSWER"),
        ("http://p", "HTTP/1.1 OK\r\n\r\n", "SC-PROXY-ANSWER"),
    ];
    for (url, answer, expected) in cases {
        for dribble in [false, true] {
            let said = said(ask(url, answer.as_bytes().to_vec(), dribble).await);
            let port = said.split("proxy p:").nth(1).and_then(|rest| rest.split(' ').next());
            let shown = port.map_or(said.clone(), |port| said.replacen(port, "PORT", 1));
            assert!(shown.starts_with(expected), "{answer:?}: {shown}");
            assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
        }
    }
}

#[tokio::test]
async fn a_head_has_an_end() {
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".repeat(4000)].concat();
    let one_line = [b"HTTP/1.1 200 ".to_vec(), vec![b'x'; 20_000]].concat();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    for answer in [endless, one_line, interim] {
        let said = said(ask("http://p", answer, false).await);
        assert!(said.ends_with("it is longer than 16 KiB"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_given_up() {
    let server = serve(|tcp| async move {
        let _keep = tcp;
        std::future::pending::<()>().await;
    })
    .await;
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    let began = Instant::now();
    let upstream = upstream("http://p", server.address.port());
    let failure = tunnel(&mut tcp, &upstream, "gw:443").await.unwrap_err();
    assert_eq!(failure.to_string(), "the upstream proxy's answer took longer than 12 s");
    assert_eq!(began.elapsed(), ANSWER_LIMIT);
}
