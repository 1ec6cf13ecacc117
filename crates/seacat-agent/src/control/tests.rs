#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use seacat_channel::{Channel, ChannelConfig, NetworkConfig};
use seacat_proxy::{AccessLog, Proxy, ProxyConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use super::server::converse;
use super::*;
use crate::config::schema::Config;
use crate::controller::Command;
use crate::diagnose::request::OwnRequests;
use crate::history::History;

/// A desk whose controller answers every wish with `Done`, and the sending ends of its news.
struct Office {
    desk: Desk,
    status: watch::Sender<Arc<StatusView>>,
    wishes: mpsc::UnboundedReceiver<Request>,
}

fn office() -> Office {
    let (commands, mut inbox) = mpsc::channel::<Command>(1);
    let (status, watching) = watch::channel(Arc::new(StatusView::default()));
    let (said, wishes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Command { request, reply }) = inbox.recv().await {
            said.send(request).unwrap();
            let _ = reply.send(Answer::Done);
        }
    });
    let running = Running {
        config: Config::default(),
        gateways: vec![],
        network: NetworkConfig::default(),
        environment: vec![],
        channel: Channel::start(ChannelConfig::new(vec![])),
    };
    // What it says never changes, so its sending end may go.
    let (_, running) = watch::channel(Arc::new(running));
    let own = OwnRequests::default();
    let history = History::open(&std::env::temp_dir().join("no such folder"), true);
    let access = access_log();
    let desk = Desk { commands, status: watching, access, running, own, history };
    Office { desk, status, wishes }
}

/// The log of a proxy that nobody uses.
fn access_log() -> AccessLog {
    let config = ProxyConfig { listen: vec![([127, 0, 0, 1], 0).into()], ..Default::default() };
    let channel = Channel::start(ChannelConfig::new(vec![]));
    Proxy::bind(config, channel).unwrap().access_log()
}

fn socket_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");
    (folder, path)
}

#[tokio::test]
async fn wishes_reach_the_controller_and_answers_come_back() {
    let (_folder, path) = socket_path();
    let mut office = office();
    tokio::spawn(serve(Listener::bind(&path).unwrap(), office.desk));
    let mut client = Client::connect(&path).await.unwrap();
    for request in [Request::Connect, Request::Disconnect, Request::Stop] {
        assert_eq!(client.ask(request.clone()).await.unwrap(), Answer::Done);
        assert_eq!(office.wishes.recv().await, Some(request));
    }
}

#[tokio::test]
async fn a_watcher_sees_every_change_until_the_proxy_ends() {
    let (_folder, path) = socket_path();
    let office = office();
    tokio::spawn(serve(Listener::bind(&path).unwrap(), office.desk));
    let mut client = Client::connect(&path).await.unwrap();
    let sentence = |answer| match answer {
        Answer::Status { status } => status.sentence,
        other => panic!("{other:?}"),
    };
    assert_eq!(sentence(client.ask(Request::Watch).await.unwrap()), "");
    for n in ["one", "two"] {
        office
            .status
            .send_replace(Arc::new(StatusView { sentence: n.into(), ..Default::default() }));
        assert_eq!(sentence(client.next().await.unwrap().unwrap()), n);
    }
    drop(office.status);
    assert_eq!(client.next().await.unwrap(), None);
}

/// Lines that are not requests: each gets an explanation, and the conversation ends.
#[tokio::test]
async fn rubbish_is_answered_and_ends_the_conversation() {
    let long = format!("{{\"v\":1,\"do\":\"{}\"}}\n", "x".repeat(lines::MAX_LINE));
    for (line, message) in [
        ("{\"v\":2,\"do\":\"status\"}\n", "speaks version 2"),
        ("{\"v\":1,\"do\":\"explode\"}\n", "unknown variant"),
        ("{\"do\":\"status\"}\n", "missing field `v`"),
        ("GET / HTTP/1.1\n", "expected value"),
        (&long, "too long"),
        ("{\"v\":1,\"do\":\"sta", "cut off"),
    ] {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let office = office();
        let server = tokio::spawn(converse(server, office.desk));
        client.write_all(line.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        assert!(said.contains("\"is\":\"error\"") && said.contains(message), "{said}");
        server.await.unwrap().unwrap();
    }
}

/// In whatever pieces lines arrive, each is answered; a long one as well.
#[tokio::test]
async fn lines_come_in_pieces_and_together() {
    let file = Secret::new(vec![b'k'; 64 * 1024]);
    let import = Request::ImportIdentity { file, password: Some(Secret::new(b"p".to_vec())) };
    let import = serde_json::to_string(&Envelope { v: VERSION, body: import }).unwrap();
    let said = format!("{{\"v\":1,\"do\":\"connect\"}}\n{import}\n{{\"v\":1,\"do\":\"stop\"}}\n");
    for piece in [1000, said.len()] {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut office = office();
        let server = tokio::spawn(converse(server, office.desk));
        for piece in said.as_bytes().chunks(piece) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.shutdown().await.unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        let kinds: Vec<&str> = answers.lines().map(|line| &line[..18]).collect();
        // No identity here, hence the error.
        assert_eq!(
            kinds,
            [r#"{"v":1,"is":"done""#, r#"{"v":1,"is":"error"#, r#"{"v":1,"is":"done""#]
        );
        assert_eq!(office.wishes.recv().await, Some(Request::Connect));
        assert_eq!(office.wishes.recv().await, Some(Request::Stop));
        server.await.unwrap().unwrap();
    }
}

#[test]
fn the_protocol_as_written_down() {
    let line = serde_json::to_string(&Envelope { v: VERSION, body: Request::Status }).unwrap();
    assert_eq!(line, r#"{"v":1,"do":"status"}"#);
    let line = serde_json::to_string(&Envelope { v: VERSION, body: Answer::Done }).unwrap();
    assert_eq!(line, r#"{"v":1,"is":"done"}"#);
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_told_from_one_that_does() {
    let (_folder, path) = socket_path();
    let _never_accepted = Listener::bind(&path).unwrap();
    let mut client = Client::connect(&path).await.unwrap();
    let error = client.ask(Request::Status).await.unwrap_err();
    assert!(matches!(error, ClientError::Silent(_)), "{error}");
}
