//! The proxy over real sockets, without a gateway: its own answers, the direct route, limits and
//! the end. The channel is switched off, so what is sent to it comes back as SC-NOT-CONNECTED at
//! once, which shows that it was sent there.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::time::Duration;

use seacat_channel::{Channel, ChannelConfig};
use seacat_proxy::{
    AccessLog, Action, BindError, Code, Credentials, Drained, Limits, MappedPort, Proxy,
    ProxyConfig, Route, Routes,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const LOCAL: &str = "127.0.0.1:0";
/// Nothing here takes long; a test that hangs fails by this.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    addresses: Vec<SocketAddr>,
    log: AccessLog,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Drained>,
}

fn config() -> ProxyConfig {
    ProxyConfig { listen: vec![LOCAL.parse().unwrap()], ..ProxyConfig::default() }
}

fn mapped_port(listen: &str, host: &str) -> MappedPort {
    let (listen, host) = (listen.parse().unwrap(), host.to_owned());
    MappedPort { listen, host, allow_origins: Vec::new() }
}

fn channel() -> Channel {
    Channel::start(ChannelConfig { connect: false, ..ChannelConfig::new(Vec::new()) })
}

fn start(config: ProxyConfig) -> Running {
    let proxy = Proxy::bind(config, channel()).unwrap();
    let (stop, stopped) = oneshot::channel();
    Running {
        addresses: proxy.addresses().to_vec(),
        log: proxy.access_log(),
        stop,
        ended: tokio::spawn(proxy.run(async { drop(stopped.await) }, PATIENCE)),
    }
}

/// Rules that allow this computer by name, for origins of these tests.
fn direct() -> ProxyConfig {
    let routes: Routes = [("127.0.0.1".parse().unwrap(), Action::Direct)].into_iter().collect();
    ProxyConfig { routes, ..config() }
}

impl Running {
    /// Sends all of `request` on one connection and returns everything that comes back. The
    /// client keeps its own direction open: the proxy must close.
    async fn ask(&self, request: impl AsRef<[u8]>) -> String {
        ask(self.addresses[0], request.as_ref()).await
    }
}

async fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request).await.unwrap();
    read_all(&mut client).await
}

async fn read_all(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = client.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.expect("the proxy closes").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(end) {
        let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("more comes");
        text.push(byte.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// An origin that takes one connection and plays `answer` on it once `until` has been read.
/// Returns what it has read.
async fn origin(until: &'static str, answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let request = read_until(&mut tcp, until).await;
        tcp.write_all(answer.as_bytes()).await.unwrap();
        request
    });
    (address, served)
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn own_answers_have_their_status_and_code() {
    let proxy = start(config());
    let here = proxy.addresses[0];
    let own = format!("GET http://{here}/ HTTP/1.1\r\nHost: x\r\n\r\n");
    let own_by_name = format!("CONNECT localhost:{} HTTP/1.1\r\nHost: x\r\n\r\n", here.port());
    let big = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    let frame = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    // With `Connection: close` the 200 that are allowed.
    let fields = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(198));
    let long = format!("GET http://a/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(60_000));
    for (request, expected, code) in [
        ("GET http://a/ HTTP/1.1\n\n", 400, "SC-BAD-REQUEST"),
        (
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "SC-AMBIGUOUS-LENGTH",
        ),
        ("GET http://a/ HTTP/1.1\r\n\r\n", 400, "SC-BAD-HOST"),
        ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "SC-SCHEME"),
        ("\x16\x03\x01\x02\x00", 400, "SC-NOT-HTTP"),
        ("GET http://a/ HTTP/3.0\r\nHost: a\r\n\r\n", 505, "SC-VERSION"),
        (&big, 431, "SC-HEAD-TOO-LARGE"),
        (&frame, 431, "SC-HEAD-TOO-LARGE"),
        (&fields, 503, "SC-NOT-CONNECTED"),
        (&long, 414, "SC-TARGET-TOO-LONG"),
        (
            "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
            "SC-NOT-IMPLEMENTED",
        ),
        ("TRACE http://a/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: +0\r\n\r\n", 400, "SC-BAD-REQUEST"),
        ("GET http://.seacat/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "SC-BAD-TARGET"),
        ("GET http://localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "SC-LOOPBACK"),
        ("CONNECT [::1]:22 HTTP/1.1\r\nHost: a\r\n\r\nsent ahead", 403, "SC-LOOPBACK"),
        (&own, 403, "SC-SELF"),
        (&own_by_name, 403, "SC-SELF"),
        ("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "SC-NO-PAGE"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405, "SC-METHOD"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "SC-FOREIGN-HOST"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\nX-SC-HOST: erp\r\n\r\n", 403, "SC-FOREIGN-HOST"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX-SC-HOST: e/rp\r\n\r\n", 400, "SC-BAD-HOST"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX-SC-HOST: erp\r\n\r\n", 503, "SC-NOT-CONNECTED"),
        ("GET http://erp/ HTTP/1.1\r\nHost: other\r\n\r\n", 503, "SC-NOT-CONNECTED"),
        ("GET http://erp.seacat/ HTTP/1.0\r\n\r\n", 503, "SC-NOT-CONNECTED"),
        ("CONNECT erp:443 HTTP/1.1\r\nHost: erp\r\n\r\n", 503, "SC-NOT-CONNECTED"),
        (
            "GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            503,
            "SC-NOT-CONNECTED",
        ),
    ] {
        // What keeps the connection open is asked to close it.
        let request = request.replacen("\r\nHost", "\r\nConnection: close\r\nHost", 1);
        let answer = proxy.ask(&request).await;
        let start = &request[..request.len().min(80)];
        assert_eq!(status(&answer), expected, "{start:?} {answer}");
        assert!(answer.contains(&format!("details=\"{code}\"\r\n")), "{start:?} {answer}");
        assert!(answer.contains(&format!("[{code}]")), "{start:?} {answer}");
        assert!(
            answer.contains("\r\nConnection: close\r\n") || request.contains("/1.0"),
            "{answer}"
        );
        assert_eq!(answer.contains("\r\nRetry-After: "), expected == 503, "{answer}");
    }
}

#[tokio::test]
async fn own_pages_and_keep_alive_and_a_bad_request_behind_good_ones() {
    let proxy = start(config());
    let answer = proxy
        .ask(
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n\
             HEAD /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n\
             GET /proxy.pac HTTP/1.1\r\nHost: [::1]\r\n\r\n\
             GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n",
        )
        .await;
    let statuses: Vec<_> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "400"], "{answer}");
    assert!(answer.contains(&format!("PROXY {}", proxy.addresses[0])), "{answer}");
    assert_eq!(answer.matches("FindProxyForURL").count(), 1, "HEAD has no body: {answer}");
}

#[tokio::test]
async fn accept_and_problem_json_over_the_socket() {
    let proxy = start(config());
    let answer = proxy
        .ask("GET http://erp/ HTTP/1.1\r\nHost: erp\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
        .await;
    assert!(answer.contains("\r\nContent-Type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains("\"code\":\"SC-NOT-CONNECTED\""), "{answer}");
}

#[tokio::test]
async fn the_direct_route_forwards_and_strips() {
    let proxy = start(direct());
    let (origin, served) = origin(
        "0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: 5\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    .await;
    let answer = proxy
        .ask(format!(
            "POST http://{origin}/a?b HTTP/1.1\r\nHost: wrong\r\nProxy-Authorization: secret\r\n\
             Connection: close, x-hop\r\nX-Hop: 1\r\nX-Kept: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
             3;ext=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
        ))
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"), "{answer}");
    assert!(answer.contains("\r\nVia: 1.1 seacat-proxy-"), "{answer}");
    assert!(!answer.contains("Keep-Alive"), "{answer}");
    assert!(answer.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{answer}");
    let request = served.await.unwrap();
    assert!(request.starts_with("POST /a?b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nHost: {origin}\r\n")), "{request}");
    assert!(
        request.contains("\r\nX-Kept: 2\r\n") && request.contains("\r\nVia: 1.1 "),
        "{request}"
    );
    assert!(!request.contains("secret") && !request.contains("X-Hop"), "{request}");
    assert!(request.ends_with("3\r\nabc\r\n0\r\n\r\n"), "{request}");
    let line = &proxy.log.follow().0[0];
    assert_eq!((line.status, line.bytes_up, line.bytes_down), (200, 3, 5));
    assert_eq!((line.path.as_str(), line.route, line.error), ("/a", Route::Direct, None));
}

#[tokio::test]
async fn responses_are_framed_for_their_client() {
    let proxy = start(direct());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: today\r\n\r\nhello";
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (answer, version, connection, has, lacks, end) in [
        (
            chunked,
            "1.1",
            "close",
            "Transfer-Encoding: chunked",
            "Length",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        (chunked, "1.0", "keep-alive", "HTTP/1.0 200 OK", "Connection", "\r\n\r\nhello"),
        (sized, "1.1", "close", "Connection: close", "Transfer", "\r\n\r\nhello"),
        (sized, "1.1", "x, Close", "Date: today", "Date: M", "\r\n\r\nhello"),
        (sized, "1.0", "x", "HTTP/1.0 200 OK", "Connection", "\r\n\r\nhello"),
        (empty, "1.1", "close", "Content-Length: 0", "Transfer", "\r\n\r\n"),
    ] {
        let (origin, _served) = origin("\r\n\r\n", answer).await;
        let request = format!(
            "GET http://{origin}/ HTTP/{version}\r\nHost: a\r\nConnection: {connection}\r\n\r\n"
        );
        let answer = proxy.ask(request).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains(has) && !answer.contains(lacks), "{version} {answer}");
        assert!(answer.ends_with(end), "{version} {answer}");
        assert_eq!(answer.matches("\r\nDate: ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn requests_with_and_without_a_body_share_a_connection() {
    let proxy = start(direct());
    let (origin, served) = origin("abc", "HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    client.write_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await.unwrap();
    let answer = read_until(&mut client, "</html>\n").await;
    assert!(answer.contains("\r\nConnection: keep-alive\r\n"), "{answer}");
    // Cut in the middle of a head, and two requests in one write.
    client.write_all(b"HEAD /proxy.pac HTTP/1.1\r\nHost: localhost\r\n\r\nPOST ").await.unwrap();
    let answer = read_until(&mut client, "\r\n\r\n").await;
    assert!(answer.contains("\r\nContent-Length: ") && !answer.contains("PROXY"), "{answer}");
    let rest = format!(
        "http://{origin}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    );
    client.write_all(rest.as_bytes()).await.unwrap();
    assert_eq!(status(&read_all(&mut client).await), 204);
    assert!(served.await.unwrap().ends_with("abc"));
}

#[tokio::test]
async fn a_bad_chunk_is_a_400_and_never_reaches_the_origin() {
    let proxy = start(direct());
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let origin = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut request = String::new();
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_to_string(&mut request).await.unwrap();
        request
    });
    let answer = proxy
        .ask(format!(
            "POST http://{origin}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n3\r\nabcGET /smuggled HTTP/1.1\r\n\r\n"
        ))
        .await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(
        answer.contains("SC-BAD-CHUNK") && answer.contains("\r\nConnection: close\r\n"),
        "{answer}"
    );
    let request = served.await.unwrap();
    assert!(!request.contains("smuggled") && !request.ends_with("0\r\n\r\n"), "{request}");
}

#[tokio::test]
async fn head_and_204_and_304_have_no_body() {
    let proxy = start(direct());
    for (method, head, length) in [
        ("HEAD", "200 OK\r\nContent-Length: 5", Some("Content-Length: 5")),
        ("GET", "204 No Content", None),
        ("GET", "304 Not Modified\r\nETag: x", None),
    ] {
        let answer: &'static str = format!("HTTP/1.1 {head}\r\n\r\n").leak();
        let (origin, _served) = origin("\r\n\r\n", answer).await;
        let answer = proxy
            .ask(format!(
                "{method} http://{origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(answer.contains("Content-Length"), length.is_some(), "{answer}");
        assert!(!answer.contains("Transfer-Encoding"), "{answer}");
    }
}

#[tokio::test]
async fn an_expectation_is_met_when_the_body_is_wanted() {
    let proxy = start(direct());
    let (origin, served) = origin("hello", "HTTP/1.1 204 No Content\r\n\r\n").await;
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let head = format!(
        "PUT http://{origin}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\
         Connection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"hello").await.unwrap();
    assert_eq!(status(&read_all(&mut client).await), 204);
    assert!(!served.await.unwrap().contains("Expect"));
}

#[tokio::test]
async fn connect_and_upgrade_become_tunnels_with_half_close() {
    let proxy = start(direct());
    for upgrade in [false, true] {
        let listener = TcpListener::bind(LOCAL).await.unwrap();
        let origin = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            if upgrade {
                let head = read_until(&mut tcp, "\r\n\r\n").await;
                assert!(head.contains("\r\nUpgrade: echo\r\nVia: "), "{head}");
                let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
                tcp.write_all(answer).await.unwrap();
            }
            // Only after the client has closed its direction.
            let mut all = Vec::new();
            tcp.read_to_end(&mut all).await.unwrap();
            tcp.write_all(&all).await.unwrap();
        });
        let head = if upgrade {
            format!(
                "GET http://{origin}/ HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
            )
        } else {
            // Sent ahead: it belongs to the tunnel, whatever it looks like.
            format!("CONNECT {origin} HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/9.9\n")
        };
        let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let answer = read_until(&mut client, "\r\n\r\n").await;
        assert_eq!(status(&answer), if upgrade { 101 } else { 200 }, "{answer}");
        assert_eq!(answer.contains("Upgrade: echo\r\n"), upgrade, "{answer}");
        assert!(!answer.contains("Content-Length") && !answer.contains("Transfer-"), "{answer}");
        client.write_all(b"\x00\xffping").await.unwrap();
        client.shutdown().await.unwrap();
        let echoed = read_all(&mut client).await;
        assert!(echoed.ends_with("ping"), "{echoed:?}");
        assert_eq!(echoed.starts_with("GET / HTTP/9.9\n"), !upgrade, "{echoed:?}");
        served.await.unwrap();
    }
    let (_, mut live) = proxy.log.follow();
    drop(proxy.stop);
    proxy.ended.await.unwrap();
    while let Ok(line) = live.try_recv() {
        assert_eq!(line.error, None);
    }
    let lines = proxy.log.follow().0;
    assert_eq!(lines.iter().map(|line| line.bytes_down).collect::<Vec<_>>(), [21, 6]);
    assert_eq!(lines.iter().map(|line| line.bytes_up).collect::<Vec<_>>(), [21, 6]);
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_its_request() {
    let proxy = start(direct());
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let head =
        format!("GET http://{}/ HTTP/1.1\r\nHost: a\r\n\r\n", listener.local_addr().unwrap());
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut tcp, _) = listener.accept().await.unwrap();
    read_until(&mut tcp, "\r\n\r\n").await;
    let (_, mut live) = proxy.log.follow();
    drop(client);
    // The origin never answers; that its connection ends is our doing.
    assert_eq!(read_all(&mut tcp).await, "");
    let line = live.recv().await.unwrap();
    assert_eq!((line.status, line.error), (0, Some(Code::ClientGone)));
}

#[tokio::test]
async fn an_answer_cut_short_is_cut_short_for_the_client_too() {
    let proxy = start(direct());
    let (origin, _served) =
        origin("\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    let answer = proxy.ask(format!("GET http://{origin}/ HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert!(answer.contains("\r\nContent-Length: 9\r\n") && answer.ends_with("half"), "{answer}");
    assert_eq!(proxy.log.follow().0[0].error, Some(Code::DirectLost));
}

#[tokio::test]
async fn an_answer_without_a_length_that_is_torn_is_reset() {
    let proxy = start(direct());
    let torn = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let (origin, _served) = origin("\r\n\r\n", torn).await;
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let request = format!("GET http://{origin}/ HTTP/1.0\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.unwrap();
    let error = read.expect_err("a clean end would look like the end of the body");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_has_closed_its_sending_side_gets_its_answer() {
    let proxy = start(direct());
    for body in ["GET", "POST"] {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let (origin, _served) = origin("\r\n\r\n", answer).await;
        let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
        let length = if body == "POST" { "Content-Length: 3\r\n\r\nabc" } else { "\r\n" };
        let request = format!("{body} http://{origin}/ HTTP/1.1\r\nHost: a\r\n{length}");
        client.write_all(request.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let answer = read_all(&mut client).await;
        assert!(answer.ends_with("\r\n\r\nhello"), "{body} {answer}");
    }
}

#[tokio::test]
async fn an_early_answer_leaves_a_connection_that_can_be_used() {
    let proxy = start(config());
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    // The page needs no body; what is left of it is read all the same.
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc")
        .await
        .unwrap();
    read_until(&mut client, "</html>\n").await;
    client
        .write_all(b"defGET /proxy.pac HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let answer = read_all(&mut client).await;
    assert!(status(&answer) == 200 && answer.contains("FindProxyForURL"), "{answer}");
}

#[tokio::test]
async fn a_change_ends_connections_with_their_next_answer_and_holds_at_once() {
    let proxy = Proxy::bind(config(), channel()).unwrap();
    let (address, handle) = (proxy.addresses()[0], proxy.handle());
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(proxy.run(async { drop(stopped.await) }, PATIENCE));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(!read_until(&mut client, "</html>\n").await.contains("Connection: close"));
    let routes: Routes = [("*".parse().unwrap(), Action::Refuse)].into_iter().collect();
    handle.reconfigure(ProxyConfig { routes, ..config() }).await.unwrap();
    // At rest for the whole change, and not closed by it.
    client.write_all(b"GET http://erp/ HTTP/1.1\r\nHost: erp\r\n\r\n").await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(status(&answer) == 403 && answer.contains("SC-REFUSED"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    drop(stop);
    run.await.unwrap();
}

#[tokio::test]
async fn bodies_over_the_limit_are_413() {
    let limits = Limits { body: Some(4), ..Limits::default() };
    let proxy = start(ProxyConfig { limits, ..direct() });
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let origin = listener.local_addr().unwrap();
    for framing in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let answer = proxy
            .ask(format!(
                "POST http://{origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}"
            ))
            .await;
        assert_eq!(status(&answer), 413, "{answer}");
    }
}

#[tokio::test]
async fn credentials_guard_the_proxy_but_not_its_pages() {
    let credentials = Some(Credentials { user: "ann".into(), password: "pw".into() });
    let proxy = start(ProxyConfig { credentials, ..config() });
    let request = |field: &str| {
        format!("GET http://erp/ HTTP/1.1\r\nHost: erp\r\n{field}Connection: close\r\n\r\n")
    };
    let answer = proxy.ask(request("")).await;
    assert_eq!(status(&answer), 407);
    assert!(answer.contains("\r\nProxy-Authenticate: Basic realm="), "{answer}");
    assert_eq!(status(&proxy.ask(request("Proxy-Authorization: Basic YW5uOnB4\r\n")).await), 407);
    assert_eq!(status(&proxy.ask(request("Proxy-Authorization: Basic YW5uOnB3\r\n")).await), 503);
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&proxy.ask(page).await), 200);
    let chosen = "GET / HTTP/1.1\r\nHost: localhost\r\nX-SC-HOST: erp\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&proxy.ask(chosen).await), 407);
}

#[tokio::test]
async fn a_mapped_port_stands_for_its_host() {
    let mapped = vec![mapped_port(LOCAL, "erp")];
    let proxy = start(ProxyConfig { mapped, ..config() });
    let port = proxy.addresses[1];
    for (request, expected) in [
        ("GET /x HTTP/1.1\r\nHost: 127.0.0.1", 503),
        ("GET /x HTTP/1.1\r\nHost: erp.seacat", 503),
        ("GET /x HTTP/1.1\r\nHost: ERP.seacat", 503),
        ("GET http://other/x HTTP/1.1\r\nHost: localhost", 421),
        ("GET /x HTTP/1.1\r\nHost: evil.example", 403),
        ("CONNECT erp:80 HTTP/1.1\r\nHost: erp", 400),
    ] {
        let answer = ask(port, format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request} {answer}");
    }
    assert_eq!(proxy.log.follow().0[0].host, "erp");
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let allowing = MappedPort {
        allow_origins: vec!["https://portal.example".parse().unwrap()],
        ..mapped_port(LOCAL, "erp")
    };
    let mapped = vec![mapped_port(LOCAL, "erp"), allowing];
    let proxy = start(ProxyConfig { mapped, ..config() });
    let [port, closed, allowing] = proxy.addresses[..] else { panic!("three ports") };
    let cross = "Sec-Fetch-Site: cross-site\r\nOrigin: https://portal.example\r\n";
    let upgrade =
        "Connection: Upgrade, close\r\nUpgrade: websocket\r\nOrigin: https://portal.example\r\n";
    let chosen = "X-SC-HOST: erp\r\n";
    for (to, target, fields, expected) in [
        (closed, "/x", cross.to_owned(), 403),
        (closed, "/x", "Origin: null\r\n".to_owned(), 403),
        (closed, "/x", upgrade.to_owned(), 403),
        (closed, "/x", format!("Origin: http://{closed}\r\n"), 503),
        (allowing, "/x", cross.to_owned(), 503),
        (allowing, "/x", upgrade.to_owned(), 503),
        (allowing, "/x", "Origin: https://evil.example\r\n".to_owned(), 403),
        // The proxy's own pages, and hosts chosen by a field.
        (port, "/", cross.to_owned(), 403),
        (port, "/proxy.pac", "Sec-Fetch-Site: same-site\r\n".to_owned(), 403),
        (port, "/x", format!("{chosen}{cross}"), 403),
        (port, "/x", format!("{chosen}Origin: http://{port}\r\n"), 503),
        // A browser that uses the proxy: the fields are about the page and its own server.
        (port, "http://erp/x", cross.to_owned(), 503),
        (port, "http://erp/x", upgrade.to_owned(), 503),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {to}\r\n{fields}");
        let close = if fields.contains("Upgrade") { "\r\n" } else { "Connection: close\r\n\r\n" };
        let answer = ask(to, format!("{head}{close}").as_bytes()).await;
        assert_eq!(status(&answer), expected, "{head} {answer}");
        assert_eq!(answer.contains("SC-FOREIGN-PAGE"), expected == 403, "{head} {answer}");
    }
}

#[tokio::test]
async fn loops_and_the_last_hop_are_answered_here() {
    let proxy = start(direct());
    let (origin, served) = origin("\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n").await;
    let request = |method: &str, field: &str| {
        format!(
            "{method} http://{origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n\r\n"
        )
    };
    let trace = proxy.ask(request("TRACE", "Max-Forwards: 0")).await;
    assert!(trace.contains("\r\nContent-Type: message/http\r\n"), "{trace}");
    assert_eq!(status(&proxy.ask(request("OPTIONS", "Max-Forwards: 0")).await), 204);
    assert_eq!(status(&proxy.ask(request("OPTIONS", "Max-Forwards: 3")).await), 204);
    let seen = served.await.unwrap();
    assert!(seen.contains("\r\nMax-Forwards: 2\r\n"), "{seen}");
    let via = seen.lines().find(|line| line.starts_with("Via: ")).unwrap();
    let answer = proxy.ask(request("GET", via)).await;
    assert!(status(&answer) == 502 && answer.contains("proxy_loop_detected"), "{answer}");
}

#[tokio::test]
async fn limits_of_time_and_number() {
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(20),
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    let proxy = start(ProxyConfig { limits, ..direct() });
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let origin = TcpListener::bind(LOCAL).await.unwrap();
    let mut busy = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let head = format!("GET http://{}/ HTTP/1.1\r\nHost: a\r\n\r\n", origin.local_addr().unwrap());
    busy.write_all(head.as_bytes()).await.unwrap();
    let waiting = origin.accept().await.unwrap();
    // A request is under way on the only connection, so this is one too many.
    let answer = proxy.ask(page).await;
    assert!(status(&answer) == 503 && answer.contains("SC-BUSY"), "{answer}");
    drop((busy, waiting));
    while status(&proxy.ask(page).await) != 200 {}
    // A connection at rest gives way.
    let mut first = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    first.write_all(page.as_bytes()).await.unwrap();
    read_until(&mut first, "</html>\n").await;
    assert_eq!(status(&proxy.ask(page).await), 200);
    assert_eq!(read_all(&mut first).await, "");
    // A head that is begun and not finished.
    let mut first = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    first.write_all(b"GET / HT").await.unwrap();
    let answer = read_all(&mut first).await;
    assert!(status(&answer) == 408 && answer.contains("SC-HEAD-TIMEOUT"), "{answer}");
    // A connection on which nothing happens is closed without a word.
    let mut idle = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    assert_eq!(read_all(&mut idle).await, "");
}

#[tokio::test]
async fn half_a_head_gives_way_at_the_limit() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let proxy = start(ProxyConfig { limits, ..direct() });
    let mut first = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    first.write_all(b"GET / HT").await.unwrap();
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    loop {
        let mut next = TcpStream::connect(proxy.addresses[0]).await.unwrap();
        let mut answer = String::new();
        let _ = next.write_all(page.as_bytes()).await;
        // One too many is answered 503, or reset.
        let read = next.read_to_string(&mut answer).await;
        if read.is_ok() && answer.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
    // With a reset when the half came last.
    assert!(matches!(first.read(&mut [0]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_client_that_stops_in_its_body_is_given_up() {
    let limits = Limits { body_pause: Duration::from_millis(50), ..Limits::default() };
    let proxy = start(ProxyConfig { limits, ..direct() });
    let (origin, _served) = origin("what never comes", "").await;
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let head =
        format!("POST http://{origin}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(status(&answer) == 408 && answer.contains("SC-BODY-TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_reports_it() {
    let proxy = start(direct());
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let mut client = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let mut idle = TcpStream::connect(proxy.addresses[0]).await.unwrap();
    let head =
        format!("GET http://{}/ HTTP/1.1\r\nHost: a\r\n\r\n", listener.local_addr().unwrap());
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut tcp, _) = listener.accept().await.unwrap();
    read_until(&mut tcp, "\r\n\r\n").await;
    proxy.stop.send(()).unwrap();
    // The idle connection is closed at once, which shows that the stop has been noticed.
    assert_eq!(read_all(&mut idle).await, "");
    assert!(TcpStream::connect(proxy.addresses[0]).await.is_err());
    tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with("ok"), "{answer}");
    assert_eq!(proxy.ended.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_stop_cuts_off_what_outlasts_the_grace() {
    let proxy = Proxy::bind(direct(), channel()).unwrap();
    let address = proxy.addresses()[0];
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(proxy.run(async { drop(stopped.await) }, Duration::from_millis(50)));
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!("CONNECT {} HTTP/1.1\r\nHost: a\r\n\r\n", listener.local_addr().unwrap());
    client.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    drop(stop);
    assert_eq!(run.await.unwrap(), Drained { cut: 1 });
    assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn binding_is_refused_with_a_reason() {
    let any = "0.0.0.0:0".parse().unwrap();
    let bind = |config| Proxy::bind(config, channel()).err();
    let remote = ProxyConfig { listen: vec![any], ..config() };
    assert!(matches!(bind(remote), Some(BindError::Remote { address }) if address == any));
    let no_credentials = ProxyConfig { listen: vec![any], allow_remote: true, ..config() };
    assert!(matches!(bind(no_credentials), Some(BindError::NoCredentials)));
    let mapped = vec![mapped_port("0.0.0.0:0", "erp")];
    assert!(matches!(
        bind(ProxyConfig { mapped, ..config() }),
        Some(BindError::MappedRemote { .. })
    ));
    let mapped = vec![mapped_port(LOCAL, "a b")];
    assert!(matches!(bind(ProxyConfig { mapped, ..config() }), Some(BindError::MappedHost { .. })));
    assert!(matches!(
        bind(ProxyConfig { listen: Vec::new(), ..config() }),
        Some(BindError::Nothing)
    ));
    let taken = TcpListener::bind(LOCAL).await.unwrap().local_addr().unwrap();
    let first = Proxy::bind(ProxyConfig { listen: vec![taken], ..config() }, channel()).unwrap();
    let in_use = bind(ProxyConfig { listen: vec![taken], ..config() });
    assert!(matches!(in_use, Some(BindError::InUse { address }) if address == taken));
    drop(first);
}

#[tokio::test]
async fn an_inherited_listener_is_served() {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = start(ProxyConfig { listen: Vec::new(), inherited: vec![listener], ..config() });
    assert_eq!(proxy.addresses, [address]);
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&proxy.ask(page).await), 200);
}
