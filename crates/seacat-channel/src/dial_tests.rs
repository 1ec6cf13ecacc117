//! Happy eyeballs on a virtual clock, and every failure of a dial from a real socket.

use crate::identity::Presenter;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::*;
use crate::config::Tls;
use crate::testing::{Ca, at, between, install_provider, leaf, nobody, serve};

const V6_A: &str = "2001:db8::a";
const V6_B: &str = "2001:db8::b";
const V4_A: &str = "192.0.2.1";
const V4_B: &str = "192.0.2.2";

#[test]
fn families_take_turns() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&[V4_A], &[V4_A]),
        (&[V6_A, V6_B, V4_A, V4_B], &[V6_A, V4_A, V6_B, V4_B]),
        (&[V4_A, V4_B, V6_A], &[V4_A, V6_A, V4_B]),
        (&[V6_A, V6_B, "2001:db8::c", V4_A], &[V6_A, V4_A, V6_B, "2001:db8::c"]),
        (&[V4_A, V4_A, V6_A, V4_A], &[V4_A, V6_A]),
    ];
    for (given, expected) in cases {
        let order = interleave(given.iter().map(|ip| at(ip)).collect());
        assert_eq!(order, expected.iter().map(|ip| at(ip)).collect::<Vec<_>>(), "{given:?}");
    }
}

/// What an address does: after so many milliseconds it accepts or refuses; `None` is a black hole.
type Behaviour = (&'static str, Option<(u64, bool)>);

/// Asks a race for outcomes until it has no more. Gives when each address was started and when
/// each outcome came, in virtual milliseconds.
async fn run(behaviours: &'static [Behaviour], wins: usize) -> (Vec<String>, Vec<String>) {
    let begin = Instant::now();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let log = starts.clone();
    let connect = move |address: SocketAddr| {
        let (name, behaviour) = *behaviours.iter().find(|(ip, _)| at(ip) == address).unwrap();
        log.lock().unwrap().push(format!("{name} {}", begin.elapsed().as_millis()));
        async move {
            let Some((delay, accepts)) = behaviour else {
                return std::future::pending().await;
            };
            sleep(Duration::from_millis(delay)).await;
            if accepts { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
        }
    };
    let mut race = Race::new(behaviours.iter().map(|(ip, _)| at(ip)).collect(), connect);
    let mut outcomes = Vec::new();
    let mut won = 0;
    while won < wins {
        let Some((address, outcome)) = race.next().await else {
            break;
        };
        won += usize::from(outcome.is_ok());
        let word = if outcome.is_ok() { "ok" } else { "no" };
        outcomes.push(format!("{} {word} {}", address.ip(), begin.elapsed().as_millis()));
    }
    let starts = starts.lock().unwrap().clone();
    (starts, outcomes)
}

#[tokio::test(start_paused = true)]
async fn the_first_address_wins_when_it_is_quick() {
    let (starts, outcomes) = run(&[(V6_A, Some((249, true))), (V4_A, Some((1, true)))], 1).await;
    assert_eq!(starts, ["2001:db8::a 0"]);
    assert_eq!(outcomes, ["2001:db8::a ok 249"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_has_a_quarter_of_a_second() {
    let (starts, outcomes) = run(&[(V6_A, None), (V4_A, None), (V6_B, Some((10, true)))], 1).await;
    assert_eq!(starts, ["2001:db8::a 0", "192.0.2.1 250", "2001:db8::b 500"]);
    assert_eq!(outcomes, ["2001:db8::b ok 510"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_address_may_still_win() {
    let (_, outcomes) = run(&[(V6_A, Some((300, true))), (V4_A, Some((100, true)))], 1).await;
    assert_eq!(outcomes, ["2001:db8::a ok 300"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_starts_the_next_at_once() {
    let (starts, outcomes) = run(&[(V6_A, Some((5, false))), (V4_A, Some((5, true)))], 1).await;
    assert_eq!(starts, ["2001:db8::a 0", "192.0.2.1 5"]);
    assert_eq!(outcomes, ["2001:db8::a no 5", "192.0.2.1 ok 10"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_win_the_others_can_be_had_again() {
    // The winner's TLS failed, say: who was stopped is tried again, in the old order.
    let behaviours: &[Behaviour] =
        &[(V6_A, Some((400, true))), (V4_A, Some((10, true))), (V6_B, Some((1, false)))];
    let (starts, outcomes) = run(behaviours, 9).await;
    assert_eq!(starts, ["2001:db8::a 0", "192.0.2.1 250", "2001:db8::a 260", "2001:db8::b 510"]);
    assert_eq!(outcomes, ["192.0.2.1 ok 260", "2001:db8::b no 511", "2001:db8::a ok 660"]);
}

#[tokio::test(start_paused = true)]
async fn every_address_has_its_outcome() {
    let behaviours: &[Behaviour] =
        &[(V6_A, Some((700, false))), (V4_A, Some((10, false))), (V6_B, Some((10, false)))];
    let (starts, outcomes) = run(behaviours, 1).await;
    assert_eq!(starts, ["2001:db8::a 0", "192.0.2.1 250", "2001:db8::b 260"]);
    assert_eq!(outcomes, ["192.0.2.1 no 260", "2001:db8::b no 270", "2001:db8::a no 700"]);
}

/// Both kinds of TLS, where there are both: they fail in the same words.
const KINDS: &[Tls] =
    if cfg!(feature = "compat") { &[Tls::Modern, Tls::Compat] } else { &[Tls::Modern] };
fn straight(gateway: &GatewayConfig) -> Destination {
    Destination::new(gateway.clone(), Vec::new(), None)
}

/// Dials and gives the failure's code and text.
async fn failure(gateway: &GatewayConfig) -> String {
    let transport = Transport::new(gateway, Presenter::default()).unwrap();
    let failure = dial(&straight(gateway), &transport).await.unwrap_err();
    format!("{}: {failure}", failure.code())
}

/// The failure against a TLS server.
async fn tls_failure(ours: &Ca, kind: Tls, tls: Arc<ServerConfig>) -> String {
    let server = serve(move |tcp| {
        let tls = tls.clone();
        async move {
            if let Ok((tcp, _session)) = seacat_link::handshake_server(tcp, tls).await {
                // Stay until the client goes.
                let _ = tcp.readable().await;
            }
        }
    })
    .await;
    failure(&GatewayConfig { tls: kind, ..ours.gateway_at(server.address) }).await
}

/// The failure against a server that reads something and says `answer`.
async fn raw_failure(kind: Tls, answer: &'static [u8]) -> String {
    let server = serve(move |mut tcp| async move {
        let mut hello = [0; 4096];
        let _ = tcp.read(&mut hello).await;
        let _ = tcp.write_all(answer).await;
        let _ = tcp.shutdown().await;
        let _ = tcp.read(&mut hello).await;
    })
    .await;
    failure(&GatewayConfig { tls: kind, ..Ca::new("ours").gateway_at(server.address) }).await
}

#[tokio::test]
async fn what_certificates_do_to_a_dial() {
    install_provider();
    let (ours, theirs) = (Ca::new("our CA"), Ca::new("Interceptor Inc."));
    let good = || leaf("x", &["gateway.example"]);
    let cases = [
        (&theirs, good(), "SC-CERT-CA: the certificate was issued by \"CN=Interceptor Inc.\""),
        (
            &ours,
            leaf("x", &["other.example"]),
            "SC-CERT-NAME: the certificate is not for gateway.example but for other.example",
        ),
        (
            &ours,
            between(good(), 2001, 2002),
            "SC-CERT-EXPIRED: the gateway's certificate expired on 2002-01-01",
        ),
        (
            &ours,
            between(good(), 2200, 2201),
            "SC-CERT-NOT-YET: the gateway's certificate is valid from 2200-01-01",
        ),
    ];
    for (ca, params, expected) in cases {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (chain, key) = ca.identity(&params);
            let builder = ServerConfig::builder_with_protocol_versions(&[version]);
            let tls = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
            let tls = Arc::new(tls);
            for &kind in KINDS {
                let failure = tls_failure(&ours, kind, tls.clone()).await;
                assert!(failure.starts_with(expected), "{kind:?}, {version:?}: {failure}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_with_other_suites_and_one_that_wants_a_certificate_are_told_apart() {
    install_provider();
    let ours = Ca::new("our CA");
    let (chain, key) = ours.identity(&leaf("x", &["gateway.example"]));

    // Suites for RSA only, and a key that is not RSA: nothing is left in common.
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("RSA_WITH_AES"));
    provider.cipher_suites.retain(|suite| !format!("{:?}", suite.suite()).contains("ECDSA"));
    assert!(!provider.cipher_suites.is_empty());
    let tls = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key.clone_key())
        .unwrap();
    let tls = Arc::new(tls);
    for &kind in KINDS {
        let failure = tls_failure(&ours, kind, tls.clone()).await;
        assert!(failure.starts_with("SC-TLS-SUITE"), "{kind:?}: {failure}");
    }

    let mut roots = rustls::RootCertStore::empty();
    roots.add(ours.der()).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let tls = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    let tls = Arc::new(tls);
    for &kind in KINDS {
        let failure = tls_failure(&ours, kind, tls.clone()).await;
        assert!(failure.starts_with("SC-CLIENT-CERT"), "{kind:?}: {failure}");
    }
}

#[tokio::test]
async fn what_other_servers_say() {
    let cases: &[(&[u8], &str)] = &[
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "SC-NOT-TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SC-NOT-TLS"),
        // Fatal alerts: handshake_failure, protocol_version, insufficient_security, internal_error.
        (&[0x15, 3, 3, 0, 2, 2, 40], "SC-TLS-SUITE"),
        (&[0x15, 3, 1, 0, 2, 2, 70], "SC-TLS-VERSION"),
        (&[0x15, 3, 3, 0, 2, 2, 71], "SC-TLS-SUITE"),
        (&[0x15, 3, 3, 0, 2, 2, 80], "SC-TLS: "),
        (b"", "SC-TLS-HUNG-UP"),
    ];
    for (answer, expected) in cases {
        for &kind in KINDS {
            let failure = raw_failure(kind, answer).await;
            assert!(failure.starts_with(expected), "{kind:?}, {answer:x?}: {failure}");
        }
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let address = nobody().await;
    let failure = failure(&Ca::new("ours").gateway_at(address)).await;
    assert_eq!(failure, format!("SC-TCP-REFUSED: {address} refused the connection"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_a_second_handshake_with_small_segments() {
    let (sizes, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |tcp| {
        sizes.send(socket2::SockRef::from(&tcp).tcp_mss().unwrap()).unwrap();
        async move {
            let _keep = tcp;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let begin = Instant::now();
    let failure = failure(&Ca::new("ours").gateway_at(server.address)).await;
    assert_eq!(failure, "SC-TIMED-OUT: the TLS handshake took longer than 8 s");
    assert_eq!(begin.elapsed().as_secs(), 12);
    let (first, second) = (seen.recv().await.unwrap(), seen.recv().await.unwrap());
    assert!(first > 1200, "{first}");
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert!(second <= 1200, "{second}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_exist() {
    // RFC 6761: .invalid never resolves. Without a name server the answer is "cannot say".
    let failure = failure(&GatewayConfig::new("gateway.invalid")).await;
    assert!(
        failure.starts_with("SC-NO-SUCH-HOST: no such host: gateway.invalid")
            || failure.starts_with("SC-DNS: the name gateway.invalid could not be looked up"),
        "{failure}"
    );
}

#[tokio::test]
async fn of_many_failures_the_furthest_is_told() {
    let refused = || Failure::Refused { address: at(V4_A) };
    let unreachable = || Failure::Unreachable { address: at(V6_A) };
    assert_eq!(further(Some(unreachable()), refused()).code(), "SC-TCP-REFUSED");
    assert_eq!(further(Some(refused()), unreachable()).code(), "SC-TCP-REFUSED");
    assert_eq!(further(Some(refused()), Failure::HungUp).code(), "SC-TLS-HUNG-UP");
    assert_eq!(further(Some(Failure::NotTls), Failure::HungUp).code(), "SC-NOT-TLS");
}

#[tokio::test]
async fn a_good_gateway_is_dialled_and_described() {
    let ca = Ca::new("our CA");
    let tls = ca.server();
    let server = serve(move |tcp| {
        let tls = tls.clone();
        async move {
            let (tcp, _session) = seacat_link::handshake_server(tcp, tls).await.unwrap();
            let _ = tcp.readable().await;
        }
    })
    .await;
    for &tls in KINDS {
        let gateway = GatewayConfig { tls, ..ca.gateway_at(server.address) };
        let transport = Transport::new(&gateway, Presenter::default()).unwrap();
        let dialled = dial(&straight(&gateway), &transport).await.unwrap();
        assert_eq!(dialled.address, server.address);
        assert_eq!(dialled.secured.tls.version, "TLS 1.3");
        assert_eq!(dialled.secured.tls.issuer, "CN=our CA");
        assert!(dialled.secured.tls.suite.starts_with("TLS"), "{:?}", dialled.secured.tls);
        assert!(dialled.secured.tcp.nodelay().unwrap());
        assert!(!dialled.secured.identified);
    }
}

/// A proxy that carries what it is asked to `to`, and the requests it was sent.
async fn proxy(to: SocketAddr) -> (crate::testing::Server, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let log = requests.clone();
    let server = serve(move |mut tcp| {
        let log = log.clone();
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(tcp.read_u8().await.unwrap());
            }
            let line = String::from_utf8(request).unwrap().lines().next().unwrap().to_owned();
            log.lock().unwrap().push(line);
            let mut far = TcpStream::connect(to).await.unwrap();
            tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut tcp, &mut far).await;
        }
    })
    .await;
    (server, requests)
}

#[tokio::test]
async fn through_a_proxy_by_name_by_address_and_not_at_all() {
    let ca = Ca::new("our CA");
    let tls = ca.server();
    let server = serve(move |tcp| {
        let tls = tls.clone();
        async move {
            let (tcp, _session) = seacat_link::handshake_server(tcp, tls).await.unwrap();
            let _ = tcp.readable().await;
        }
    })
    .await;
    let (proxy, requests) = proxy(server.address).await;
    let found = vec![server.address.ip()];
    let port = server.address.port();
    let named = GatewayConfig { address: None, ..ca.gateway_at(server.address) };
    let transport = Transport::new(&named, Presenter::default()).unwrap();
    let cases = [
        // Nobody could look up this name: looking up is the proxy's business.
        (&named, vec![], ConnectBy::Name, "", Some(format!("gateway.example:{port}"))),
        (&named, found.clone(), ConnectBy::Address, "", Some(format!("127.0.0.1:{port}"))),
        (
            &ca.gateway_at(server.address),
            vec![],
            ConnectBy::Name,
            "",
            Some(format!("127.0.0.1:{port}")),
        ),
        (&named, found.clone(), ConnectBy::Name, "example", None),
        (&ca.gateway_at(server.address), vec![], ConnectBy::Name, "127.0.0.0/8", None),
    ];
    for (gateway, found, connect_by, except, expected) in cases {
        let mut upstream: Upstream = format!("http://{}", proxy.address).parse().unwrap();
        upstream.connect_by = connect_by;
        upstream.except = crate::Except::parse(except);
        let destination = Destination::new(gateway.clone(), found, Some(&upstream));
        let dialled = dial(&destination, &transport).await.unwrap();
        let asked = requests.lock().unwrap().pop();
        assert_eq!(asked, expected.as_ref().map(|it| format!("CONNECT {it} HTTP/1.1")));
        let first_hop = if expected.is_some() { proxy.address } else { server.address };
        assert_eq!(dialled.address, first_hop);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let address = nobody().await;
    let upstream: Upstream = format!("http://{address}").parse().unwrap();
    let gateway = Ca::new("ours").gateway_at(address);
    let transport = Transport::new(&gateway, Presenter::default()).unwrap();
    let destination = Destination::new(gateway, Vec::new(), Some(&upstream));
    let failure = dial(&destination, &transport).await.unwrap_err();
    assert_eq!(
        format!("{}: {failure}", failure.code()),
        format!(
            "SC-PROXY-UNREACHABLE: the upstream proxy {address} cannot be reached: {address} \
             refused the connection"
        )
    );
}
