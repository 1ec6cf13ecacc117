//! Logins that a back end ties to its connection (NTLM): no requester is answered as another user.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seacat_gateway::Demo;
use seacat_link::{Link, LinkConfig};
use seacat_proto::{Extensions, RequestHead};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::*;

/// A server that logs connections in, in three steps as NTLM does, and answers with the user. Tells
/// of each connection that ends whose it was.
async fn server(report: mpsc::UnboundedSender<String>) -> SocketAddr {
    origin(move |mut socket| {
        let report = report.clone();
        async move {
            let (mut asked, mut user) = (String::new(), String::new());
            while let Some(head) = socket.head().await {
                if head.starts_with("POST") {
                    socket.read_until("body").await.unwrap();
                }
                if head.contains("/slow") {
                    // Long enough for the others to come in between.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let said = head.lines().find_map(|line| line.strip_prefix("Authorization: NTLM "));
                match said.and_then(|said| said.split_once(' ')) {
                    Some(("1", name)) => asked = name.to_owned(),
                    Some(("3", name)) if name == asked => user = name.to_owned(),
                    _ => {}
                }
                let (status, text) = match said.is_some_and(|said| said.starts_with('1')) {
                    false if !user.is_empty() => ("200 OK", user.as_str()),
                    _ => ("401 Unauthorized\r\nWWW-Authenticate: NTLM", "who are you?"),
                };
                let length = text.len();
                socket
                    .write(&format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{text}"))
                    .await;
            }
            // The test may be over.
            let _ = report.send(user);
        }
    })
    .await
}

/// A request on this connection of the application's.
fn on(application: Option<u32>, path: &str, said: Option<String>) -> RequestHead {
    let said = said.map(|said| format!("NTLM {said}"));
    let fields: Vec<_> = said.iter().map(|said| ("Authorization", said.as_str())).collect();
    let mut head = request("GET", "app", path, &fields);
    if let Some(application) = application {
        head.set_connection(application).unwrap();
    }
    head
}

async fn ask(link: &Link, head: RequestHead) -> String {
    let (_, mut answer) = link.open(head, true).unwrap();
    Answer::read(&mut answer).await.unwrap().body
}

/// The three steps; the answer to the last.
async fn log_in(link: &Link, application: Option<u32>, user: &str) -> String {
    assert_eq!(ask(link, on(None, "/", None)).await, "who are you?");
    let first = on(application, "/", Some(format!("1 {user}")));
    assert_eq!(ask(link, first).await, "who are you?");
    ask(link, on(application, "/", Some(format!("3 {user}")))).await
}

/// A client that knows the extension.
async fn knowing(demo: &Demo) -> Client {
    let client = Client::connect(demo).await;
    client.get("nobody", "/").await.unwrap();
    assert!(client.link.extensions().contains(Extensions::CONNECTIONS));
    client
}

#[test]
fn a_login_belongs_to_one_connection_of_one_application() {
    scenario(async {
        let (report, mut ended) = mpsc::unbounded_channel();
        let demo = gateway(server(report).await);
        let (anna, other) = (knowing(&demo).await, knowing(&demo).await);
        // Slow requests of another client come in between.
        let slow = {
            let link = other.link.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    assert_eq!(ask(&link, on(None, "/slow", None)).await, "who are you?");
                }
            })
        };
        assert_eq!(log_in(&anna.link, Some(7), "anna").await, "anna");
        for _ in 0..3 {
            assert_eq!(ask(&anna.link, on(Some(7), "/", None)).await, "anna");
            // Another connection of hers, a request without one, another computer.
            assert_eq!(ask(&anna.link, on(Some(8), "/", None)).await, "who are you?");
            assert_eq!(ask(&anna.link, on(None, "/", None)).await, "who are you?");
            assert_eq!(ask(&other.link, on(Some(7), "/", None)).await, "who are you?");
        }
        // What cannot be repeated goes to the same connection.
        let mut post = request("POST", "app", "/", &[("Content-Length", "4")]);
        post.set_connection(7).unwrap();
        let (mut body, mut answer) = anna.open(post);
        send(&mut body, "body").await.unwrap();
        body.finish().unwrap();
        assert_eq!(Answer::read(&mut answer).await.unwrap().body, "anna");
        slow.await.unwrap();
        // With the application's connection the back end's ends.
        anna.link.end_connection(7);
        while ended.recv().await.unwrap() != "anna" {}
        assert_eq!(ask(&anna.link, on(Some(7), "/", None)).await, "who are you?");
    });
}

#[test]
fn a_login_ends_with_its_client() {
    scenario(async {
        let (report, mut ended) = mpsc::unbounded_channel();
        let demo = gateway(server(report).await);
        let anna = knowing(&demo).await;
        assert_eq!(log_in(&anna.link, Some(7), "anna").await, "anna");
        anna.link.close();
        while ended.recv().await.unwrap() != "anna" {}
    });
}

/// A client without the extension cannot say which connection a request came on: its login fails,
/// and no other requester gets it.
#[test]
fn without_the_extension_a_login_is_never_shared() {
    scenario(async {
        let demo = gateway(server(mpsc::unbounded_channel().0).await);
        let (tcp, session) = handshake(demo.addr, anonymous(&demo.ca_pem)).await.unwrap();
        let mut config = LinkConfig::client();
        config.proto.extensions = Extensions::NONE;
        let (link, _incoming, driver) = Link::start(tcp, session, &config);
        tokio::spawn(driver);
        let stranger = knowing(&demo).await;
        for application in [Some(7), None] {
            assert_eq!(log_in(&link, application, "anna").await, "who are you?");
            assert_eq!(ask(&link, on(application, "/", None)).await, "who are you?");
            assert_eq!(ask(&stranger.link, on(None, "/", None)).await, "who are you?");
        }
    });
}

/// Twenty users on two computers at one time, ten thousand requests.
#[test]
fn no_answer_is_for_the_wrong_user() {
    const USERS: u32 = 20;
    const REQUESTS: usize = 500;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let demo = gateway(server(mpsc::unbounded_channel().0).await);
        let clients = Arc::new([knowing(&demo).await, knowing(&demo).await]);
        let mut users = JoinSet::new();
        for number in 0..USERS {
            let clients = Arc::clone(&clients);
            users.spawn(async move {
                let link = &clients[number as usize % 2].link;
                let user = format!("user{number}");
                assert_eq!(log_in(link, Some(number), &user).await, user);
                for turn in 0..REQUESTS {
                    // Some requests of the same computer have no login.
                    if turn % 10 == 0 {
                        assert_eq!(ask(link, on(None, "/", None)).await, "who are you?");
                    }
                    assert_eq!(ask(link, on(Some(number), "/", None)).await, user);
                }
            });
        }
        while let Some(user) = users.join_next().await {
            user.unwrap();
        }
    });
}
