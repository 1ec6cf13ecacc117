//! Requests and answers: what the back end sees, what the client gets, and what either gets when
//! it goes wrong.

use std::time::Duration;

use seacat_gateway::config::{Backend, Host, Limits, Upstream};
use seacat_gateway::{Demo, config::Endpoint};
use seacat_link::StreamError;
use seacat_proto::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
#[cfg(target_os = "linux")]
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn heads_cross_in_the_form_of_each_side() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                report.send(socket.head().await.unwrap()).unwrap();
                socket
                    .write(
                        "HTTP/1.1 200 Fine\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n\
                         Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                         etag: \"x\"\r\nContent-Length: 5\r\n\r\nhello",
                    )
                    .await;
            }
        })
        .await;
        let demo = gateway(addr);
        let client = Client::connect(&demo).await;
        let fields = [("Host", "other"), ("connection", "close"), ("x-UPPER", "1"), ("Cookie", "")];
        let answer = client.ask(request("GET", "App", "/a?b=%20", &fields)).await.unwrap();
        assert_eq!(
            reported.recv().await.unwrap(),
            "GET /a?b=%20 HTTP/1.1\r\nHost: App\r\nx-UPPER: 1\r\nCookie: \r\n\r\n"
        );
        assert_eq!(answer.status, 200);
        let expected = "set-cookie: a=1 | Set-Cookie: b=2 | etag: \"x\" | Content-Length: 5";
        assert_eq!(answer.fields, expected);
        assert_eq!(answer.body, "hello");
    });
}

#[test]
fn bodies_are_framed_on_both_sides() {
    // What the back end answers -> what the client gets: head, FIN on it, body.
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n";
    let cases = [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "204  true "),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".into(),
            "304 Content-Length: 9 true ",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".into(),
            "200 Content-Length: 9 true ",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
            "200 Content-Length: 0 true ",
        ),
        ("GET", format!("{chunked}\r\n"), "200  false abcde"),
        ("GET", format!("{chunked}X-Trailer: 1\r\n\r\n"), "200  false abcde"),
        ("GET", format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"), "200 Content-Length: 2 false ok"),
        (
            "GET",
            format!("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{OK}"),
            "200 Content-Length: 2 false ok",
        ),
    ];
    scenario(async move {
        for (method, answer, expected) in cases {
            let answer: &'static str = answer.leak();
            let demo = gateway(answering(answer).await);
            let client = Client::connect(&demo).await;
            // Twice: the second goes over the same connection and shows that the first left
            // nothing behind.
            for _ in 0..2 {
                let got = client.ask(request(method, "app", "/", &[])).await.unwrap();
                let got = format!("{} {} {} {}", got.status, got.fields, got.end, got.body);
                assert_eq!(got, expected, "{answer:?}");
            }
        }
        // Until the connection's end.
        let addr = origin(|mut socket| async move {
            socket.head().await.unwrap();
            socket.write("HTTP/1.0 200 OK\r\n\r\nto the end").await;
        });
        let demo = gateway(addr.await);
        let got = Client::connect(&demo).await.get("app", "/").await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (200, "to the end"));
    });
}

#[test]
fn a_request_body_is_framed_by_its_length_or_in_chunks() {
    // method, Content-Length, pieces -> what follows the back end's request line and Host
    let cases: [(&str, Option<&str>, &[&str], &str); 5] = [
        ("POST", Some("5"), &["ab", "cde"], "Content-Length: 5\r\n\r\nabcde"),
        (
            "POST",
            None,
            &["ab", "cde"],
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
        ),
        ("POST", Some("x"), &["ab"], "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        ("GET", None, &["ab"], "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        // FIN came later, but nothing before it.
        ("GET", None, &[], "\r\n"),
    ];
    scenario(async move {
        for (method, length, pieces, expected) in cases {
            let (report, mut reported) = mpsc::unbounded_channel();
            let addr = origin(move |mut socket| {
                let report = report.clone();
                async move {
                    let head = socket.read_until("\r\nHost: ").await.unwrap();
                    let host = socket.read_until("\r\n").await.unwrap();
                    let start = head.strip_prefix(&format!("{method} / HTTP/1.1\r\n"));
                    let fields = start.unwrap_or_else(|| panic!("{head}")).to_owned();
                    let rest = socket.read_until(expected).await.unwrap();
                    report.send((fields, host, rest)).unwrap();
                    socket.write(OK).await;
                }
            });
            let demo = gateway(addr.await);
            let client = Client::connect(&demo).await;
            let fields: Vec<_> = length.iter().map(|length| ("Content-Length", *length)).collect();
            let (mut body, mut answer) = client.open(request(method, "app", "/", &fields));
            for piece in pieces {
                send(&mut body, piece.to_string()).await.unwrap();
                // One DATA frame each: the next is sent when this one has left.
                while !body.started() || client.link.health().bytes_out == 0 {
                    tokio::task::yield_now().await;
                }
            }
            body.finish().unwrap();
            let got = Answer::read(&mut answer).await.unwrap();
            assert_eq!((got.status, got.body.as_str()), (200, "ok"));
            assert!(reported.recv().await.is_some());
        }
    });
}

#[test]
fn bodies_stream_both_ways_at_once() {
    scenario(async {
        // Answers each line while the request still runs.
        let addr = origin(|mut socket| async move {
            socket.head().await.unwrap();
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            for _ in 0..3 {
                socket.read_until("!").await.unwrap();
                socket.write("4\r\nyes!\r\n").await;
            }
            socket.read_until("0\r\n\r\n").await.unwrap();
            socket.write("0\r\n\r\n").await;
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("POST", "app", "/", &[]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        for _ in 0..3 {
            send(&mut ask, "really!").await.unwrap();
            assert_eq!(answer.data().await.unwrap().unwrap(), "yes!");
        }
        ask.finish().unwrap();
        assert!(answer.data().await.is_none());
    });
}

#[test]
fn an_answer_that_overtakes_the_requests_end_arrives() {
    // back end's answer, promised length, sent first -> whether the rest is still welcome
    let cases = [
        ("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", "5", "", true),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", "10", "67890", false),
    ];
    scenario(async move {
        for (answer, length, rest, welcome) in cases {
            let addr = origin(move |mut socket| async move {
                socket.read_until("\r\n\r\n12345").await.unwrap();
                socket.write(answer).await;
                socket.gone().await;
            });
            let demo = gateway(addr.await);
            let client = Client::connect(&demo).await;
            // With windows the answer ends on its head.
            client.ask(request("GET", "nobody", "/", &[])).await.unwrap();
            let fields = [("Content-Length", length)];
            let (mut ask, mut back) = client.open(request("POST", "app", "/", &fields));
            send(&mut ask, "12345").await.unwrap();
            let got = Answer::read(&mut back).await.unwrap();
            assert_eq!(format!("HTTP/1.1 {}", got.status), answer[..12]);
            // What the gateway has to say about the stream, it says before this.
            client.ask(request("GET", "nobody", "/", &[])).await.unwrap();
            let sent = send(&mut ask, rest).await.and_then(|()| ask.finish());
            assert_eq!(sent.is_ok(), welcome, "{sent:?}");
        }
    });
}

#[test]
fn large_bodies_arrive_whole() {
    const SIZE: usize = 8 << 20;
    fn pattern() -> Vec<u8> {
        (0..SIZE).map(|i| (i % 249) as u8).collect()
    }
    scenario(async {
        // Sends back what it gets.
        let addr = origin(|mut socket| async move {
            socket.head().await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            socket.write(&head).await;
            let (mut from, mut to) = socket.tcp.into_split();
            let mut exactly = (&mut from).take(SIZE as u64);
            tokio::io::copy(&mut exactly, &mut to).await.unwrap();
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let length = SIZE.to_string();
        let fields = [("Content-Length", length.as_str())];
        let (mut ask, mut answer) = client.open(request("PUT", "app", "/", &fields));
        let upload = async {
            for piece in pattern().chunks(100_000) {
                send(&mut ask, piece.to_vec()).await.unwrap();
            }
            ask.finish().unwrap();
        };
        let download = async {
            assert_eq!(answer.reply().await.unwrap().status(), 200);
            body(&mut answer).await.unwrap()
        };
        let ((), got) = tokio::join!(upload, download);
        assert!(got == pattern(), "{} bytes came, or others", got.len());
    });
}

#[test]
fn connections_are_used_again_and_stale_ones_replaced() {
    scenario(async {
        // Tells which connection it is. The first closes after two answers, the second after
        // having read another request: the case that cannot be seen beforehand.
        let addr = origin(|mut socket| async move {
            let number = socket.number;
            for served in 0.. {
                if number == 0 && served == 2 {
                    return;
                }
                if socket.head().await.is_none() || number == 1 && served == 1 {
                    return;
                }
                let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
                socket.write(&text).await;
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let mut seen = String::new();
        for _ in 0..5 {
            seen.push_str(&client.get("app", "/").await.unwrap().body);
        }
        assert_eq!(seen, "00122");
    });
}

#[test]
fn a_request_that_may_have_been_processed_is_not_repeated() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            assert!(socket.number < 2, "the request was sent again");
            let head = socket.head().await.unwrap();
            if head.starts_with("GET") {
                socket.write(OK).await;
                socket.gone().await;
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        assert_eq!(client.get("app", "/").await.unwrap().status, 200);
        let post = client.ask(request("POST", "app", "/", &[])).await.unwrap();
        assert_eq!(post.status, 502);
        assert!(post.body.contains("without an answer"), "{}", post.body);
        assert!(post.fields.contains("code=\"SC-GW-LOST\""), "{}", post.fields);
    });
}

#[test]
fn requests_that_are_wrong_are_answered() {
    scenario(async {
        let echo = Host::new(seacat_gateway::builtin::Builtin::Echo.into());
        let tunnel = Host {
            backend: None,
            connect: Some(Endpoint { host: "127.0.0.1".into(), port: 1 }.into()),
            ..echo.clone()
        };
        // Port 1 of loopback refuses.
        let refuses = Upstream::new("http://127.0.0.1:1").unwrap();
        let hosts = [
            ("echo".to_owned(), echo),
            ("tunnel".into(), tunnel),
            ("refuses".into(), Host::new(Backend::Http(refuses))),
        ];
        let demo = Demo::start_with(hosts, Limits::default()).unwrap();
        let client = Client::connect(&demo).await;
        let cases = [
            ("GET", "nobody", "/", 404, "no host named \"nobody\""),
            ("GET", "<b>\r\n\u{1}\"", "/", 404, "named \"<b>\\r\\n\\x01\\\"\""),
            ("GET", "refuses", "/", 502, "cannot be reached"),
            ("GET", "refuses", "/a b", 400, "the path"),
            ("G T", "refuses", "/", 400, "the method"),
            ("GET", "tunnel", "/", 405, "for CONNECT"),
            ("CONNECT", "echo", "echo:443", 403, "CONNECT is not open"),
            ("CONNECT", "tunnel", "tunnel:443", 502, "cannot be reached"),
            ("CONNECT", "tunnel", "tunnel:80", 403, "leads to port 1 and port 443"),
            ("CONNECT", "nobody", "nobody:443", 404, "no host"),
        ];
        for (method, host, path, status, text) in cases {
            let answer = client.ask(request(method, host, path, &[])).await.unwrap();
            assert_eq!(answer.status, status, "{method} {host} {path}: {answer:?}");
            assert!(answer.body.contains(text), "{method} {host} {path}: {answer:?}");
            assert!(answer.fields.contains("Content-Type: text/plain"), "{answer:?}");
            let reported = answer.fields.contains("Proxy-Status: seacat-gateway; error=");
            assert!(reported && answer.fields.contains("code=\"SC-GW-"), "{answer:?}");
        }
        let promised = request("POST", "refuses", "/", &[("Content-Length", "5")]);
        assert_eq!(client.ask(promised).await.unwrap().status, 400);
        assert_eq!(demo.stats.streams.get(), 11);
    });
}

#[test]
fn an_answer_that_is_none_becomes_502() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    let cases: [(&'static str, &str); 4] = [
        (huge.leak(), "16 KiB"),
        ("rubbish\r\n\r\n", "not HTTP"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "not asked for"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "two different lengths",
        ),
    ];
    scenario(async move {
        for (answer, text) in cases {
            let demo = gateway(answering(answer).await);
            let got = Client::connect(&demo).await.get("app", "/").await.unwrap();
            assert_eq!(got.status, 502, "{text}");
            assert!(got.body.contains(text), "{text}: {}", got.body);
        }
    });
}

#[test]
fn bodies_that_break_off_reset_the_stream() {
    scenario(async {
        let (seen, see) = oneshot::channel::<()>();
        let see = std::sync::Mutex::new(Some(see));
        let addr = origin(move |mut socket| {
            let see = see.lock().unwrap().take();
            async move {
                socket.head().await.unwrap();
                socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
                see.unwrap().await.unwrap();
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (_, mut answer) = client.link.open(request("GET", "app", "/", &[]), true).unwrap();
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        assert_eq!(answer.data().await.unwrap().unwrap(), "half");
        seen.send(()).unwrap();
        let error = body(&mut answer).await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::INTERNAL_ERROR)), "{error}");

        // The client promises one length and sends another.
        for pieces in ["12345678", "1234"] {
            let addr = origin(|mut socket| async move {
                socket.head().await.unwrap();
                socket.gone().await;
            });
            let demo = gateway(addr.await);
            let client = Client::connect(&demo).await;
            let six = request("POST", "app", "/", &[("Content-Length", "6")]);
            let (mut ask, mut answer) = client.open(six);
            send(&mut ask, pieces).await.unwrap();
            ask.finish().unwrap();
            let error = answer.reply().await.unwrap_err();
            assert!(matches!(error, StreamError::Reset(Reason::PROTOCOL_ERROR)), "{error}");
        }
    });
}

#[test]
fn a_back_end_that_does_not_answer_in_time_is_72() {
    scenario(async {
        let silent = origin(|mut socket| async move { socket.gone().await }).await;
        let response_timeout = Duration::from_millis(50);
        let demo = gateway_with(Upstream { response_timeout, ..upstream(silent) });
        let client = Client::connect(&demo).await;
        let error = client.get("app", "/").await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::RESPONSE_TIMEOUT)), "{error}");
        // A body that has arrived does not change it.
        let (mut ask, mut answer) = client.open(request("POST", "app", "/", &[]));
        send(&mut ask, "all").await.unwrap();
        ask.finish().unwrap();
        let error = answer.reply().await.unwrap_err();
        assert!(matches!(error, StreamError::Reset(Reason::RESPONSE_TIMEOUT)), "{error}");
    });
}

#[test]
fn a_client_that_sends_slowly_is_not_the_back_ends_fault() {
    scenario(async {
        let addr = origin(|mut socket| async move {
            socket.head().await.unwrap();
            socket.read_until("0\r\n\r\n").await.unwrap();
            socket.write(OK).await;
        });
        let response_timeout = Duration::from_millis(50);
        let demo = gateway_with(Upstream { response_timeout, ..upstream(addr.await) });
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("POST", "app", "/", &[]));
        for _ in 0..3 {
            send(&mut ask, "piece").await.unwrap();
            // The pause is what is tested.
            tokio::time::sleep(3 * response_timeout).await;
        }
        ask.finish().unwrap();
        assert_eq!(Answer::read(&mut answer).await.unwrap().status, 200);
    });
}

/// A socket that listens and whose queue is full: Linux then ignores further clients.
#[cfg(target_os = "linux")]
async fn full() -> (TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    loop {
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        match tokio::time::timeout(Duration::from_millis(200), connecting).await {
            Ok(connected) => waiting.push(connected.unwrap()),
            Err(_) => return (listener, waiting),
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_back_end_that_cannot_be_reached_in_time_is_71() {
    scenario(async {
        let (listener, _waiting) = full().await;
        let addr = listener.local_addr().unwrap();
        let connect = Some(addr.to_string().parse().unwrap());
        let host = Host {
            connect,
            connect_timeout: Duration::from_millis(50),
            ..Host::new(Backend::Http(upstream(addr)))
        };
        let demo = Demo::start_with([("app".to_owned(), host)], Limits::default()).unwrap();
        let client = Client::connect(&demo).await;
        for method in ["GET", "CONNECT"] {
            let error = client.ask(request(method, "app", "/", &[])).await.unwrap_err();
            let timeout = matches!(error, StreamError::Reset(Reason::CONNECTION_TIMEOUT));
            assert!(timeout, "{method}: {error}");
        }
    });
}

#[test]
fn a_client_that_gives_up_frees_the_back_end() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                socket.head().await.unwrap();
                report.send("asked").unwrap();
                socket.gone().await;
                report.send("gone").unwrap();
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (ask, answer) = client.link.open(request("GET", "app", "/", &[]), true).unwrap();
        assert_eq!(reported.recv().await, Some("asked"));
        drop((ask, answer));
        assert_eq!(reported.recv().await, Some("gone"));
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_arrives() {
    scenario(async {
        let (done, finished) = oneshot::channel::<()>();
        let finished = std::sync::Mutex::new(Some(finished));
        let addr = origin(move |mut socket| {
            let finished = finished.lock().unwrap().take();
            async move {
                socket.head().await.unwrap();
                socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!").await;
                // Nothing of the body is read.
                let _ = finished.unwrap().await;
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, mut answer) = client.open(request("POST", "app", "/", &[]));
        send(&mut ask, "the beginning").await.unwrap();
        let got = Answer::read(&mut answer).await.unwrap();
        assert_eq!((got.status, got.body.as_str()), (413, "no!"));
        drop(done);
        // The connection is fine.
        let error = client.get("nobody", "/").await.unwrap();
        assert_eq!(error.status, 404);
    });
}

#[test]
fn x_forwarded_fields_are_set_when_asked_for() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                report.send(socket.head().await.unwrap()).unwrap();
                socket.write(OK).await;
            }
        })
        .await;
        let forwarding = Upstream {
            x_forwarded_for: true,
            x_forwarded_host: true,
            host_header: Some("erp.test".parse().unwrap()),
            ..upstream(addr)
        };
        let demo = gateway_with(forwarding);
        let client = Client::connect(&demo).await;
        let claimed = request("GET", "app", "/", &[("X-Forwarded-For", "203.0.113.1")]);
        assert_eq!(client.ask(claimed).await.unwrap().status, 200);
        let head = reported.recv().await.unwrap();
        let mut lines: Vec<&str> = head.lines().skip(1).filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        let expected = [
            "Host: erp.test",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: app",
            "X-Forwarded-Port: 80",
            "X-Forwarded-Proto: http",
        ];
        assert_eq!(lines, expected);
    });
}

#[test]
fn the_built_in_hosts_answer() {
    scenario(async {
        let demo = Demo::start().unwrap();
        let client = Client::connect(&demo).await;

        let text = client.get("hello", "/").await.unwrap();
        assert!(text.fields.starts_with("Content-Type: text/plain"), "{}", text.fields);
        assert!(text.body.starts_with("It works."), "{}", text.body);
        let browser = request("GET", "hello", "/", &[("accept", "text/html,*/*;q=0.8")]);
        let html = client.ask(browser).await.unwrap();
        assert!(html.fields.starts_with("Content-Type: text/html"), "{}", html.fields);
        assert!(html.body.starts_with("<!doctype html>"), "{}", html.body);
        let post = client.ask(request("POST", "hello", "/", &[])).await.unwrap();
        assert_eq!(post.status, 405);

        let (mut ask, mut answer) = client.open(request("PUT", "echo", "/x?y", &[("A", "b")]));
        assert_eq!(answer.reply().await.unwrap().status(), 200);
        assert_eq!(answer.data().await.unwrap().unwrap(), "PUT /x?y\nA: b\n\n");
        for piece in ["one", "two"] {
            send(&mut ask, piece).await.unwrap();
            assert_eq!(answer.data().await.unwrap().unwrap(), piece);
        }
        ask.finish().unwrap();
        assert!(answer.data().await.is_none());

        let (_, mut answer) =
            client.link.open(request("GET", "download", "/1M", &[]), true).unwrap();
        let head = answer.reply().await.unwrap();
        assert!(fields(&head).contains("Content-Length: 1048576"), "{}", fields(&head));
        let bytes = body(&mut answer).await.unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert!(bytes.iter().enumerate().all(|(i, byte)| *byte == (i % 251) as u8));
        let head = client.ask(request("HEAD", "download", "/1G", &[])).await.unwrap();
        assert!(head.end && head.fields.contains("Content-Length: 1073741824"), "{head:?}");
        assert!(client.get("download", "/0").await.unwrap().end);
        assert_eq!(client.get("download", "/x").await.unwrap().status, 404);
        assert_eq!(demo.stop().await.cut, 0);
    });
}

#[test]
fn origins_may_be_slow_to_read() {
    // A back end that reads nothing stops its own upload and nothing else.
    scenario(async {
        let addr = origin(|mut socket| async move {
            if socket.head().await.unwrap().starts_with("GET") {
                return socket.write(OK).await;
            }
            std::future::pending::<()>().await;
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        let (mut ask, _answer) = client.open(request("POST", "app", "/", &[]));
        let flood = async {
            while send(&mut ask, vec![0; 65_536]).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let others = async {
            for _ in 0..20 {
                assert_eq!(client.get("app", "/").await.unwrap().body, "ok");
            }
        };
        tokio::select! {
            () = flood => panic!("the upload ended"),
            () = others => {}
        }
    });
}

#[test]
fn an_idle_socket_with_input_is_not_used() {
    scenario(async {
        let (report, mut reported) = mpsc::unbounded_channel();
        let addr = origin(move |mut socket| {
            let report = report.clone();
            async move {
                socket.head().await.unwrap();
                socket.write(OK).await;
                // Nobody asked for this: it would be taken for the next request's answer.
                socket
                    .tcp
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
                    .await
                    .unwrap();
                report.send(socket.number).unwrap();
                socket.gone().await;
            }
        });
        let demo = gateway(addr.await);
        let client = Client::connect(&demo).await;
        for number in 0..2 {
            assert_eq!(client.get("app", "/").await.unwrap().body, "ok");
            assert_eq!(reported.recv().await, Some(number));
        }
    });
}
