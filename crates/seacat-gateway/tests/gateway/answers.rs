//! The gateway against the table of answers that servers really send (answer_rows.rs).

use seacat_link::StreamError;
use seacat_proto::Reason;

use crate::answer_rows::Becomes::{Passes, Refused, Torn};
use crate::answer_rows::{MENDED, PASSES, REFUSED, Row, Then};
use crate::support::*;

/// A gateway whose back end answers like this, and a client that has agreed on the extensions.
async fn answered_by(answer: &'static str, then: Then) -> (seacat_gateway::Demo, Client) {
    let addr = origin(move |mut socket| async move {
        while socket.head().await.is_some() {
            socket.write(answer).await;
            if then == Then::Closes {
                return;
            }
        }
    });
    let demo = gateway(addr.await);
    let client = Client::connect(&demo).await;
    client.get("nobody", "/").await.unwrap();
    (demo, client)
}

#[test]
fn every_row_becomes_what_the_table_says() {
    scenario(async {
        let rows: Vec<&Row> = [PASSES, MENDED, REFUSED].into_iter().flatten().collect();
        assert!(rows.len() >= 60, "{} rows", rows.len());
        for (name, answer, then, becomes) in rows {
            let (_demo, client) = answered_by(answer, *then).await;
            let (_, mut stream) = client.link.open(request("GET", "app", "/", &[]), true).unwrap();
            let got = match stream.reply().await {
                Ok(head) => Ok((head_text(&head), body(&mut stream).await)),
                Err(error) => Err(error),
            };
            match (becomes, got) {
                (Passes(head, text), Ok((got, Ok(body)))) => {
                    assert_eq!(got, *head, "{name}");
                    assert_eq!(body, text.as_bytes(), "{name}");
                }
                (Refused(why), Ok((got, Ok(body)))) => {
                    assert!(got.starts_with("502 | "), "{name}: {got}");
                    let details = got.split("Proxy-Status: seacat-gateway; error=").nth(1);
                    assert!(details.is_some_and(|it| it.contains(why)), "{name}: {got}");
                    let text = String::from_utf8(body).unwrap();
                    assert!(text.contains(why), "{name}: {text}");
                }
                (Torn, Err(error) | Ok((_, Err(error)))) => {
                    let torn = matches!(error, StreamError::Reset(Reason::INTERNAL_ERROR));
                    assert!(torn, "{name}: {error}");
                }
                (_, got) => panic!("{name}: {got:?}"),
            }
        }
    });
}

/// Status, phrase and fields in one line.
fn head_text(head: &seacat_proto::ReplyHead) -> String {
    let mut text = head.status().to_string();
    if let Some(reason) = head.reason() {
        text.push_str(&format!(" {}", std::str::from_utf8(reason).unwrap()));
    }
    match fields(head).as_str() {
        "" => text,
        fields => format!("{text} | {fields}"),
    }
}

/// Heads are bounded by their bytes, not by the number of fields.
#[test]
fn heads_of_many_fields_pass_and_long_ones_are_refused_by_name() {
    scenario(async {
        for (count, length, becomes) in [
            (120, 1, Ok(120)),
            (900, 1, Ok(900)),
            (45, 400, Err("does not fit into 16 KiB")),
            (200, 400, Err("exceeds 64 KiB")),
        ] {
            let value = "x".repeat(length);
            let list: String = (0..count).map(|n| format!("X-{n}: {value}\r\n")).collect();
            let text = format!("HTTP/1.1 200 OK\r\n{list}Content-Length: 0\r\n\r\n");
            let demo = gateway(answering(text.leak()).await);
            let answer = Client::connect(&demo).await.get("app", "/").await.unwrap();
            match becomes {
                Ok(many) => assert_eq!(answer.fields.split(" | ").count(), many + 1),
                Err(why) => {
                    assert!(answer.status == 502 && answer.body.contains(why), "{why}");
                }
            }
        }
    });
}
