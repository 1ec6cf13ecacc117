//! Short stories about a channel and a gateway that does what the story says, over real TLS on
//! loopback.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use seacat_link::{Request, StreamError};
use seacat_proto::{Bytes, Reason, ReplyHead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::exchange::{Loss, Tries};
use crate::testing::{
    Body, Ca, Relay, TestGateway, answer, head, install_provider, leaf, listen, nobody, serve,
};
use crate::upload::Body as BodyState;
use crate::*;

const OK: &str = "hello";

/// A channel and its one gateway.
async fn pair() -> (Channel, TestGateway) {
    let ca = Ca::new("our CA");
    let gateway = TestGateway::start(ca.server()).await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(gateway.address)]));
    (channel, gateway)
}

/// An exchange without a body, on its way.
fn get(channel: &Channel, replay: Replay) -> tokio::task::JoinHandle<Result<Reply, ExchangeError>> {
    let channel = channel.clone();
    tokio::spawn(async move { channel.exchange(head("GET", "/"), None::<NoBody>, replay).await })
}

/// An exchange with this body, on its way.
fn post(
    channel: &Channel,
    body: Body,
    replay: Replay,
) -> tokio::task::JoinHandle<Result<Reply, ExchangeError>> {
    let channel = channel.clone();
    tokio::spawn(async move { channel.exchange(head("POST", "/"), Some(body), replay).await })
}

async fn text(mut body: ReplyBody) -> String {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        all.extend_from_slice(&piece.unwrap());
    }
    assert!(body.is_ended());
    String::from_utf8(all).unwrap()
}

/// What the gateway gets of a request's body, and how it ends.
async fn received(request: &mut Request) -> (Vec<u8>, Option<StreamError>) {
    let mut all = Vec::new();
    loop {
        match request.body.data().await {
            Some(Ok(piece)) => all.extend_from_slice(&piece),
            Some(Err(error)) => return (all, Some(error)),
            None => return (all, None),
        }
    }
}

async fn until(channel: &Channel, there: impl FnMut(&Status) -> bool) -> Status {
    channel.status().wait_for(there).await.unwrap().clone()
}

/// Why there is no connection, once there is none.
async fn failed(channel: &Channel) -> Failure {
    let is_over = |state: &State| matches!(state, State::Waiting { .. } | State::Stopped { .. });
    match until(channel, |status| is_over(&status.state)).await.state {
        State::Waiting { why, .. } | State::Stopped { why } => why,
        other => panic!("{other:?}"),
    }
}

/// Cuts the connection, and does not wait for the back-off afterwards.
async fn cut(channel: &Channel, gateway: &TestGateway) {
    let before = std::time::Instant::now();
    gateway.cut();
    until(channel, |status| status.last_failure.as_ref().is_some_and(|(_, at)| *at >= before))
        .await;
    channel.connect();
}

fn error(outcome: Result<Reply, ExchangeError>) -> ExchangeError {
    match outcome {
        Ok(reply) => panic!("a reply with status {}", reply.head.status()),
        Err(error) => error,
    }
}

#[test]
fn an_exchange_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn is_shared<T: Clone + Send + Sync>(_: &T) {}
    fn check(channel: &Channel) {
        is_shared(channel);
        is_send(&channel.exchange(head("GET", "/"), None::<NoBody>, Replay::Never));
        is_send(&channel.tunnel(head("CONNECT", "/"), |_| true));
    }
    let _ = check;
}

#[tokio::test]
async fn a_request_its_body_and_its_reply() {
    let (channel, mut gateway) = pair().await;
    let (filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Never);
    filler.send(Ok(Bytes::from_static(b"one "))).unwrap();
    let mut request = gateway.request().await;
    assert_eq!((request.head.host(), request.head.method()), (&b"erp"[..], &b"POST"[..]));
    filler.send(Ok(Bytes::from_static(b"two"))).unwrap();
    drop(filler);
    assert_eq!(received(&mut request).await.0, b"one two");
    answer(&mut request, 201, OK);

    let reply = exchange.await.unwrap().unwrap();
    assert_eq!(reply.head.status(), 201);
    let Timings { arrived, sent, resent } = reply.timings;
    assert!(arrived <= sent && !resent);
    assert_eq!(text(reply.body).await, OK);

    let status = until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
    let State::Connected { address, tls, gateway: name, .. } = status.state else { unreachable!() };
    assert_eq!(
        (address, tls.version, tls.issuer.as_str()),
        (gateway.address, "TLS 1.3", "CN=our CA")
    );
    assert_eq!(name, "gateway.example");
    assert!(status.health.unwrap().last_pong.is_some());
    assert!(channel.health().unwrap().bytes_in > 0);
}

#[tokio::test]
async fn an_idempotent_request_is_sent_again_on_the_new_connection() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Idempotent);
    let first = gateway.request().await;
    cut(&channel, &gateway).await;
    drop(first);
    answer(&mut gateway.request().await, 200, OK);
    let reply = exchange.await.unwrap().unwrap();
    assert!(reply.timings.resent);
    assert_eq!(text(reply.body).await, OK);
}

#[tokio::test]
async fn but_only_once() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Idempotent);
    for _ in 0..2 {
        let _request = gateway.request().await;
        cut(&channel, &gateway).await;
    }
    let error = error(exchange.await.unwrap());
    assert!(matches!(error, ExchangeError::Lost { sent_body: false, .. }), "{error}");
}

#[tokio::test]
async fn what_may_have_been_processed_is_not_sent_again() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Never);
    let _request = gateway.request().await;
    cut(&channel, &gateway).await;
    let failed = error(exchange.await.unwrap());
    assert!(matches!(failed, ExchangeError::Lost { sent_body: false, .. }), "{failed}");

    // Idempotent, but the beginning of its body is gone.
    let (filler, body) = Body::new();
    filler.send(Ok(Bytes::from_static(b"some"))).unwrap();
    let exchange = post(&channel, body, Replay::Idempotent);
    let mut request = gateway.request().await;
    assert!(matches!(request.body.data().await, Some(Ok(_))));
    cut(&channel, &gateway).await;
    let failed = error(exchange.await.unwrap());
    assert!(matches!(failed, ExchangeError::Lost { sent_body: true, .. }), "{failed}");

    // Idempotent, and nothing of its body has been asked for yet.
    let (filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Idempotent);
    let _request = gateway.request().await;
    cut(&channel, &gateway).await;
    let mut request = gateway.request().await;
    filler.send(Ok(Bytes::from_static(b"all"))).unwrap();
    drop(filler);
    assert_eq!(received(&mut request).await.0, b"all");
    answer(&mut request, 200, OK);
    assert!(exchange.await.unwrap().unwrap().timings.resent);
}

#[tokio::test]
async fn a_stream_that_is_reset_for_another_reason_is_not_tried_again() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Idempotent);
    gateway.request().await.reply.reset(Reason::RESPONSE_TIMEOUT);
    let failed = error(exchange.await.unwrap());
    assert!(matches!(failed, ExchangeError::Reset(Reason::RESPONSE_TIMEOUT)), "{failed}");
}

/// The rule by itself, every line of it.
#[test]
fn the_retry_rule() {
    use Replay::{Idempotent, Never};
    let lost = || StreamError::Lost(Closed::Truncated);
    let refused = || StreamError::Reset(Reason::REFUSED_STREAM);
    let cancelled = || StreamError::Reset(Reason::CANCEL);
    // (error, started, body, replay, how often it is sent again)
    let cases = [
        (lost(), false, BodyState::Whole, Never, 3),
        (lost(), false, BodyState::Kept, Never, 3),
        (lost(), false, BodyState::Gone, Idempotent, 0),
        (lost(), true, BodyState::Whole, Never, 0),
        (lost(), true, BodyState::Whole, Idempotent, 1),
        (lost(), true, BodyState::Kept, Idempotent, 0),
        (refused(), true, BodyState::Whole, Never, 3),
        (refused(), true, BodyState::Kept, Never, 3),
        (refused(), true, BodyState::Gone, Idempotent, 0),
        (cancelled(), true, BodyState::Whole, Idempotent, 0),
        (StreamError::Closed, false, BodyState::Whole, Idempotent, 0),
        (StreamError::Stalled, true, BodyState::Whole, Idempotent, 0),
    ];
    for (error, started, body, replay, expected) in cases {
        let mut tries = Tries::default();
        let loss = || Loss::of(&error, started);
        let again = std::iter::repeat_with(|| tries.allow(loss(), body, replay));
        let again = again.take_while(|it| *it).count();
        assert_eq!(again, expected, "{error}, {started}, {body:?}, {replay:?}");
    }
}

/// A gateway that shuts down refuses what it has not begun: the next one answers, with all of the
/// body that the first was sent.
#[tokio::test]
async fn a_refused_request_goes_to_the_next_gateway_with_its_body() {
    let ca = Ca::new("our CA");
    let mut first = TestGateway::start(ca.server()).await;
    let mut second = TestGateway::start(ca.server()).await;
    let fallback = GatewayConfig { priority: 1, ..ca.gateway_at(second.address) };
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(first.address), fallback]));
    let (filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Never);
    filler.send(Ok(Bytes::from_static(b"one "))).unwrap();
    let mut request = first.request().await;
    assert!(matches!(request.body.data().await, Some(Ok(_))));
    // Nobody takes its place.
    first.stop_accepting();
    request.reply.reset(Reason::REFUSED_STREAM);

    let mut request = second.request().await;
    filler.send(Ok(Bytes::from_static(b"two"))).unwrap();
    drop(filler);
    assert_eq!(received(&mut request).await.0, b"one two");
    answer(&mut request, 200, OK);
    let reply = exchange.await.unwrap().unwrap();
    assert!(reply.timings.resent);
    assert_eq!(text(reply.body).await, OK);
}

/// Long answers go on where they began.
#[tokio::test]
async fn a_connection_that_refuses_is_replaced_and_finishes() {
    let (channel, mut gateway) = pair().await;
    let old = get(&channel, Replay::Never);
    let mut running = gateway.request().await;
    let exchange = get(&channel, Replay::Never);
    gateway.request().await.reply.reset(Reason::REFUSED_STREAM);
    answer(&mut gateway.request().await, 200, "new");
    assert_eq!(text(exchange.await.unwrap().unwrap().body).await, "new");
    assert_eq!(gateway.connections(), 2);
    answer(&mut running, 200, "old");
    assert_eq!(text(old.await.unwrap().unwrap().body).await, "old");
}

/// A channel whose one connection goes through a relay, and has been heard.
async fn relayed() -> (Channel, TestGateway, Relay) {
    let ca = Ca::new("our CA");
    let gateway = TestGateway::start(ca.server()).await;
    let relay = Relay::start(gateway.address).await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(relay.address)]));
    until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
    (channel, gateway, relay)
}

/// A router forgets the connection: the first request notices, and moves; the second, which must not
/// be sent twice, is not sent on a connection in doubt.
#[tokio::test]
async fn a_connection_that_carries_nothing_is_replaced_within_two_seconds() {
    let (channel, mut gateway, relay) = relayed().await;
    relay.freeze();
    let began = std::time::Instant::now();
    let moved = get(&channel, Replay::Idempotent);
    until(&channel, |status| !matches!(status.state, State::Connected { .. })).await;
    let held = get(&channel, Replay::Never);
    for _ in 0..2 {
        answer(&mut gateway.request().await, 200, OK);
    }
    assert!(moved.await.unwrap().unwrap().timings.resent);
    assert!(!held.await.unwrap().unwrap().timings.resent);
    println!("answered after {:?}", began.elapsed());
    assert_eq!(relay.connections(), 2);
}

/// The network says that it has changed: half a second, and nothing has to wait for it.
#[tokio::test]
async fn a_change_of_network_finds_a_dead_connection_without_a_request() {
    let (channel, mut gateway, relay) = relayed().await;
    channel.network_changed();
    // Well: the connection answers, and stays.
    answer_to(&channel, &mut gateway).await;
    assert_eq!(relay.connections(), 1);
    relay.freeze();
    channel.network_changed();
    until(&channel, |status| !matches!(status.state, State::Connected { .. })).await;
    until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
    answer_to(&channel, &mut gateway).await;
    assert_eq!(relay.connections(), 2);
}

/// A line that was away for a moment: what was on it arrives, and no other takes its place.
#[tokio::test]
async fn a_connection_that_is_heard_again_goes_on() {
    let (channel, mut gateway, relay) = relayed().await;
    let waiting = get(&channel, Replay::Never);
    let mut request = gateway.request().await;
    // Nor does the gateway take another for now.
    gateway.stop_accepting();
    relay.freeze();
    channel.network_changed();
    until(&channel, |status| !matches!(status.state, State::Connected { .. })).await;
    answer(&mut request, 200, OK);
    relay.thaw();
    until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
    assert_eq!(text(waiting.await.unwrap().unwrap().body).await, OK);
    answer_to(&channel, &mut gateway).await;
}

/// One request and its answer.
async fn answer_to(channel: &Channel, gateway: &mut TestGateway) {
    let exchange = get(channel, Replay::Never);
    answer(&mut gateway.request().await, 200, OK);
    assert_eq!(text(exchange.await.unwrap().unwrap().body).await, OK);
}

/// A CA is replaced while the proxy runs, with a file that holds the old one and the new one.
#[tokio::test]
async fn a_ca_file_that_has_changed_is_read_again() {
    let (old, new) = (Ca::new("old CA"), Ca::new("new CA"));
    let gateway = TestGateway::start(new.server()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, old.pem()).unwrap();
    let trust = Trust { roots: Roots::File(file.clone()), pins: vec![] };
    let gateways = vec![GatewayConfig { trust, ..new.gateway_at(gateway.address) }];
    let channel = Channel::start(ChannelConfig::new(gateways));
    assert_eq!(failed(&channel).await.code(), "SC-CERT-CA");
    std::fs::write(&file, old.pem() + &new.pem()).unwrap();
    channel.network_changed();
    until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
}

/// A gateway that refuses one request for what it is answers it in the end, and the others.
#[tokio::test]
async fn a_request_that_is_always_refused_fails() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Never);
    for _ in 0..4 {
        gateway.request().await.reply.reset(Reason::REFUSED_STREAM);
        channel.connect();
    }
    let failed = error(exchange.await.unwrap());
    assert!(matches!(failed, ExchangeError::Reset(Reason::REFUSED_STREAM)), "{failed}");
}

#[tokio::test]
async fn a_body_goes_on_after_an_early_reply_and_ends_with_it() {
    let (channel, mut gateway) = pair().await;
    let (filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Never);
    let mut request = gateway.request().await;
    request.reply.reply(ReplyHead::new(200), false).unwrap();
    let reply = exchange.await.unwrap().unwrap();

    filler.send(Ok(Bytes::from_static(b"late"))).unwrap();
    let piece = request.body.data().await.unwrap().unwrap();
    assert_eq!(&piece[..], b"late");
    drop(reply);
    let (_, end) = received(&mut request).await;
    assert!(matches!(end, Some(StreamError::Reset(Reason::CANCEL))), "{end:?}");
    filler.closed().await;
}

#[tokio::test]
async fn a_large_body_waits_for_the_gateway_to_take_it() {
    const PIECE: usize = 10_000;
    const PIECES: usize = 400;
    let (channel, mut gateway) = pair().await;
    let (filler, body) = Body::new();
    for i in 0..PIECES {
        filler.send(Ok(Bytes::from(vec![i as u8; PIECE]))).unwrap();
    }
    drop(filler);
    let exchange = post(&channel, body, Replay::Never);
    let mut request = gateway.request().await;
    let (all, end) = received(&mut request).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(all.len(), PIECES * PIECE);
    assert!(all.chunks(PIECE).enumerate().all(|(i, piece)| piece.iter().all(|&b| b == i as u8)));
    answer(&mut request, 200, OK);
    assert_eq!(text(exchange.await.unwrap().unwrap().body).await, OK);
}

#[tokio::test]
async fn a_body_that_fails_resets_the_stream() {
    let (channel, mut gateway) = pair().await;
    let (filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Idempotent);
    let mut request = gateway.request().await;
    filler.send(Err("the client went away".into())).unwrap();
    let failed = error(exchange.await.unwrap());
    assert_eq!(failed.to_string(), "the request's body could not be read: the client went away");
    let (_, end) = received(&mut request).await;
    assert!(matches!(end, Some(StreamError::Reset(Reason::CANCEL))), "{end:?}");
}

#[tokio::test]
async fn dropping_an_exchange_resets_its_stream() {
    let (channel, mut gateway) = pair().await;
    let (_filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Never);
    let mut request = gateway.request().await;
    exchange.abort();
    let (_, end) = received(&mut request).await;
    assert!(matches!(end, Some(StreamError::Reset(Reason::CANCEL))), "{end:?}");
}

#[tokio::test]
async fn a_status_that_is_none() {
    let (channel, mut gateway) = pair().await;
    let exchange = get(&channel, Replay::Idempotent);
    answer(&mut gateway.request().await, 1000, OK);
    let failed = error(exchange.await.unwrap());
    assert!(matches!(failed, ExchangeError::BadReply(1000)), "{failed}");
}

#[tokio::test]
async fn a_tunnel_opens_or_is_refused() {
    let (channel, mut gateway) = pair().await;
    let open = |channel: Channel| {
        tokio::spawn(async move { channel.tunnel(head("CONNECT", "x:443"), |s| s == 200).await })
    };
    let tunnel = open(channel.clone());
    let mut request = gateway.request().await;
    request.reply.reply(ReplyHead::new(200), false).unwrap();
    let Ok(Tunnel::Open(_, mut duplex, _)) = tunnel.await.unwrap() else { panic!("not open") };
    duplex.write_all(b"ping").await.unwrap();
    assert_eq!(&request.body.data().await.unwrap().unwrap()[..], b"ping");
    request.reply.send(Bytes::from_static(b"pong")).unwrap();
    request.reply.finish().unwrap();
    let mut answer_text = String::new();
    duplex.read_to_string(&mut answer_text).await.unwrap();
    assert_eq!(answer_text, "pong");

    let tunnel = open(channel);
    answer(&mut gateway.request().await, 403, OK);
    let Ok(Tunnel::Refused(reply)) = tunnel.await.unwrap() else { panic!("not refused") };
    assert_eq!(reply.head.status(), 403);
    assert_eq!(text(reply.body).await, OK);
}

#[tokio::test]
async fn a_request_waits_for_a_gateway_that_comes_up() {
    let ca = Ca::new("our CA");
    let address = nobody().await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(address)]));
    let status = until(&channel, |status| matches!(status.state, State::Waiting { .. })).await;
    assert_eq!(status.last_failure.unwrap().0.code(), "SC-TCP-REFUSED");

    let exchange = get(&channel, Replay::Never);
    let mut gateway = TestGateway::on(TcpListener::bind(address).await.unwrap(), ca.server());
    channel.network_changed();
    answer(&mut gateway.request().await, 200, OK);
    let reply = exchange.await.unwrap().unwrap();
    assert!(!reply.timings.resent);
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_may() {
    // Accepts, and never says a word.
    let server = serve(|tcp| async move {
        let _keep = tcp;
        std::future::pending::<()>().await;
    })
    .await;
    let ca = Ca::new("our CA");
    let wait = Duration::from_millis(50);
    let gateways = vec![ca.gateway_at(server.address)];
    let channel = Channel::start(ChannelConfig { wait, ..ChannelConfig::new(gateways) });
    let failed = error(get(&channel, Replay::Never).await.unwrap());
    let ExchangeError::NotConnected { why: None, retry_after: Some(_) } = failed else {
        panic!("{failed}")
    };

    // When nothing will be tried in time, it does not wait at all.
    channel.set_gateways(vec![ca.gateway_at(nobody().await)]);
    until(&channel, |status| matches!(status.state, State::Waiting { .. })).await;
    let failed = error(get(&channel, Replay::Never).await.unwrap());
    let ExchangeError::NotConnected { why: Some(why), retry_after: Some(after) } = failed else {
        panic!("{failed}")
    };
    assert_eq!(why.code(), "SC-TCP-REFUSED");
    assert!(after >= Duration::from_secs(1) && after <= Duration::from_secs(2), "{after:?}");
}

#[tokio::test]
async fn while_off_or_stopped_a_request_fails_at_once() {
    let ca = Ca::new("our CA");
    let gateway = TestGateway::start(ca.server()).await;
    let forever = Duration::from_secs(1_000_000);
    let config = |gateways| ChannelConfig { wait: forever, ..ChannelConfig::new(gateways) };

    let gateways = vec![ca.gateway_at(gateway.address)];
    let off = Channel::start(ChannelConfig { connect: false, ..config(gateways) });
    let refused = error(get(&off, Replay::Never).await.unwrap());
    let nothing = matches!(refused, ExchangeError::NotConnected { why: None, retry_after: None });
    assert!(nothing, "{refused}");
    off.connect();
    until(&off, |status| matches!(status.state, State::Connected { .. })).await;
    off.disconnect();
    until(&off, |status| matches!(status.state, State::Off)).await;
    assert!(matches!(
        error(get(&off, Replay::Never).await.unwrap()),
        ExchangeError::NotConnected { why: None, retry_after: None }
    ));

    let wrong_ca = vec![Ca::new("another CA").gateway_at(gateway.address)];
    let channel = Channel::start(config(wrong_ca));
    assert_eq!(failed(&channel).await.code(), "SC-CERT-CA");
    let refused = error(get(&channel, Replay::Never).await.unwrap());
    let ExchangeError::NotConnected { why: Some(why), retry_after: Some(after) } = refused else {
        panic!("{refused}")
    };
    assert_eq!(why.code(), "SC-CERT-CA");
    assert!(after <= Duration::from_secs(10), "it is tried again: {after:?}");

    let none = Channel::start(config(vec![]));
    assert_eq!(failed(&none).await.code(), "SC-NO-GATEWAY");
}

#[tokio::test]
async fn the_next_gateway_is_tried_before_waiting() {
    let ca = Ca::new("our CA");
    let gateway = TestGateway::start(ca.server()).await;
    let dead = GatewayConfig { name: "dead".into(), ..ca.gateway_at(nobody().await) };
    let good = ca.gateway_at(gateway.address);
    let good = GatewayConfig { name: "good".into(), priority: 1, ..good };
    let channel = Channel::start(ChannelConfig::new(vec![good, dead]));
    let mut status = channel.status();
    loop {
        match &status.borrow_and_update().state {
            State::Connected { gateway, .. } => break assert_eq!(gateway, "good"),
            State::Waiting { .. } | State::Stopped { .. } => panic!("gave up too early"),
            _ => {}
        }
        status.changed().await.unwrap();
    }
    assert_eq!(status.borrow().last_failure.as_ref().unwrap().0.code(), "SC-TCP-REFUSED");
}

#[tokio::test]
async fn other_gateways_take_over_and_what_runs_may_finish() {
    let ca = Ca::new("our CA");
    let mut first = TestGateway::start(ca.server()).await;
    let mut second = TestGateway::start(ca.server()).await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(first.address)]));
    let old = get(&channel, Replay::Never);
    let mut running = first.request().await;

    // The same place under another name: the connection stays.
    let renamed = GatewayConfig { name: "renamed".into(), ..ca.gateway_at(first.address) };
    channel.set_gateways(vec![renamed]);
    until(
        &channel,
        |status| matches!(&status.state, State::Connected { gateway, .. } if gateway == "renamed"),
    )
    .await;
    assert_eq!(first.connections(), 1);

    channel.set_gateways(vec![ca.gateway_at(second.address)]);
    let address = second.address;
    until(
        &channel,
        |status| matches!(&status.state, State::Connected { address: a, .. } if *a == address),
    )
    .await;
    let new = get(&channel, Replay::Never);
    answer(&mut second.request().await, 200, "new");
    assert_eq!(text(new.await.unwrap().unwrap().body).await, "new");
    answer(&mut running, 200, "old");
    assert_eq!(text(old.await.unwrap().unwrap().body).await, "old");
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let (channel, mut gateway) = pair().await;
    let running = get(&channel, Replay::Never);
    let mut request = gateway.request().await;
    let drain = {
        let channel = channel.clone();
        tokio::spawn(async move { channel.drain(Duration::from_secs(600)).await })
    };
    until(&channel, |status| matches!(status.state, State::Draining)).await;
    let failed = error(get(&channel, Replay::Idempotent).await.unwrap());
    assert!(matches!(failed, ExchangeError::Draining), "{failed}");
    answer(&mut request, 200, OK);
    assert_eq!(text(running.await.unwrap().unwrap().body).await, OK);
    drain.await.unwrap();
    assert!(matches!(channel.status().borrow().state, State::Ended));
    let failed = error(get(&channel, Replay::Idempotent).await.unwrap());
    assert!(matches!(failed, ExchangeError::Draining), "{failed}");
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let (channel, mut gateway) = pair().await;
    let running = get(&channel, Replay::Idempotent);
    let _request = gateway.request().await;
    channel.drain(Duration::from_millis(20)).await;
    let failed = error(running.await.unwrap());
    assert!(matches!(failed, ExchangeError::Draining), "{failed}");
}

#[tokio::test]
async fn the_last_handle_takes_the_connection_with_it() {
    let (channel, mut gateway) = pair().await;
    let mut status = channel.status();
    let (_filler, body) = Body::new();
    let exchange = post(&channel, body, Replay::Never);
    let mut request = gateway.request().await;
    request.reply.reply(ReplyHead::new(200), false).unwrap();
    let mut reply = exchange.await.unwrap().unwrap();
    drop(channel);
    assert!(matches!(reply.body.data().await, Some(Err(StreamError::Lost(_)))));
    let _ = status.wait_for(|status| matches!(status.state, State::Ended)).await.unwrap();
}

/// A server that completes the handshake and then does as `then` says.
async fn tls_server<F>(
    tls: Arc<ServerConfig>,
    then: impl Fn(tokio::net::TcpStream, seacat_link::Session) -> F + Copy + Send + Sync + 'static,
) -> testing::Server
where
    F: Future<Output = ()> + Send + 'static,
{
    serve(move |tcp| {
        let tls = tls.clone();
        async move {
            if let Ok((tcp, session)) = seacat_link::handshake_server(tcp, tls).await {
                then(tcp, session).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_https_server_is_recognised() {
    let ca = Ca::new("our CA");
    let server = tls_server(ca.server(), |mut tcp, session| async move {
        // Whether there is another kind is for the features of all crates together to say.
        #[allow(irrefutable_let_patterns)]
        let seacat_link::Session::Rustls(mut session) = session else {
            unreachable!("the server is rustls");
        };
        // What a web server says when it has been told something that is not HTTP.
        let page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        std::io::Write::write_all(&mut session.writer(), page).unwrap();
        let mut records = Vec::new();
        session.write_tls(&mut records).unwrap();
        tcp.write_all(&records).await.unwrap();
        let _ = tcp.read_to_end(&mut records).await;
    })
    .await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(server.address)]));
    let why = failed(&channel).await;
    assert_eq!(why.to_string(), "this is an HTTPS server, not a SeaCat gateway");
    assert_eq!(why.code(), "SC-HTTPS-SERVER");
}

#[tokio::test]
async fn a_gateway_that_wants_a_certificate_is_understood_in_tls_1_3_too() {
    install_provider();
    let ca = Ca::new("our CA");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der()).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (chain, key) = ca.identity(&leaf("x", &[testing::HOST]));
    let tls = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    let gateway = TestGateway::start(Arc::new(tls)).await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(gateway.address)]));
    let why = failed(&channel).await;
    assert_eq!(why.code(), "SC-CLIENT-CERT", "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_ping_is_given_up() {
    let ca = Ca::new("our CA");
    let server = tls_server(ca.server(), |mut tcp, _session| async move {
        let mut swallowed = Vec::new();
        let _ = tcp.read_to_end(&mut swallowed).await;
    })
    .await;
    let channel = Channel::start(ChannelConfig::new(vec![ca.gateway_at(server.address)]));
    let status = until(&channel, |status| matches!(status.state, State::Waiting { .. })).await;
    assert_eq!(status.last_failure.unwrap().0.code(), "SC-GATEWAY-SILENT");
}

#[tokio::test]
async fn settings_that_cannot_be_used_hold_the_channel_until_they_can() {
    let ca = Ca::new("our CA");
    let (listener, address) = listen().await;
    let _gateway = TestGateway::on(listener, ca.server());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let trust = Trust { roots: Roots::File(file.clone()), pins: vec![] };
    let gateway = GatewayConfig { trust, ..ca.gateway_at(address) };
    let channel = Channel::start(ChannelConfig::new(vec![gateway]));
    assert_eq!(failed(&channel).await.code(), "SC-GATEWAY-CONFIG");

    std::fs::write(&file, ca.pem()).unwrap();
    channel.connect();
    until(&channel, |status| matches!(status.state, State::Connected { .. })).await;
}
