//! What two ends of a connection do, whatever performs TLS.

use std::time::Duration;

use rustls::pki_types::ServerName;
use seacat_link::{
    Closed, ConnectError, Driver, Duplex, Incoming, IncomingEvent, Link, LinkConfig, Request,
    SocketRequest, StreamError, handshake_client, handshake_server,
};
use seacat_proto::{Bytes, Extensions, MAX_PAYLOAD, Reason, ReplyHead, RequestHead, SocketsCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, tcp};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{LAST_FLIGHT, sealed, tls, tls_13};
use crate::pki::Pki;

const HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nnot here\n";

struct Pair {
    client: Link,
    client_driver: JoinHandle<Closed>,
    gateway: Link,
    requests: Incoming,
    gateway_driver: JoinHandle<Closed>,
    client_events: Incoming,
}

async fn pair() -> Pair {
    pair_with(true).await
}

/// `windows`: whether both ends keep them.
async fn pair_with(windows: bool) -> Pair {
    let [(client, client_events, client_driver), (gateway, requests, gateway_driver)] =
        ends(windows).await;
    let gateway_driver = tokio::spawn(gateway_driver);
    let client_driver = tokio::spawn(client_driver);
    Pair { client, client_driver, gateway, requests, gateway_driver, client_events }
}

/// The client's end and the gateway's, not driven yet.
async fn ends(windows: bool) -> [(Link, Incoming, Driver); 2] {
    let (client_tls, server_tls) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (tcp, _) = listener.accept().await.unwrap();
        handshake_server(tcp, server_tls).await.unwrap()
    };
    let client = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        handshake_client(tcp, client_tls, name).await.unwrap()
    };
    let ((stcp, ssession), (ctcp, csession)) = tokio::join!(server, client);
    let mut gateway_config = LinkConfig::gateway(HTTP_ANSWER);
    if !windows {
        gateway_config.proto.extensions = Extensions::NONE;
    }
    let gateway = Link::start(stcp, ssession, &gateway_config);
    [Link::start(ctcp, csession, &LinkConfig::client()), gateway]
}

fn get(path: &str) -> RequestHead {
    RequestHead::new(b"erp", b"GET", path.as_bytes()).unwrap()
}

async fn next_request(requests: &mut Incoming) -> Request {
    loop {
        if let IncomingEvent::Request(request) = requests.next().await.expect("a request") {
            return request;
        }
    }
}

#[tokio::test]
async fn a_bunch_of_requests_does_not_wait_for_its_driver() {
    const BUNCH: usize = 4;
    /// The constant of that name in `seacat_proto::connection`.
    const NEAR: Duration = Duration::from_millis(5);
    let [(client, _news, mut undriven), (_gateway, mut requests, driver)] = ends(true).await;
    tokio::spawn(driver);
    // Only a peer that is near gets requests early. On a busy machine a round trip may take longer than
    // that, so PINGs go on until one was quick.
    while client.health().rtt.is_none_or(|rtt| rtt >= NEAR) {
        client.ping();
        let driven = timeout(Duration::from_millis(10), &mut undriven).await;
        assert!(driven.is_err(), "{driven:?}");
    }
    let mut open: Vec<_> = (1..BUNCH).map(|_| client.open(get("/"), true).unwrap()).collect();
    let early = timeout(Duration::from_millis(100), next_request(&mut requests)).await;
    assert!(early.is_err(), "less than a bunch is the driver's");
    open.push(client.open(get("/"), true).unwrap());
    for _ in 0..BUNCH {
        next_request(&mut requests).await;
    }
}

#[tokio::test]
async fn a_request_and_its_answer() {
    let mut pair = pair().await;
    let (_send, mut recv) = pair.client.open(get("/orders"), true).unwrap();
    let mut request = next_request(&mut pair.requests).await;
    assert_eq!(request.head.path(), b"/orders");
    assert!(request.end);
    assert!(request.body.data().await.is_none());
    let mut head = ReplyHead::new(200);
    head.push(b"Content-Type", b"text/plain").unwrap();
    request.reply.reply(head, false).unwrap();
    request.reply.send(Bytes::from_static(b"hello")).unwrap();
    request.reply.finish().unwrap();
    assert_eq!(recv.reply().await.unwrap().status(), 200);
    assert_eq!(recv.data().await.unwrap().unwrap(), "hello");
    assert!(recv.data().await.is_none());
    assert!(recv.is_ended());
}

#[tokio::test]
async fn ten_megabytes_each_way_within_the_bounds() {
    let mut pair = pair().await;
    let total = 10 * 1024 * 1024;
    let head = RequestHead::new(b"erp", b"POST", b"/echo").unwrap();
    let (mut send, mut recv) = pair.client.open(head, false).unwrap();
    let upload = async {
        for _ in 0..total / 10_240 {
            send.ready().await.unwrap();
            send.send(Bytes::from(vec![7; 10_240])).unwrap();
        }
        send.finish().unwrap();
    };
    let echo = async {
        let mut request = next_request(&mut pair.requests).await;
        request.reply.reply(ReplyHead::new(200), false).unwrap();
        while let Some(bytes) = request.body.data().await {
            request.reply.ready().await.unwrap();
            request.reply.send(bytes.unwrap()).unwrap();
        }
        request.reply.finish().unwrap();
    };
    let download = async {
        assert_eq!(recv.reply().await.unwrap().status(), 200);
        let mut count = 0;
        while let Some(bytes) = recv.data().await {
            let bytes = bytes.unwrap();
            assert!(bytes.len() <= MAX_PAYLOAD && bytes.iter().all(|&b| b == 7));
            count += bytes.len();
        }
        count
    };
    let ((), (), count) = tokio::join!(upload, echo, download);
    assert_eq!(count, total);
    assert_eq!(pair.client.health().streams, 0);
    assert_eq!(pair.gateway.health().streams, 0);
}

#[tokio::test]
async fn a_dropped_client_half_resets_the_stream_at_once() {
    let mut pair = pair().await;
    let (send, recv) = pair.client.open(get("/slow"), true).unwrap();
    let mut request = next_request(&mut pair.requests).await;
    request.reply.reply(ReplyHead::new(200), false).unwrap();
    drop((send, recv));
    // The gateway's writer is notified without polling the stream.
    let error = loop {
        if let Err(error) = request.reply.ready().await {
            break error;
        }
        let _ = request.reply.send(Bytes::from_static(b"tick"));
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, StreamError::Reset(Reason::CANCEL)), "{error}");
    assert_eq!(pair.client.health().streams, 0);
}

#[tokio::test]
async fn a_gateway_that_wants_no_body_still_answers_in_full() {
    let mut pair = pair().await;
    let head = RequestHead::new(b"erp", b"POST", b"/").unwrap();
    let (mut send, mut recv) = pair.client.open(head, false).unwrap();
    send.send(Bytes::from(vec![0; 100_000])).unwrap();
    let Request { mut reply, body, .. } = next_request(&mut pair.requests).await;
    drop(body);
    reply.reply(ReplyHead::new(413), false).unwrap();
    reply.send(Bytes::from(vec![1; 200_000])).unwrap();
    reply.finish().unwrap();
    drop(reply);
    assert_eq!(recv.reply().await.unwrap().status(), 413);
    let mut count = 0;
    while let Some(bytes) = recv.data().await {
        count += bytes.unwrap().len();
    }
    assert_eq!(count, 200_000);
    // And the upload is asked to stop.
    let error = loop {
        if let Err(error) = send.ready().await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, StreamError::Reset(Reason::CANCEL)), "{error}");
}

#[tokio::test]
async fn a_lost_gateway_answers_every_waiter_at_once() {
    let mut pair = pair().await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(pair.client.open(get("/"), true).unwrap());
    }
    let _held = next_request(&mut pair.requests).await;
    pair.gateway_driver.abort();
    for (_, recv) in &mut waiting {
        let error = timeout(Duration::from_secs(1), recv.reply()).await.unwrap().unwrap_err();
        assert!(matches!(error, StreamError::Lost(_)), "{error}");
    }
    let closed = pair.client_driver.await.unwrap();
    assert!(matches!(closed, Closed::Truncated | Closed::Io(_)), "{closed}");
    assert!(matches!(pair.client.open(get("/"), true), Err(StreamError::Lost(_))));
}

#[tokio::test]
async fn drain_finishes_open_streams_and_opens_no_new_ones() {
    let mut pair = pair().await;
    let (_send, mut recv) = pair.client.open(get("/"), true).unwrap();
    let mut request = next_request(&mut pair.requests).await;
    pair.client.drain();
    assert!(matches!(pair.client.open(get("/"), true), Err(StreamError::Draining)));
    request.reply.reply(ReplyHead::new(204), true).unwrap();
    assert_eq!(recv.reply().await.unwrap().status(), 204);
    assert!(matches!(pair.client_driver.await.unwrap(), Closed::Local));
    assert!(matches!(pair.gateway_driver.await.unwrap(), Closed::Peer));
    assert!(pair.requests.next().await.is_none());
}

#[tokio::test]
async fn a_slow_stream_does_not_delay_a_quick_one() {
    let mut pair = pair().await;
    let (_s1, mut bulk) = pair.client.open(get("/bulk"), true).unwrap();
    let mut first = next_request(&mut pair.requests).await;
    first.reply.reply(ReplyHead::new(200), false).unwrap();
    // Far more than all queues hold; it is never read.
    let writer = tokio::spawn(async move {
        for _ in 0..200 {
            first.reply.ready().await.unwrap();
            first.reply.send(Bytes::from(vec![0; MAX_PAYLOAD])).unwrap();
        }
        first.reply.finish().unwrap();
    });
    assert_eq!(bulk.reply().await.unwrap().status(), 200);
    let (_s2, mut quick) = pair.client.open(get("/quick"), true).unwrap();
    let mut second = next_request(&mut pair.requests).await;
    second.reply.reply(ReplyHead::new(204), true).unwrap();
    let status = timeout(Duration::from_secs(2), quick.reply()).await.unwrap().unwrap().status();
    assert_eq!(status, 204);
    while let Some(bytes) = bulk.data().await {
        bytes.unwrap();
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn a_tunnel_half_closes_both_ways() {
    let mut pair = pair().await;
    let head = RequestHead::new(b"erp", b"CONNECT", b"erp:443").unwrap();
    let (send, mut recv) = pair.client.open(head, false).unwrap();
    let far = async {
        let mut request = next_request(&mut pair.requests).await;
        request.reply.reply(ReplyHead::new(200), false).unwrap();
        let mut tunnel = Duplex::new(request.reply, request.body);
        let mut all = Vec::new();
        tunnel.read_to_end(&mut all).await.unwrap();
        tunnel.write_all(&all).await.unwrap();
        tunnel.shutdown().await.unwrap();
    };
    let near = async {
        assert_eq!(recv.reply().await.unwrap().status(), 200);
        let mut tunnel = Duplex::new(send, recv);
        tunnel.write_all(&[9; 100_000]).await.unwrap();
        tunnel.shutdown().await.unwrap();
        let mut all = Vec::new();
        tunnel.read_to_end(&mut all).await.unwrap();
        all
    };
    let ((), all) = tokio::join!(far, near);
    assert_eq!(all, [9; 100_000]);
}

#[tokio::test]
async fn a_ping_measures_the_round_trip() {
    let mut pair = pair().await;
    pair.client.ping();
    while !matches!(pair.client_events.next().await, Some(IncomingEvent::Pong { .. })) {}
    let health = pair.client.health();
    assert!(health.rtt.unwrap() < Duration::from_secs(1));
    assert!(health.last_pong.is_some());
}

#[tokio::test]
async fn an_https_client_gets_a_page_and_close_notify() {
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let (_, server_tls) = tls_13();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let (tcp, session) = handshake_server(tcp, server_tls).await.unwrap();
            let (_link, _news, driver) =
                Link::start(tcp, session, &LinkConfig::gateway(HTTP_ANSWER));
            driver.await
        });
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut https = tokio_rustls::TlsConnector::from(Pki::get().rustls_client())
            .connect(ServerName::try_from("localhost").unwrap(), tcp)
            .await
            .unwrap();
        https.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ok, not UnexpectedEof: close_notify came.
        https.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, HTTP_ANSWER);
        https.shutdown().await.unwrap();
        drop(https);
        let closed = server.await.unwrap();
        assert!(closed.to_string().contains("HTTPS client"), "{closed}");
    }
}

/// With windows the gateway stops; without, what the readers do not take goes to a file. In both
/// cases the others continue, and a resumed reader gets every byte.
#[tokio::test]
async fn stalled_readers_stop_no_others_and_miss_nothing() {
    const SIZE: usize = 20 * 1024 * 1024;
    const STALLED: usize = 4;
    let body: Bytes = (0..SIZE).map(|n| (n % 251) as u8).collect();
    for windows in [true, false] {
        let Pair { client, requests, client_events: _client_news, .. } = pair_with(windows).await;
        if windows {
            // The announcements cross before the first stream.
            client.ping();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::spawn(serve_bodies(requests, body.clone()));
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            let (send, mut recv) = client.open(get("/bulk"), true).unwrap();
            recv.reply().await.unwrap();
            stalled.push((send, recv));
        }
        for _ in 0..50 {
            let (_send, mut recv) = client.open(get("/bulk"), true).unwrap();
            let answered = timeout(Duration::from_secs(5), recv.reply()).await;
            assert!(answered.is_ok(), "windows {windows}: a quick request was held up");
        }
        for (_send, recv) in &mut stalled {
            let mut count = 0;
            while let Some(bytes) = recv.data().await {
                let bytes = bytes.unwrap();
                assert!(body[count..].starts_with(&bytes), "windows {windows}: at {count}");
                count += bytes.len();
            }
            assert_eq!(count, SIZE, "windows {windows}");
        }
    }
}

/// Answers every request with the same long body.
async fn serve_bodies(mut requests: Incoming, body: Bytes) {
    while let Some(events) = requests.next().await {
        let IncomingEvent::Request(mut request) = events else {
            continue;
        };
        let body = body.clone();
        tokio::spawn(async move {
            request.reply.reply(ReplyHead::new(200), false)?;
            for chunk in body.chunks(MAX_PAYLOAD) {
                request.reply.ready().await?;
                request.reply.send(body.slice_ref(chunk))?;
            }
            request.reply.finish()
        });
    }
}

/// Reads whole TLS records off a socket: their types and lengths.
fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut found = Vec::new();
    while bytes.len() >= 5 {
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        found.push((bytes[0], length));
        bytes = &bytes[(5 + length).min(bytes.len())..];
    }
    found
}

/// The lengths of the records that hold application data.
fn application_data(bytes: &[u8]) -> Vec<usize> {
    records(bytes).into_iter().filter(|(kind, _)| *kind == 23).map(|(_, length)| length).collect()
}

/// A wiretap between a client and a gateway; it takes at most `bite` bytes at a time.
struct Tap {
    address: std::net::SocketAddr,
    up: JoinHandle<Vec<u8>>,
    down: JoinHandle<Vec<u8>>,
}

impl Tap {
    async fn start(gateway: std::net::SocketAddr, bite: usize) -> Self {
        let front = small_socket().listen(1).unwrap();
        let address = front.local_addr().unwrap();
        let (give_up, up) = oneshot::channel();
        let (give_down, down) = oneshot::channel();
        tokio::spawn(async move {
            let (client, _) = front.accept().await.unwrap();
            let gateway = small_socket().connect(gateway).await.unwrap();
            let (client_read, client_write) = client.into_split();
            let (gateway_read, gateway_write) = gateway.into_split();
            let _ = give_up.send(tokio::spawn(listen_in(client_read, gateway_write, bite)));
            let _ = give_down.send(tokio::spawn(listen_in(gateway_read, client_write, bite)));
        });
        let received = |way: oneshot::Receiver<JoinHandle<Vec<u8>>>| {
            tokio::spawn(async move { way.await.unwrap().await.unwrap() })
        };
        Self { address, up: received(up), down: received(down) }
    }
}

/// Passes bytes on and keeps them.
async fn listen_in(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    bite: usize,
) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; bite];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    kept
}

/// A socket that takes less than one record at a time. Its other side is left as it is: with a
/// receive buffer that no packet fits into, the system would wait longer and longer for room.
fn small_socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(1).unwrap();
    assert!(socket.send_buffer_size().unwrap() < 10_000, "the system's least is small");
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

/// Sends these payloads both ways over sockets with small buffers; gives the lengths of the
/// records that went up and down.
async fn tapped(payloads: &'static [usize], bite: usize) -> (Vec<usize>, Vec<usize>) {
    let (client_tls, server_tls) = tls();
    let gate = small_socket().listen(1).unwrap();
    let tap = Tap::start(gate.local_addr().unwrap(), bite).await;
    let (uploaded, whole_upload) = oneshot::channel();
    let gateway = tokio::spawn(async move {
        let (tcp, _) = gate.accept().await.unwrap();
        let (tcp, session) = handshake_server(tcp, server_tls).await.unwrap();
        let mut config = LinkConfig::gateway(HTTP_ANSWER);
        config.proto.extensions = Extensions::NONE;
        let (_link, mut requests, driver) = Link::start(tcp, session, &config);
        let driver = tokio::spawn(driver);
        let mut request = next_request(&mut requests).await;
        request.reply.reply(ReplyHead::new(200), false).unwrap();
        for length in payloads {
            request.reply.ready().await.unwrap();
            request.reply.send(Bytes::from(vec![0; *length])).unwrap();
        }
        request.reply.finish().unwrap();
        while let Some(bytes) = request.body.data().await {
            bytes.unwrap();
        }
        uploaded.send(()).unwrap();
        drop(request);
        driver.await.unwrap()
    });
    let tcp = small_socket().connect(tap.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let (tcp, session) = handshake_client(tcp, client_tls, name).await.unwrap();
    let (link, _news, driver) = Link::start(tcp, session, &LinkConfig::client());
    let driver = tokio::spawn(driver);
    let (mut send, mut recv) = link.open(get("/"), false).unwrap();
    let up = async {
        for length in payloads {
            send.ready().await.unwrap();
            send.send(Bytes::from(vec![0; *length])).unwrap();
        }
        send.finish().unwrap();
    };
    let down = async {
        recv.reply().await.unwrap();
        while let Some(bytes) = recv.data().await {
            bytes.unwrap();
        }
    };
    tokio::join!(up, down);
    // What is queued is lost when the link closes.
    whole_upload.await.unwrap();
    link.close();
    driver.await.unwrap();
    gateway.await.unwrap();
    (application_data(&tap.up.await.unwrap()), application_data(&tap.down.await.unwrap()))
}

/// Wire spec 0, rule 2: the reference client reads one frame per record. No socket here holds a
/// whole record, let alone a batch of them, so each is written in pieces.
#[tokio::test]
async fn one_frame_is_one_record_both_ways_however_the_socket_takes_it() {
    // None that would be joined with the one before it while both wait.
    const PAYLOADS: [usize; 7] = [1, 1024, 1500, 5000, MAX_PAYLOAD, MAX_PAYLOAD - 1, 15];
    for bite in [1 << 20, 777] {
        let (up, down) = tapped(&PAYLOADS, bite).await;
        let frames = PAYLOADS.map(|length| sealed(8 + length));
        for records in [up, down] {
            assert!(records.windows(frames.len()).any(|it| it == frames), "{bite}: {records:?}");
        }
    }
}

/// The same with far more than the bound on what may be sealed at a time.
#[tokio::test]
async fn many_large_frames_stay_one_record_each() {
    let (up, down) = tapped(&[MAX_PAYLOAD; 50], 1 << 20).await;
    let full = sealed(8 + MAX_PAYLOAD);
    for records in [up, down] {
        assert!(records.iter().all(|record| *record <= full));
        assert_eq!(records.iter().filter(|record| **record == full).count(), 50, "{records:?}");
    }
}

/// A client may write its first frames right behind its Finished, and the server's
/// handshake then reads both at once.
#[tokio::test]
async fn frames_that_came_with_the_handshake_are_processed() {
    let (client_tls, server_tls) = tls_13();
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (gate_address, front_address) = (gate.local_addr().unwrap(), front.local_addr().unwrap());
    // Holds the client's second flight back until a frame stands behind it.
    tokio::spawn(async move {
        let (client, _) = front.accept().await.unwrap();
        let gateway = TcpStream::connect(gate_address).await.unwrap();
        let (mut client_read, mut client_write) = client.into_split();
        let (mut gateway_read, mut gateway_write) = gateway.into_split();
        let mut buffer = vec![0; 1 << 16];
        let count = client_read.read(&mut buffer).await.unwrap();
        gateway_write.write_all(&buffer[..count]).await.unwrap();
        let down = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut gateway_read, &mut client_write).await;
        });
        let mut flight = Vec::new();
        while application_data(&flight).len() <= LAST_FLIGHT {
            let count = client_read.read(&mut buffer).await.unwrap();
            flight.extend_from_slice(&buffer[..count]);
        }
        gateway_write.write_all(&flight).await.unwrap();
        down.await.unwrap();
    });
    tokio::spawn(async move {
        let (tcp, _) = gate.accept().await.unwrap();
        let (tcp, session) = handshake_server(tcp, server_tls).await.unwrap();
        let (_link, _news, driver) = Link::start(tcp, session, &LinkConfig::gateway(HTTP_ANSWER));
        driver.await
    });
    let tcp = TcpStream::connect(front_address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let (tcp, session) = handshake_client(tcp, client_tls, name).await.unwrap();
    let (link, mut events, driver) = Link::start(tcp, session, &LinkConfig::client());
    tokio::spawn(driver);
    link.ping();
    // Its announcement of extensions may come before or behind the PING.
    let pong = async {
        while !matches!(events.next().await.expect("the link lives"), IncomingEvent::Pong { .. }) {}
    };
    timeout(Duration::from_secs(2), pong).await.expect("a PONG without a nudge");
}

/// What the client is asked next.
async fn next_socket(events: &mut Incoming) -> SocketRequest {
    loop {
        if let IncomingEvent::Socket(request) = events.next().await.expect("a request") {
            return request;
        }
    }
}

#[tokio::test]
async fn a_socket_to_the_client_carries_bytes_and_each_end() {
    for windows in [true, false] {
        let mut pair = pair_with(windows).await;
        let client = async {
            let request = next_socket(&mut pair.client_events).await;
            assert_eq!(request.port, 22);
            let (mut send, mut recv) = request.accept().unwrap();
            assert_eq!(recv.data().await.unwrap().unwrap(), "hello");
            assert!(recv.data().await.is_none(), "the gateway has ended its half");
            // Far more than a window, while the other half is over.
            for _ in 0..100 {
                send.ready().await.unwrap();
                send.send(Bytes::from(vec![7; 100_000])).unwrap();
            }
            send.finish().unwrap();
        };
        let gateway = async {
            let (mut send, mut recv) = pair.gateway.connect(22).await.unwrap();
            send.send(Bytes::from_static(b"hello")).unwrap();
            send.finish().unwrap();
            let mut received = 0;
            while let Some(bytes) = recv.data().await {
                received += bytes.unwrap().len();
            }
            received
        };
        let ((), received) = tokio::join!(client, gateway);
        assert_eq!(received, 10_000_000);
        assert_eq!((pair.client.health().streams, pair.gateway.health().streams), (0, 0));
    }
}

#[tokio::test]
async fn a_socket_that_is_refused_reset_or_lost_reports_it() {
    let mut pair = pair().await;
    let answer = async { next_socket(&mut pair.client_events).await.refuse(SocketsCode::IN_USE) };
    let ((), refused) = tokio::join!(answer, pair.gateway.connect(1));
    assert!(matches!(refused, Err(ConnectError::Refused(SocketsCode::IN_USE))));

    // Dropped without an answer.
    let answer = async { drop(next_socket(&mut pair.client_events).await) };
    let ((), dropped) = tokio::join!(answer, pair.gateway.connect(1));
    assert!(matches!(dropped, Err(ConnectError::Stream(StreamError::Reset(Reason::CANCEL)))));

    // The gateway withdraws its request.
    let mut asked = tokio::select! {
        request = next_socket(&mut pair.client_events) => request,
        _ = pair.gateway.connect(1) => panic!("there is no answer"),
    };
    assert!(matches!(asked.gone().await, StreamError::Reset(Reason::CANCEL)));
    drop(asked);
    let (granted, asked) = {
        let answer = async { next_socket(&mut pair.client_events).await.accept().unwrap() };
        tokio::join!(answer, pair.gateway.connect(2))
    };
    // Either half dropped early resets the stream, in both directions.
    let (send, _recv) = granted;
    drop(send);
    let (_send, mut recv) = asked.unwrap();
    assert!(matches!(recv.data().await, Some(Err(StreamError::Reset(Reason::CANCEL)))));

    // And the request ends with its connection.
    let request = pair.gateway.connect(3);
    pair.client.close();
    assert!(matches!(request.await, Err(ConnectError::Stream(StreamError::Lost(_)))));
}
