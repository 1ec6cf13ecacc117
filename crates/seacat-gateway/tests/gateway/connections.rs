//! A connection's life: its streams side by side, its limits, its end.

use std::time::Duration;

use seacat_gateway::builtin::Builtin;
use seacat_gateway::config::{Host, Limits};
use seacat_gateway::{Config, Demo, Gateway, pki};
use seacat_link::{Closed, IncomingEvent, StreamError};
use seacat_proto::frame::{Characteristics, CharacteristicsAck, Kind};
use seacat_proto::{Control, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::*;

fn with(limits: Limits) -> Demo {
    let hosts = Builtin::ALL.map(|(name, it)| (name.to_owned(), Host::new(it.into())));
    Demo::start_with(hosts, limits).unwrap()
}

#[test]
fn a_slow_reader_delays_only_itself() {
    const LARGE: usize = 2 << 20;
    scenario(async {
        let demo = Demo::start().unwrap();
        let client = Client::connect(&demo).await;
        let mut stalled = Vec::new();
        for _ in 0..4 {
            let path = format!("/{LARGE}");
            let (ask, mut answer) =
                client.link.open(request("GET", "download", &path, &[]), true).unwrap();
            assert_eq!(answer.reply().await.unwrap().status(), 200);
            stalled.push((ask, answer));
        }
        for _ in 0..50 {
            assert_eq!(client.get("download", "/5").await.unwrap().body, "\0\u{1}\u{2}\u{3}\u{4}");
        }
        for (_, mut answer) in stalled {
            assert_eq!(body(&mut answer).await.unwrap().len(), LARGE);
        }
    });
}

#[test]
fn a_client_that_vanishes_frees_its_back_end() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                socket.head().await.unwrap();
                socket.write("HTTP/1.1 200 OK\r\n\r\n").await;
                while socket.tcp.write_all(&[7; 65_536]).await.is_ok() {}
                report.send(()).unwrap();
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (_ask, mut answer) = client.link.open(request("GET", "app", "/", &[]), true).unwrap();
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        client.driver.abort();
        reported.recv().await.unwrap();
    });
}

#[test]
fn many_streams_at_once() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let client = Client::connect(&demo).await;
        let mut all = tokio::task::JoinSet::new();
        for number in 0..500_usize {
            let (_, mut answer) = client
                .link
                .open(request("GET", "download", &format!("/{}", number * 100), &[]), true)
                .unwrap();
            all.spawn(async move {
                assert_eq!(answer.reply().await.unwrap().status(), 200);
                assert_eq!(body(&mut answer).await.unwrap().len(), number * 100);
            });
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        assert_eq!(demo.stats.connections.get(), 1);
        assert_eq!(demo.stats.streams.get(), 500);
    });
}

#[test]
fn one_stream_too_many_is_refused() {
    scenario(async {
        let demo = with(Limits { streams: 2, ..Limits::default() });
        let client = Client::connect(&demo).await;
        let (one, two) = (
            client.open(request("POST", "echo", "/", &[])),
            client.open(request("POST", "echo", "/", &[])),
        );
        let error = client.get("hello", "/").await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::REFUSED_STREAM)), "{error}");
        drop((one, two));
        assert_eq!(client.get("hello", "/").await.unwrap().status, 200);
    });
}

/// A client that knows the gateway's limit waits instead of being refused.
#[test]
fn one_stream_too_many_waits_for_a_free_one() {
    scenario(async {
        let demo = with(Limits { streams: 2, ..Limits::default() });
        let client = Client::connect(&demo).await;
        // The limit comes with the announcement of extensions.
        assert_eq!(client.get("hello", "/").await.unwrap().status, 200);
        let held = [(); 2].map(|()| client.open(request("POST", "echo", "/", &[])));
        let one_more = client.link.open(request("GET", "hello", "/", &[]), true);
        assert!(matches!(one_more, Err(StreamError::TooManyStreams)));
        let waiting = async {
            client.link.ready().await;
            client.get("hello", "/").await.unwrap().status
        };
        let release = async {
            // Whoever waits is not ready while both are open.
            assert_eq!(client.link.health().streams, 2);
            drop(held);
        };
        let (status, ()) = tokio::join!(waiting, release);
        assert_eq!(status, 200);
    });
}

#[test]
fn one_connection_too_many_is_closed() {
    scenario(async {
        let demo = with(Limits { connections: 1, ..Limits::default() });
        let first = Client::connect(&demo).await;
        assert!(is_served(&first).await);
        let second = Client::connect(&demo).await;
        assert!(!is_served(&second).await);
        second.driver.await.unwrap();
        assert_eq!(demo.stats.refused.get(), 1);
        first.link.close();
        first.driver.await.unwrap();
        // Its place is free when the gateway has seen its end.
        while !is_served(&Client::connect(&demo).await).await {}
    });
}

async fn is_served(client: &Client) -> bool {
    match client.link.open(request("GET", "hello", "/", &[]), true) {
        Ok((_, mut answer)) => Answer::read(&mut answer).await.is_ok(),
        Err(_) => false,
    }
}

#[test]
fn unknown_control_frames_are_ignored() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let mut client = Client::connect(&demo).await;
        let unknown = Control::Unknown {
            kind: Kind::new(0x80B4, 1),
            flags: 0,
            body: seacat_proto::Bytes::from_static(b"log"),
        };
        client.link.control(&unknown).unwrap();
        client.link.ping();
        assert!(matches!(client.incoming.next().await, Some(IncomingEvent::FrameReceived)));
        assert!(matches!(client.incoming.next().await, Some(IncomingEvent::Pong { .. })));
    });
}

#[test]
fn characteristics_are_acknowledged_by_a_gateway_that_keeps_none() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let path = pki::init(dir.path(), &[]).unwrap();
        let mut config = Config::load(&path).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        let gateway = Gateway::bind(config).unwrap();
        let addr = gateway.local_addr();
        assert!(gateway.clients().is_none());
        let _running = tokio::spawn(gateway.run(std::future::pending()));
        let ca_pem = std::fs::read_to_string(dir.path().join("ca.pem")).unwrap();
        let (tcp, session) = handshake(addr, anonymous(&ca_pem)).await.unwrap();
        let mut client = Client::over(tcp, session);
        let facts = Characteristics::new(42, &[("osv", "1")]).unwrap();
        client.link.control(&Control::Characteristics(facts)).unwrap();
        assert!(matches!(client.incoming.next().await, Some(IncomingEvent::FrameReceived)));
        let Some(IncomingEvent::Control(answer)) = client.incoming.next().await else { panic!() };
        assert_eq!(answer, Control::CharacteristicsAck(CharacteristicsAck { serial: 42 }));
    });
}

#[test]
fn stopping_lets_streams_in_flight_end() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let addr = demo.addr;
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("POST", "echo", "/", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        assert!(answer.data().await.unwrap().is_ok());

        let stopping = tokio::spawn(demo.stop());
        // Nobody new is let in …
        while tokio::net::TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        // … while active requests continue,
        send(&mut ask, "still here").await.unwrap();
        assert_eq!(answer.data().await.unwrap().unwrap(), "still here");
        ask.finish().unwrap();
        assert!(answer.data().await.is_none());
        // and then both ends say goodbye.
        let closed = client.driver.await.unwrap();
        assert!(matches!(closed, Closed::Peer | Closed::Local), "{closed}");
        assert_eq!(stopping.await.unwrap().cut, 0);
    });
}

#[test]
fn stopping_does_not_wait_for_ever() {
    scenario(async {
        let demo = with(Limits { drain_timeout: Duration::from_millis(50), ..Limits::default() });
        let client = Client::connect(&demo).await;
        let (_ask, mut answer) = client.open(request("POST", "echo", "/", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        assert_eq!(demo.stop().await.cut, 1);
        let closed = client.driver.await.unwrap();
        assert!(!matches!(closed, Closed::Local), "{closed}");
    });
}

#[test]
fn bytes_that_are_no_frames_end_one_connection_alone() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let good = Client::connect(&demo).await;
        let (tcp, session) = handshake(demo.addr, anonymous(&demo.ca_pem)).await.unwrap();
        // Straight under TLS: the gateway sees a record that cannot be opened.
        drop(session);
        let mut tcp = tcp;
        tcp.write_all(&[0xFF; 64]).await.unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await; // an alert, a reset or nothing: but an end
        assert_eq!(good.get("hello", "/").await.unwrap().status, 200);
    });
}
