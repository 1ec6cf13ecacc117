//! CONNECT and Upgrade: raw bytes both ways, each way ending on its own.

use seacat_gateway::Demo;
use seacat_gateway::config::{Backend, Host, Limits, Upstream};
use seacat_link::StreamError;
use seacat_proto::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::*;

fn connect_to(origin: std::net::SocketAddr) -> Demo {
    let connect = Some(origin.to_string().parse().unwrap());
    let host = Host { backend: None, connect, ..Host::new(Backend::Http(upstream(origin))) };
    Demo::start_with([("app".to_owned(), host)], Limits::default()).unwrap()
}

#[test]
fn connect_carries_bytes_and_each_end() {
    scenario(async {
        // Reads to the end, then answers: needs the half-close of each way.
        let addr = origin(|mut socket| async move {
            let mut all = Vec::new();
            socket.tcp.read_to_end(&mut all).await.unwrap();
            all.reverse();
            socket.tcp.write_all(&all).await.unwrap();
        });
        let demo = connect_to(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("CONNECT", "app", "app:443", &[]));
        let head = answer.reply().await.unwrap();
        assert_eq!((head.status(), fields(&head).as_str()), (200, ""));
        assert!(!answer.is_ended());
        for piece in ["abc", "def"] {
            send(&mut ask, piece).await.unwrap();
        }
        ask.finish().unwrap();
        assert_eq!(body(&mut answer).await.unwrap(), b"fedcba");
    });
}

#[test]
fn a_tunnel_ends_from_the_far_side_first() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                socket.write("greetings").await;
                socket.tcp.shutdown().await.unwrap();
                report.send(socket.read_until("bye").await).unwrap();
            }
        });
        let demo = connect_to(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("CONNECT", "app", "app:443", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        assert_eq!(body(&mut answer).await.unwrap(), b"greetings");
        send(&mut ask, "good bye").await.unwrap();
        ask.finish().unwrap();
        assert_eq!(reported.recv().await.unwrap().unwrap(), "good bye");
    });
}

#[test]
fn a_tunnel_that_breaks_is_reset_on_the_other_side() {
    scenario(async {
        // The far side breaks: RST_STREAM.
        let addr = origin(|mut socket| async move {
            socket.read_until("go").await.unwrap();
            socket2::SockRef::from(&socket.tcp)
                .set_linger(Some(std::time::Duration::ZERO))
                .unwrap();
        });
        let demo = connect_to(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("CONNECT", "app", "app:443", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        send(&mut ask, "go").await.unwrap();
        let error = body(&mut answer).await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::INTERNAL_ERROR)), "{error}");

        // The client breaks: the socket is closed, although the client had ended its way.
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                socket.gone().await; // the client's end
                while socket.tcp.write_all(&[0; 65_536]).await.is_ok() {}
                report.send(()).unwrap();
            }
        });
        let demo = connect_to(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("CONNECT", "app", "app:443", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        ask.finish().unwrap();
        assert!(answer.data().await.unwrap().is_ok());
        drop(answer);
        reported.recv().await.unwrap();
    });
}

fn upgradable(origin: std::net::SocketAddr) -> Demo {
    gateway_with(Upstream { upgrade: true, ..upstream(origin) })
}

const WEBSOCKET: [(&str, &str); 2] = [("Upgrade", "websocket"), ("Sec-WebSocket-Key", "k")];

#[test]
fn upgrade_becomes_a_tunnel() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            let head = socket.head().await.unwrap();
            assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
            assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
            assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
            // The first bytes come with the head.
            socket
                .write(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nearly",
                )
                .await;
            assert_eq!(socket.read_until("frame").await.unwrap(), "a frame");
            socket.write(" late").await;
            socket.tcp.shutdown().await.unwrap();
            socket.gone().await;
        });
        let demo = upgradable(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("GET", "app", "/chat", &WEBSOCKET));
        let head = answer.reply().await.unwrap();
        assert_eq!(head.status(), 101);
        assert_eq!(fields(&head), "Sec-WebSocket-Accept: a | Upgrade: websocket");
        assert_eq!(answer.data().await.unwrap().unwrap(), "early");
        send(&mut ask, "a frame").await.unwrap();
        assert_eq!(body(&mut answer).await.unwrap(), b" late");
        ask.finish().unwrap();
    });
}

#[test]
fn a_refused_upgrade_is_an_ordinary_answer() {
    scenario(async {
        let addr = answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
        let demo = upgradable(addr);
        let client = Client::connect(&demo).await;
        let (_ask, mut answer) = client.open(request("GET", "app", "/chat", &WEBSOCKET));
        let got = Answer::read(&mut answer).await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (426, "no"));
    });
}

#[test]
fn an_upgrade_that_is_not_allowed_is_not_asked_for() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            let head = socket.head().await.unwrap();
            assert!(!head.to_lowercase().contains("upgrade"), "{head}");
            socket.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        // As the proxy does it: the stream stays open for the other protocol.
        for _ in 0..2 {
            let (mut ask, mut answer) = client.open(request("GET", "app", "/chat", &WEBSOCKET));
            let answer = Answer::read(&mut answer).await.unwrap();
            assert_eq!(answer.status, 400);
            assert!(answer.fields.contains("does not set `upgrade`"), "{}", answer.fields);
            ask.finish().unwrap();
        }
    });
}

#[test]
fn connect_leads_to_a_target_for_each_port() {
    scenario(async {
        let named =
            |name: &'static str| origin(move |mut socket| async move { socket.write(name).await });
        let (tls, shell) = (named("tls").await, named("shell").await);
        let config: toml::Table =
            format!("connect = {{ 443 = \"{tls}\", 22 = \"{shell}\" }}").parse().unwrap();
        let connect = config["connect"].clone().try_into().unwrap();
        let host = Host {
            backend: None,
            connect: Some(connect),
            ..Host::new(Backend::Http(upstream(tls)))
        };
        let demo = Demo::start_with([("app".to_owned(), host)], Limits::default()).unwrap();
        let client = Client::connect(&demo).await;
        for (authority, expected) in [("app:443", "tls"), ("app:22", "shell"), ("app", "tls")] {
            let (_ask, mut answer) = client.open(request("CONNECT", "app", authority, &[]));
            assert_eq!(answer.reply().await.unwrap().status(), 200);
            assert_eq!(body(&mut answer).await.unwrap(), expected.as_bytes(), "{authority}");
        }
        let refused = client.ask(request("CONNECT", "app", "app:80", &[])).await.unwrap();
        assert_eq!(refused.status, 403);
        assert!(refused.body.contains("port 22 and port 443"), "{}", refused.body);
    });
}
