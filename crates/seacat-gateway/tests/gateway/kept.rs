//! Connections to back ends: kept for what may be repeated, new for what may not; and the limits
//! on what a back end does with one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use seacat_gateway::config::Upstream;
use seacat_link::StreamError;
use seacat_proto::Reason;
use tokio::sync::mpsc;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A back end that closes shortly after each answer, without having said so.
async fn hasty() -> std::net::SocketAddr {
    origin(|mut socket| async move {
        let Some(head) = socket.head().await else { return };
        if head.contains("Content-Length: 4") {
            socket.read_until("body").await.unwrap();
        }
        socket.write(OK).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    })
    .await
}

#[test]
fn nothing_is_lost_at_a_back_end_that_closes_after_each_answer() {
    scenario(async {
        let demo = gateway(hasty().await);
        let client = Client::connect(&demo).await;
        for _ in 0..50 {
            for method in ["POST", "PUT", "GET"] {
                let (mut body, mut answer) =
                    client.open(request(method, "app", "/", &[("Content-Length", "4")]));
                send(&mut body, "body").await.unwrap();
                body.finish().unwrap();
                assert_eq!(Answer::read(&mut answer).await.unwrap().status, 200, "{method}");
                let bare = client.ask(request(method, "app", "/", &[])).await.unwrap();
                assert_eq!(bare.status, 200, "{method}");
            }
        }
    });
}

/// As many connections as there are requests at one time, although each POST opens a new one.
#[test]
fn new_connections_take_the_places_of_idle_ones() {
    scenario(async {
        let open = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (counted, highest) = (Arc::clone(&open), Arc::clone(&most));
        let addr = origin(move |mut socket| {
            let (open, most) = (Arc::clone(&counted), Arc::clone(&highest));
            async move {
                most.fetch_max(1 + open.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                while socket.head().await.is_some() {
                    socket.write(OK).await;
                }
                open.fetch_sub(1, Ordering::SeqCst);
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        for _ in 0..50 {
            assert_eq!(client.ask(request("POST", "app", "/", &[])).await.unwrap().status, 200);
        }
        // The one in use, the one that is kept, and one whose end is not yet noticed.
        assert!(most.load(Ordering::SeqCst) <= 3, "{} at one time", most.load(Ordering::SeqCst));
    });
}

/// A server that takes the body of a GET for the next request answers the next requester with it.
#[test]
fn an_unusual_body_does_not_affect_other_requests() {
    scenario(async {
        for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"] {
            // Ignores bodies: what follows a head is the next request.
            let addr = origin(|mut socket| async move {
                while let Some(head) = socket.head().await {
                    let path = head.split(' ').nth(1).unwrap();
                    let length = path.len();
                    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
                    socket.write(if head.starts_with("HEAD") { OK } else { &text }).await;
                    if head.contains("/front") {
                        // The stray answer comes when the connection would be in use again.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            });
            let demo = gateway(addr.await);
            let (attacker, victim) = (Client::connect(&demo).await, Client::connect(&demo).await);
            let poison = "GET /poison HTTP/1.1\r\nHost: x\r\n\r\n";
            let length = poison.len().to_string();
            for _ in 0..5 {
                let fields = [("Content-Length", length.as_str())];
                let (mut body, mut answer) =
                    attacker.open(request(method, "app", "/front", &fields));
                send(&mut body, poison).await.unwrap();
                body.finish().unwrap();
                answer.reply().await.unwrap();
                for _ in 0..5 {
                    assert_eq!(victim.get("app", "/victim").await.unwrap().body, "/victim");
                }
            }
        }
    });
}

#[test]
fn a_back_end_that_shows_progress_is_not_timed_out() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            socket.head().await.unwrap();
            for _ in 0..5 {
                socket.write("HTTP/1.1 102 Processing\r\n\r\n").await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            socket.write(OK).await;
        });
        let response_timeout = Duration::from_millis(600);
        let demo = gateway_with(Upstream { response_timeout, ..upstream(addr.await) });
        let answer = Client::connect(&demo).await.get("app", "/").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    });
}

#[test]
fn interim_answers_without_end_are_refused_and_delay_no_others() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            if socket.head().await.unwrap().contains("/quick") {
                return socket.write(OK).await;
            }
            let many = "HTTP/1.1 102 Processing\r\n\r\n".repeat(5000);
            // The gateway closes in the middle.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket.tcp, many.as_bytes()).await;
            socket.gone().await;
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (endless, quick) = tokio::join!(client.get("app", "/"), client.get("app", "/quick"));
        let endless = endless.unwrap();
        assert!(endless.status == 502 && endless.body.contains("1000 interim"), "{endless:?}");
        assert_eq!(quick.unwrap().body, "ok");
    });
}

#[test]
fn a_body_that_stops_has_a_limit() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            if socket.head().await.unwrap().starts_with("GET") {
                socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
            }
            socket.gone().await;
        });
        let body_timeout = Duration::from_millis(100);
        let demo = gateway_with(Upstream { body_timeout, ..upstream(addr.await) });
        let client = Client::connect(&demo).await;
        let (_, mut answer) = client.link.open(request("GET", "app", "/", &[]), true).unwrap();
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        let error = body(&mut answer).await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::RESPONSE_TIMEOUT)), "{error}");
        // The client stops: with a length, and where a GET may still have a body.
        for (method, fields) in [("POST", &[("Content-Length", "10")][..]), ("GET", &[])] {
            let (mut ask, mut answer) = client.open(request(method, "app", "/", fields));
            if method == "POST" {
                send(&mut ask, "half").await.unwrap();
            }
            let error = answer.reply().await.unwrap_err();
            assert!(matches!(error, StreamError::Reset(Reason::CANCEL)), "{method}: {error}");
        }
    });
}

/// However the time is split between the body and the answer, it is waited for once.
#[test]
fn the_time_for_an_answer_begins_with_the_end_of_the_request() {
    scenario(async {
        let silent = origin(|mut socket| async move { socket.gone().await }).await;
        let response_timeout = Duration::from_millis(500);
        let demo = gateway_with(Upstream { response_timeout, ..upstream(silent) });
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) =
            client.open(request("POST", "app", "/", &[("Content-Length", "4")]));
        send(&mut ask, "body").await.unwrap();
        ask.finish().unwrap();
        let began = std::time::Instant::now();
        let error = answer.reply().await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::RESPONSE_TIMEOUT)), "{error}");
        assert!(began.elapsed() >= response_timeout);
    });
}

#[test]
fn the_name_that_was_typed_reaches_the_back_end_and_comes_back() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                let own = socket.tcp.local_addr().unwrap();
                while let Some(head) = socket.head().await {
                    report.send(head).unwrap();
                    let answer = format!(
                        "HTTP/1.1 301 Moved Permanently\r\nLocation: http://{own}/docs/\r\n\
                         Set-Cookie: a=1; Domain=127.0.0.1\r\nContent-Length: 0\r\n\r\n"
                    );
                    socket.write(&answer).await;
                }
            }
        })
        .await;
        let typed = [("Host", "App.seacat:8000"), ("Destination", "http://app.seacat:8000/b")];
        let plain = upstream(addr);
        let given = Upstream { host_header: Some("erp.test".parse().unwrap()), ..plain.clone() };
        for (upstream, host, destination) in [
            (plain, "App.seacat:8000", "http://app.seacat:8000/b"),
            (given, "erp.test", "http://erp.test/b"),
        ] {
            let demo = gateway_with(upstream);
            let client = Client::connect(&demo).await;
            let answer = client.ask(request("MOVE", "app", "/a", &typed)).await.unwrap();
            let head = reported.recv().await.unwrap();
            assert!(head.contains(&format!("\r\nHost: {host}\r\n")), "{head}");
            assert!(head.contains(&format!("\r\nDestination: {destination}\r\n")), "{head}");
            let expected = "Location: http://App.seacat:8000/docs/ \
                            | Set-Cookie: a=1; Domain=App.seacat | Content-Length: 0";
            assert_eq!(answer.fields, expected);
        }
    });
}
