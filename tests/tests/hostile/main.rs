//! Ambiguous requests, and unusual valid ones: the response to each, and what of it reached the
//! origin. Nothing ambiguous may.
//!
//! After each row an ordinary request is sent the same way; when it has arrived, whatever the row
//! could have caused has arrived before it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

use std::time::Duration;

use rows::{Fate, ROWS, Row, long_rows};
use seacat_tests::{Proxy, Seen, World};

/// How long the proxy may take to answer a row. None of them has anything to wait for.
const ANSWER: Duration = Duration::from_secs(5);

mod answers;
mod rows;

/// What came back for a row.
struct Reply {
    statuses: Vec<u16>,
    code: Option<String>,
    ended: bool,
}

#[test]
fn nothing_ambiguous_is_forwarded() {
    let world = World::start();
    let via = via_name(&world);
    let short = ROWS.iter().map(|Row(what, bytes, fate)| (*what, (*bytes).to_owned(), fate));
    let long = long_rows();
    let long = long.iter().map(|(what, bytes, fate)| (*what, bytes.clone(), fate));
    let rows: Vec<_> = short.chain(long).collect();
    assert!(rows.len() >= 40);
    let mut wrong = Vec::new();
    println!("{:30} {:12} {:20} {:6} passed on", "request", "answer", "code", "ended");
    for (what, bytes, fate) in &rows {
        let bytes = bytes
            .replace("{o}", "http://origin.seacat")
            .replace("{port}", &world.proxy.port().to_string())
            .replace("{via}", &via)
            .replace('~', "\r\n");
        let reply = send(&world.proxy, &bytes, matches!(fate, Fate::Dropped));
        let seen = passed_on(&world);
        let statuses: Vec<String> = reply.statuses.iter().map(u16::to_string).collect();
        println!(
            "{what:30} {:12} {:20} {:6} {}",
            statuses.join(" "),
            reply.code.as_deref().unwrap_or("-"),
            if reply.ended { "yes" } else { "no" },
            seen.len()
        );
        if let Err(why) = verify(fate, &reply, &seen) {
            wrong.push(format!("{what}: {why}"));
        }
    }
    println!("{} rows", rows.len());
    assert!(wrong.is_empty(), "{} rows went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The rows that name no host of the gateway, on a direct route: each has the same fate.
#[test]
fn nothing_ambiguous_is_forwarded_on_a_direct_route() {
    let world = World::start();
    let route = "\n[[route]]\npattern = \"127.0.0.1\"\nto = \"direct\"\n";
    let (port, ca) = (world.gateway.port(), world.gateway.ca());
    let proxy = Proxy::start_with(port, &ca, "origin", route);
    let origin = format!("http://127.0.0.1:{}", world.origin.port());
    let rows = ROWS.iter().filter(|Row(_, bytes, _)| bytes.contains("{o}"));
    let rows =
        rows.filter(|Row(_, bytes, _)| !bytes.contains("seacat") && !bytes.contains("{via}"));
    let (mut count, mut wrong) = (0, Vec::new());
    for Row(what, bytes, fate) in rows {
        let bytes = bytes.replace("{o}", &origin).replace('~', "\r\n");
        let bytes = bytes.replace("{port}", &proxy.port().to_string());
        let reply = send(&proxy, &bytes, matches!(fate, Fate::Dropped));
        if let Err(why) = verify(fate, &reply, &passed_on(&world)) {
            wrong.push(format!("{what}: {why}"));
        }
        count += 1;
    }
    println!("{count} rows on a direct route");
    assert!(count >= 60, "{count} rows");
    assert!(wrong.is_empty(), "{} rows went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Is the reply, and what the origin saw, what is due?
fn verify(fate: &Fate, reply: &Reply, seen: &[Seen]) -> Result<(), String> {
    let statuses = &reply.statuses;
    let expect = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
    if let Some(seen) = seen.iter().find(|seen| seen.ambiguous) {
        return Err(format!("AMBIGUOUS at the origin: {:?}", seen.head));
    }
    let answered = |due: &[u16], code: Option<&str>| {
        expect(statuses == due, format!("{due:?} is due, {statuses:?} came"))?;
        let found = reply.code.as_deref();
        expect(code.is_none_or(|due| found == Some(due)), format!("{code:?} is due, not {found:?}"))
    };
    let ended = || expect(reply.ended, "the connection goes on".to_owned());
    if let Fate::Passes(due, with, without) = fate {
        let good = due.iter().filter(|status| **status < 400).count();
        expect(seen.len() == good, format!("{} requests passed, not {good}", seen.len()))?;
        for head in seen.iter().map(|seen| seen.head.to_lowercase()) {
            let missing = with.iter().find(|words| !head.contains(*words));
            expect(missing.is_none(), format!("{missing:?} is not in {head:?}"))?;
            let extra = without.iter().find(|words| head.contains(*words));
            expect(extra.is_none(), format!("{extra:?} is in {head:?}"))?;
        }
    } else {
        expect(seen.is_empty(), format!("passed on: {:?}", seen.first().map(|seen| &seen.head)))?;
    }
    match fate {
        Fate::Passes(due, ..) => answered(due, None).and_then(|()| ended()),
        Fate::Refused(status, code) => answered(&[*status], Some(code)).and_then(|()| ended()),
        Fate::Own(status, code) => answered(&[*status], Some(code)),
        Fate::Page(status) => answered(&[*status], None),
        Fate::Dropped => answered(&[], None)
            .or_else(|_| answered(&[400], Some("SC-BODY-CUT")))
            .and_then(|()| ended()),
    }
}

/// Sends a row on a connection of its own and reads all answers. `finish`: nothing more will come
/// from us, and the proxy detects it.
fn send(proxy: &Proxy, bytes: &str, finish: bool) -> Reply {
    let mut client = proxy.client();
    client.set_patience(ANSWER);
    // A refused request may be answered, and its connection ended, before it has been sent.
    let _ = client.send(bytes.as_bytes());
    if finish {
        client.finish().unwrap();
    }
    let method = bytes.trim_start().split(' ').next().unwrap_or_default();
    let mut reply = Reply { statuses: Vec::new(), code: None, ended: false };
    while let Ok(answer) = client.answer(method) {
        reply.statuses.push(answer.status);
        reply.code = answer.code().or(reply.code);
    }
    let ended = client.has_ended();
    reply.ended = ended;
    reply
}

/// What a row caused at the origin: everything before the ordinary request behind it.
fn passed_on(world: &World) -> Vec<Seen> {
    let mark = world.proxy.client().get("http://origin.seacat/behind").expect("an answer");
    assert_eq!(mark.status, 200);
    let mut seen = world.origin.take_seen();
    let at = seen.iter().position(|seen| seen.line().starts_with("GET /behind "));
    seen.remove(at.expect("the request behind has arrived"));
    seen
}

/// The name the proxy gives itself in Via.
fn via_name(world: &World) -> String {
    world.proxy.client().get("http://origin.seacat/").expect("an answer");
    let seen = world.origin.take_seen();
    let via = seen[0].fields("via").join(", ");
    let name = via.split(',').next().and_then(|first| first.split_whitespace().nth(1));
    name.unwrap_or_else(|| panic!("no name in Via: {via:?}")).to_owned()
}
