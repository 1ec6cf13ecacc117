//! The gateway is restarted again and again under a mixed load: gracefully, and by force.
//!
//! A graceful restart (SIGTERM, then the same gateway again) fails no request: what was begun is
//! finished by the old process, everything else waits for the new one. A kill fails only requests
//! that the gateway may have processed, with an error that says that, and no request that is not
//! idempotent is processed twice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a story fails where it cannot go on, and says what it measured"
)]

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Ending, Kind, Load, RequestRecord, World, posts_seen};

/// How often the gateway is restarted in each test, unless the variable names another number: a
/// round takes about three seconds.
const ROUNDS: usize = 12;
const ROUNDS_VARIABLE: &str = "SEACAT_RESTARTS";

/// Enough that every kind is under way at every restart, and few enough that two processors are
/// not what the requests wait for.
const CLIENTS: [(Kind, usize); 6] = [
    (Kind::Quick, 4),
    (Kind::Slow, 4),
    (Kind::Post, 4),
    (Kind::Upload, 2),
    (Kind::Download, 2),
    (Kind::Poll, 2),
];

/// How long a gateway takes to finish what was begun: as long as the longest request, on a busy
/// machine, and less than its drain timeout of ten seconds, after which it would cut requests.
const DRAINED: Duration = Duration::from_secs(9);

/// How long the gateway is up between two rounds, at least. One that ends sooner is taken for one that
/// hangs up on its clients, and dialled less eagerly (`LASTING` in the channel's `state.rs`: 2 s).
const UP: Duration = Duration::from_millis(2200);

/// How long a round may take.
const ROUND: Duration = Duration::from_secs(60);

/// How long a request waits for the channel (the default of `channel.wait`), and a little more
/// for a busy machine.
const WAITED: Duration = Duration::from_millis(11_500);

/// The longest median of the times from the gateway's return to the first answer. A fifth of a second is
/// promised, which is the longest pause between two dials; a busy machine takes some more to dial.
const DEAD_TIME: Duration = Duration::from_millis(300);

#[test]
fn graceful_restarts_fail_no_request() {
    let mut world = World::start();
    let outcome = restart_under_load(&mut world, |world| {
        world.gateway.process().signal("TERM");
        world.gateway.process().wait_to_end(DRAINED);
    });
    outcome.print("graceful restarts");
    for record in &outcome.records {
        assert_eq!(record.ending, Ending::Answered, "{record:?}");
    }
    outcome.no_post_was_processed_twice();
}

#[test]
fn kills_fail_only_what_may_have_been_processed() {
    let mut world = World::start();
    let outcome = restart_under_load(&mut world, |world| world.gateway.process().kill());
    outcome.print("kills");
    for record in &outcome.records {
        let took = record.ended - record.began;
        let in_flight = outcome.outages.iter().any(|it| record.is_in_flight_at(it.gone));
        let accounted = match &record.ending {
            Ending::Answered => true,
            Ending::Honest(502, code) => code == "SC-LOST" && in_flight,
            Ending::Honest(503, code) => code.starts_with("SC-") && took <= WAITED && in_flight,
            // The head had been passed on: only the end of the connection can report the loss.
            Ending::CutShort => in_flight,
            Ending::Honest(..) | Ending::Bad(_) => false,
        };
        assert!(accounted, "{record:?}");
    }
    outcome.no_post_was_processed_twice();
    let times = outcome.dead_times();
    let median = times[times.len() / 2];
    assert!(median <= DEAD_TIME, "{median:?}");
}

/// When the gateway was ended, and when it accepted connections again.
struct Outage {
    gone: Instant,
    back: Instant,
}

struct Outcome {
    records: Vec<RequestRecord>,
    outages: Vec<Outage>,
    /// How many numbered POSTs the origin processed, and which of them twice.
    posts: (usize, Vec<String>),
}

/// Restarts the gateway under load. Between two rounds every client has been answered.
fn restart_under_load(world: &mut World, end: fn(&mut World)) -> Outcome {
    let rounds = env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |text| text.parse().expect("a number"));
    world.origin.take_seen();
    let load = Load::start(world.proxy.port(), &CLIENTS);
    let mut outages = Vec::new();
    for _ in 0..rounds {
        let up = Instant::now() + UP;
        load.wait_for_each(1, ROUND);
        thread::sleep(up.saturating_duration_since(Instant::now()));
        let gone = Instant::now();
        end(world);
        world.gateway.restart();
        outages.push(Outage { gone, back: Instant::now() });
    }
    load.wait_for_each(1, ROUND);
    let records = load.stop();
    Outcome { records, outages, posts: posts_seen(&world.origin) }
}

impl Outcome {
    /// The times from the gateway's return to the first answer, sorted.
    fn dead_times(&self) -> Vec<Duration> {
        let first_after = |outage: &Outage| {
            let answered = self.records.iter().filter(|it| it.ending == Ending::Answered);
            let after = answered.filter(|it| it.ended >= outage.back);
            after.map(|it| it.ended - outage.back).min().expect("an answer")
        };
        let mut times: Vec<Duration> = self.outages.iter().map(first_after).collect();
        times.sort_unstable();
        times
    }

    fn no_post_was_processed_twice(&self) {
        let (count, twice) = &self.posts;
        assert!(*count > 0);
        assert_eq!(twice, &[""; 0]);
    }

    fn print(&self, what: &str) {
        let times = self.dead_times();
        let away: Duration = self.outages.iter().map(|it| it.back - it.gone).sum();
        println!(
            "{} {what}, {} requests; away for {:.2} s on average; first answer after the return: \
             median {:?}, longest {:?}; {} POSTs processed, {} of them twice",
            self.outages.len(),
            self.records.len(),
            away.as_secs_f64() / self.outages.len() as f64,
            times[times.len() / 2],
            times[times.len() - 1],
            self.posts.0,
            self.posts.1.len(),
        );
        let mut table: BTreeMap<(Kind, &Ending), usize> = BTreeMap::new();
        for record in &self.records {
            *table.entry((record.kind, &record.ending)).or_default() += 1;
        }
        for ((kind, ending), count) in table {
            println!("  {:9} {count:6}  {ending:?}", format!("{kind:?}"));
        }
    }
}
