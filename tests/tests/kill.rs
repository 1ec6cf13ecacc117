//! The gateway dies without a word under load and comes back five seconds later.
//!
//! Every request in flight must end within a second with an honest answer, or be carried over:
//! the retry rule sends again, once, what was certainly not processed or is idempotent without
//! a body, and such a request, like one that arrives during the outage, waits for the channel for
//! at most the ten seconds of the configuration. Nothing else may be sent twice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Ending, Kind, Load, RequestRecord, World, posts_seen};

/// How long the gateway stays away.
const OUTAGE: Duration = Duration::from_secs(5);
/// What ends by an error ends within this time of the kill.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a request waits for the channel (the default of `channel.wait`), and a little more
/// for a busy machine.
const WAITED: Duration = Duration::from_millis(11_500);
/// How long service may take to be back for everyone, from the gateway's return.
const BACK: Duration = Duration::from_secs(30);

/// How many clients of each kind.
const CLIENTS: [(Kind, usize); 5] =
    [(Kind::Quick, 16), (Kind::Slow, 8), (Kind::Post, 8), (Kind::Upload, 4), (Kind::Download, 4)];

#[test]
fn gateway_killed_under_load() {
    let mut world = World::start();
    world.origin.take_seen();
    let load = Load::start(world.proxy.port(), &CLIENTS);
    load.wait_for_each(2, Duration::from_secs(30));

    // Before the signal: what it breaks may end before the call returns.
    let killed = Instant::now();
    world.gateway.process().kill();
    // The outage is the story itself, not a way to wait for something.
    thread::sleep(OUTAGE);
    world.gateway.restart();
    let returned = Instant::now();
    load.wait_for_each(2, BACK);
    let back = returned.elapsed();
    let records = load.stop();

    tally(&records, killed, returned);
    println!("every client had two more good answers {:.1} s after the return", back.as_secs_f64());
    let first = records.iter().filter(|l| l.ending == Ending::Answered && l.ended > returned);
    let first = first.map(|l| l.ended).min().unwrap();
    println!("the first good answer came {:.2} s after it", (first - returned).as_secs_f64());
    for record in &records {
        check(record, killed, returned);
    }
    let (posts, twice) = posts_seen(&world.origin);
    println!("{posts} numbered POSTs reached the origin, {} of them twice", twice.len());
    assert!(posts > 0);
    assert_eq!(twice, [""; 0]);
}

/// The rules, for one request.
fn check(record: &RequestRecord, killed: Instant, returned: Instant) {
    let took = record.ended - record.began;
    let in_flight = record.began < killed && record.ended >= killed;
    let at_once = record.ended.saturating_duration_since(killed) <= AT_ONCE;
    // What was on its way is sent again only if it is idempotent; what came later just waits.
    let may_wait = !in_flight || !record.kind.has_body();
    let fine = match &record.ending {
        // Also by being carried over: a wait, and then the time it takes anyway.
        Ending::Answered => took <= WAITED + record.kind.takes(),
        Ending::Honest(502..=504, code) if record.ended >= killed => {
            code.starts_with("SC-") && ((in_flight && at_once) || (may_wait && took <= WAITED))
        }
        // The head had been passed on; nothing but the end of the connection can say it now.
        Ending::CutShort => in_flight && at_once,
        Ending::Honest(..) | Ending::Bad(_) => false,
    };
    assert!(
        fine,
        "{:?}: {:?}, began {:+.3} s, ended {:+.3} s from the kill (return at {:+.3} s)",
        record.kind,
        record.ending,
        signed(record.began, killed),
        signed(record.ended, killed),
        signed(returned, killed),
    );
}

fn tally(records: &[RequestRecord], killed: Instant, returned: Instant) {
    let mut table: BTreeMap<(&str, Kind, String), (usize, Duration)> = BTreeMap::new();
    for RequestRecord { kind, began, ended, ending } in records {
        let when = match () {
            () if *ended < killed => "1 before the kill",
            () if *began < killed => "2 in flight at the kill",
            () if *began < returned => "3 arrived during the outage",
            () => "4 after the return",
        };
        let how = match ending {
            Ending::Honest(status, code) => format!("{status} {code}"),
            other => format!("{other:?}"),
        };
        let (count, longest) = table.entry((when, *kind, how)).or_default();
        *count += 1;
        // From the kill for what was in flight, from its own beginning for all others.
        let since = if *began < killed && *ended >= killed { killed } else { *began };
        *longest = (*longest).max(*ended - since);
    }
    println!("{:28} {:9} {:36} {:>6}  {:>9}", "when", "what", "ended", "count", "longest");
    for ((when, kind, how), (count, longest)) in table {
        let kind = format!("{kind:?}");
        println!("{when:28} {kind:9} {how:36} {count:6}  {:7.3} s", longest.as_secs_f64());
    }
}

fn signed(at: Instant, zero: Instant) -> f64 {
    at.saturating_duration_since(zero).as_secs_f64()
        - zero.saturating_duration_since(at).as_secs_f64()
}
