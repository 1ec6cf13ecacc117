//! Every step meets every input, with each kind of certificate; the table is kept beside this
//! file. Then the rules one by one.

use std::fmt::Write as _;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const YEAR: i64 = 365 * 86_400;
/// A day in 2026.
const TODAY: i64 = 1_790_000_000;

fn validity(from: i64, to: i64) -> Validity {
    Validity { not_before: TODAY + from, not_after: TODAY + to }
}

fn show(step: Step, now: Now) -> String {
    let at = |at: Instant| match at.checked_duration_since(now.mono) {
        Some(rest) => format!("{} s", rest.as_secs_f64()),
        None => format!("{} s ago", (now.mono - at).as_secs_f64()),
    };
    match step {
        Step::Locked { again } => format!("Locked {}", at(again)),
        Step::NoKey { hold: Some(hold) } => format!("NoKey, hold {}", at(hold)),
        Step::NoKey { hold: None } => "NoKey".into(),
        Step::Idle { hold: Some(hold) } => format!("Idle, hold {}", at(hold)),
        Step::Idle { hold: None } => "Idle".into(),
        Step::Confirming { until } => format!("Confirming {}", at(until)),
        Step::Sent { until } => format!("Sent {}", at(until)),
        Step::Waiting { poll } => format!("Waiting {}", at(poll)),
        Step::Asked { until } => format!("Asked {}", at(until)),
        step => format!("{step:?}"),
    }
}

fn steps(then: Instant) -> Vec<(&'static str, Step)> {
    let until = then + 5 * SECOND;
    vec![
        ("Opening", Step::Opening),
        ("Locked", Step::Locked { again: until }),
        ("NoKey", Step::NoKey { hold: None }),
        ("NoKey, hold", Step::NoKey { hold: Some(until) }),
        ("Making", Step::Making),
        ("Idle", Step::Idle { hold: None }),
        ("Idle, hold", Step::Idle { hold: Some(until) }),
        ("Confirming", Step::Confirming { until }),
        ("Writing", Step::Writing),
        ("Ready", Step::Ready),
        ("Sent", Step::Sent { until }),
        ("Waiting", Step::Waiting { poll: until }),
        ("Asked", Step::Asked { until }),
        ("Installing", Step::Installing),
        ("Rejected", Step::Rejected),
        ("Deleting", Step::Deleting),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    let found =
        |mark, certificate| Input::Opened(Opened::Found { certificate, mark, last_try: None });
    let good = validity(-10, YEAR);
    vec![
        ("Opened, missing", Input::Opened(Opened::Missing)),
        ("Opened, locked", Input::Opened(Opened::Locked)),
        ("Opened, key alone", found(Mark::Idle, None)),
        ("Opened, certificate", found(Mark::Idle, Some(good))),
        ("Opened, ready", found(Mark::Ready, None)),
        ("Opened, waiting", found(Mark::Waiting, None)),
        ("Opened, rejected", found(Mark::Rejected, None)),
        ("Made", Input::Made(true)),
        ("Not made", Input::Made(false)),
        ("Written", Input::Written(true)),
        ("Not written", Input::Written(false)),
        ("LinkUp, presented", Input::LinkUp(LinkAuth::Certificate)),
        ("LinkUp, nothing", Input::LinkUp(LinkAuth::Nothing)),
        ("LinkUp, declined", Input::LinkUp(LinkAuth::Declined)),
        ("LinkDown", Input::LinkDown),
        ("Reply 0x00", Input::Reply(0)),
        ("Reply 0x01 stored", Input::Reply(1)),
        ("Reply 0x02", Input::Reply(2)),
        ("Reply 0x03 approved", Input::Reply(3)),
        ("Reply 0x04 rejected", Input::Reply(4)),
        ("Reply 0x07", Input::Reply(7)),
        ("Certificate", Input::Certificate),
        ("NotYet", Input::NotYet),
        ("NotFound", Input::NotFound),
        ("Installed", Input::Checked(Verdict::Installed(good))),
        ("Same", Input::Checked(Verdict::Same(good))),
        ("Wrong", Input::Checked(Verdict::Wrong)),
        ("NotStored", Input::Checked(Verdict::NotStored)),
        ("Refused", Input::Refused),
        ("Denied", Input::Denied),
        ("Enroll", Input::Enroll),
        ("Imported", Input::Imported(good)),
        ("Reset", Input::Reset),
        ("Deleted", Input::Deleted(true)),
        ("Not deleted", Input::Deleted(false)),
        ("Timer", Input::Timer),
    ]
}

/// The certificates that make a difference.
fn certificates() -> [(&'static str, Option<Validity>); 4] {
    [
        ("no certificate", None),
        ("a good certificate", Some(validity(-10, YEAR))),
        ("renewal due", Some(validity(-YEAR, 86_400))),
        ("an expired certificate", Some(validity(-YEAR, -86_400))),
    ]
}

fn at(mono: Instant) -> Now {
    Now { wall: TODAY, mono }
}

/// A connected machine with each certificate; one whose connection presented nothing, or that is not
/// connected; one that has waited.
fn table() -> String {
    let then = Instant::now() + 100 * PATIENCE;
    let mut table = String::new();
    let mut section =
        |age, label: &str, link: Option<LinkAuth>, name: &str, certificate: Option<Validity>| {
            let now = at(then + age);
            for (step_name, step) in steps(then) {
                let machine = Lifecycle {
                    step,
                    certificate: certificate.map(|validity| Held::found(validity, at(then))),
                    link,
                    checked: Some(then),
                    last_try: Some(then),
                    stored_since: Some(then),
                    ..Lifecycle::new(true)
                };
                writeln!(table, "{step_name} since {label}, {name}").unwrap();
                rows(&mut table, &machine, now);
            }
        };
    for (name, certificate) in certificates() {
        let link = match certificate {
            None => LinkAuth::Declined,
            Some(_) => LinkAuth::Certificate,
        };
        section(SECOND, "a second", Some(link), name, certificate);
    }
    let (good, nothing) = (Some(validity(-10, YEAR)), Some(LinkAuth::Nothing));
    section(SECOND, "a second", nothing, "a good certificate, not presented", good);
    section(SECOND, "a second", None, "not connected", None);
    section(PATIENCE, "eight hours", Some(LinkAuth::Declined), "connected", None);
    table
}

/// What each input leads to. Inputs that change nothing share the last line.
fn rows(table: &mut String, state: &Lifecycle, now: Now) {
    let mut idle = state.clone();
    let idle_actions = idle.handle(Input::Timer, now);
    let mut nothing = Vec::new();
    for (name, input) in inputs() {
        let mut machine = state.clone();
        let actions = machine.handle(input, now);
        let seen = |it: &Lifecycle| {
            let certificate = it
                .certificate
                .map(|it| (it.validity, it.refused.is_some(), it.unknown, it.confirmed.is_some()));
            (it.step, certificate, it.link, it.checked, it.stored)
        };
        let same = seen(&machine) == seen(&idle);
        if same && actions == idle_actions && input != Input::Timer {
            nothing.push(name);
            continue;
        }
        let mut outcome = show(machine.step, now);
        if machine.is_refused() {
            outcome += ", refused";
        }
        for (is_so, name) in [
            (machine.forgotten, ", forgotten"),
            (machine.certificate.is_some_and(|it| it.unknown), ", unknown"),
            (machine.confirmed().is_some(), ", confirmed"),
            (machine.stored, ", stored"),
        ] {
            outcome += if is_so { name } else { "" };
        }
        writeln!(table, "    {name:<20} -> {outcome:<24} {actions:?}").unwrap();
    }
    writeln!(table, "    as Timer: {}\n", nothing.join(" · ")).unwrap();
}

/// To accept a new table, run with `SEACAT_BLESS=1` and read the difference.
#[test]
fn every_step_meets_every_input() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/identity/lifecycle/table.txt");
    let table = table();
    print!("{table}");
    if std::env::var_os("SEACAT_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    for (line, (new, old)) in table.lines().zip(kept.lines()).enumerate() {
        assert_eq!(new, old, "line {} of {path}", line + 1);
    }
    assert_eq!(table.len(), kept.len(), "{path} has another length");
}

/// The reference client's whole first start, as a dialogue.
#[test]
fn from_no_key_to_enrolled() {
    let mut clock = Clock::new();
    let mut it = Lifecycle::new(true);
    let good = validity(0, YEAR);
    let mut say = |clock: &Clock, input| it.handle(input, clock.now());
    assert_eq!(say(&clock, Input::Opened(Opened::Missing)), [Action::MakeKey]);
    assert_eq!(say(&clock, Input::Made(true)), [Action::WriteCsr]);
    assert_eq!(say(&clock, Input::Written(true)), []);
    let sent = [Action::Remember(Mark::Ready), Action::SendCsr];
    assert_eq!(say(&clock, Input::LinkUp(LinkAuth::Nothing)), sent);
    assert_eq!(say(&clock, Input::Reply(1)), [Action::Remember(Mark::Waiting)]);
    clock.pass(POLL);
    assert_eq!(say(&clock, Input::Timer), [Action::Query]);
    assert_eq!(say(&clock, Input::NotYet), []);
    clock.pass(POLL / 2);
    assert_eq!(say(&clock, Input::Timer), []);
    clock.pass(POLL / 2);
    assert_eq!(say(&clock, Input::Timer), [Action::Query]);
    assert_eq!(say(&clock, Input::Certificate), [Action::Install]);
    let installed = Input::Checked(Verdict::Installed(good));
    assert_eq!(say(&clock, installed), [Action::Reconnect]);
    assert!(it.presents(clock.now()));
    assert_eq!(it.step(), Step::Idle { hold: None });
}

#[test]
fn a_csr_without_a_reply_is_sent_again_in_its_turn() {
    let mut clock = Clock::new();
    let mut it = ready(&clock);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    clock.pass(REPLY_LIMIT);
    assert_eq!(it.handle(Input::Timer, clock.now()), []);
    assert_eq!(it.step(), Step::Ready);
    assert_eq!(it.deadline(clock.now()), Some(clock.mono + PACE - REPLY_LIMIT));
    clock.pass(PACE - REPLY_LIMIT);
    let again = [Action::Remember(Mark::Ready), Action::SendCsr];
    assert_eq!(it.handle(Input::Timer, clock.now()), again);
}

#[test]
fn renewal_is_due_a_third_before_the_end_but_thirty_days_at_most() {
    const DAY: i64 = 86_400;
    for (life, before) in [
        (60, 20),
        (DAY, DAY / 3),
        (29 * DAY, 29 * DAY / 3),
        (30 * DAY, 10 * DAY),
        (90 * DAY, 30 * DAY),
        (YEAR, 30 * DAY),
        (0, 0),
        (-5, 0),
    ] {
        let it = validity(0, life);
        assert_eq!(it.not_after - it.renew_at(), before, "{life}");
    }
}

#[test]
fn a_rejected_request_waits_for_a_human() {
    let mut clock = Clock::new();
    let mut it = ready(&clock);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    it.handle(Input::Reply(4), clock.now());
    assert_eq!(it.step(), Step::Rejected);
    for _ in 0..1000 {
        clock.pass(LOOK_AGAIN);
        assert_eq!(it.handle(Input::Timer, clock.now()), []);
    }
    assert_eq!(it.deadline(clock.now()), None);
    assert_eq!(it.handle(Input::Enroll, clock.now()), [Action::WriteCsr]);
}

/// Dead battery, clock a year ahead: one request, not one a minute.
#[test]
fn a_certificate_that_is_old_on_its_first_day_tells_the_clock() {
    let mut clock = Clock::new();
    clock.wall += 2 * YEAR;
    let mut it = waiting(&clock);
    it.handle(Input::Certificate, clock.now());
    it.handle(Input::Checked(Verdict::Installed(validity(0, YEAR))), clock.now());
    assert!(it.presents(clock.now()));
    assert_eq!(it.step(), Step::Idle { hold: None });
    // Two thirds of a year later it is renewed as on any computer.
    for hour in 0.. {
        clock.pass(LOOK_AGAIN);
        if it.handle(Input::Timer, clock.now()) == [Action::WriteCsr] {
            assert_eq!(hour / 24, 365 - 30 - 1);
            break;
        }
    }
}

#[test]
fn a_refused_certificate_is_not_shown_again_and_another_is_asked_for() {
    let clock = Clock::new();
    let mut it = waiting(&clock);
    it.handle(Input::Certificate, clock.now());
    it.handle(Input::Checked(Verdict::Installed(validity(0, YEAR))), clock.now());
    let actions = it.handle(Input::Refused, clock.now());
    assert_eq!(actions, [Action::Reconnect, Action::WriteCsr]);
    assert!(!it.presents(clock.now()));
    assert_eq!(it.handle(Input::Refused, clock.now()), []);
}

#[test]
fn a_certificate_that_the_gateway_stands_by_is_shown_again() {
    let mut clock = Clock::new();
    let mut it = revoked(&mut clock);
    let own = validity(0, YEAR);
    assert_eq!(it.handle(Input::Certificate, clock.now()), [Action::Install]);
    let same = Input::Checked(Verdict::Same(own));
    assert_eq!(it.handle(same, clock.now()), [Action::Reconnect]);
    assert!(it.presents(clock.now()));
    // Refused again, it is asked for again in its turn: no loop.
    it.handle(Input::Refused, clock.now());
    it.handle(Input::Written(true), clock.now());
    assert_eq!(it.step(), Step::Ready);
    assert_eq!(it.deadline(clock.now()), Some(clock.mono + PACE));
}

/// An enrolled machine on a connection that has presented its certificate.
fn enrolled(clock: &Clock) -> Lifecycle {
    let mut it = waiting(clock);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    it.handle(Input::Certificate, clock.now());
    it.handle(Input::Checked(Verdict::Installed(validity(0, YEAR))), clock.now());
    it.handle(Input::LinkDown, clock.now());
    let asked = it.handle(Input::LinkUp(LinkAuth::Certificate), clock.now());
    assert_eq!(asked, [Action::Query]);
    it
}

fn confirmed(clock: &Clock) -> Lifecycle {
    let mut it = enrolled(clock);
    assert_eq!(it.handle(Input::Certificate, clock.now()), [Action::Install]);
    it.handle(Input::Checked(Verdict::Same(validity(0, YEAR))), clock.now());
    assert_eq!((it.step(), it.confirmed()), (Step::Idle { hold: None }, Some(clock.mono)));
    it
}

#[test]
fn the_gateway_is_asked_once_a_connection_and_every_hour() {
    let mut clock = Clock::new();
    let mut it = confirmed(&clock);
    assert_eq!(it.deadline(clock.now()), Some(clock.mono + LOOK_AGAIN));
    clock.pass(LOOK_AGAIN);
    assert_eq!(it.handle(Input::Timer, clock.now()), [Action::Query]);
    // No answer: nothing is concluded from that.
    clock.pass(ANSWER_LIMIT);
    assert_eq!(it.handle(Input::Timer, clock.now()), []);
    assert!(it.is_accepted(clock.now()));
}

/// Restored from a backup, or told to forget us.
#[test]
fn a_gateway_that_has_lost_us_is_asked_again_within_seconds() {
    let mut clock = Clock::new();
    let mut it = confirmed(&clock);
    it.handle(Input::LinkDown, clock.now());
    clock.pass(RECOVERY);
    it.handle(Input::LinkUp(LinkAuth::Certificate), clock.now());
    assert_eq!(it.handle(Input::NotFound, clock.now()), [Action::WriteCsr]);
    assert!(it.is_forgotten() && it.presents(clock.now()) && !it.is_accepted(clock.now()));
    let sent = [Action::Remember(Mark::Ready), Action::SendCsr];
    assert_eq!(it.handle(Input::Written(true), clock.now()), sent);
    it.handle(Input::Reply(1), clock.now());
    assert!(it.awaits_approval() && !it.is_forgotten());
    clock.pass(POLL);
    it.handle(Input::Timer, clock.now());
    it.handle(Input::Certificate, clock.now());
    it.handle(Input::Checked(Verdict::Installed(validity(1, YEAR))), clock.now());
    assert!(it.is_accepted(clock.now()));
}

/// It issues certificates, keeps none, and does not know what it has just issued.
#[test]
fn a_gateway_that_keeps_no_certificates_is_no_reason_to_ask_for_another() {
    let mut clock = Clock::new();
    let mut it = enrolled(&clock);
    for _ in 0..100 {
        assert_eq!(it.handle(Input::NotFound, clock.now()), []);
        assert!(it.is_accepted(clock.now()));
        clock.pass(LOOK_AGAIN);
        assert_eq!(it.handle(Input::Timer, clock.now()), [Action::Query]);
    }
}

#[test]
fn a_denied_request_makes_us_ask_but_not_all_the_time() {
    let mut clock = Clock::new();
    let mut it = confirmed(&clock);
    assert_eq!(it.handle(Input::Denied, clock.now()), []);
    clock.pass(DENIED_PACE);
    assert_eq!(it.handle(Input::Denied, clock.now()), [Action::Query]);
    assert_eq!(it.handle(Input::Denied, clock.now()), []);
}

/// Started with a clock that is ahead: the certificate seems to have expired, and the gateway hands
/// out the same one.
#[test]
fn a_clock_that_is_ahead_keeps_nobody_anonymous() {
    let mut clock = Clock::new();
    clock.wall += 2 * YEAR;
    let mut it = Lifecycle::new(true);
    let certificate = Some(validity(0, YEAR));
    let found = Opened::Found { certificate, mark: Mark::Idle, last_try: None };
    assert_eq!(it.handle(Input::Opened(found), clock.now()), [Action::WriteCsr]);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    it.handle(Input::Written(true), clock.now());
    assert_eq!(it.handle(Input::Reply(3), clock.now()).last(), Some(&Action::Query));
    assert!(!it.awaits_approval(), "it is approved");
    it.handle(Input::Certificate, clock.now());
    let same = it.handle(Input::Checked(Verdict::Same(validity(0, YEAR))), clock.now());
    assert_eq!(same, [Action::Reconnect]);
    assert!(it.is_accepted(clock.now()));
}

#[test]
fn a_clock_that_is_put_right_moves_an_anonymous_connection() {
    let mut clock = Clock::new();
    clock.wall += 2 * YEAR;
    let mut it = Lifecycle::new(true);
    let certificate = Some(validity(0, YEAR));
    let found = Opened::Found { certificate, mark: Mark::Waiting, last_try: None };
    it.handle(Input::Opened(found), clock.now());
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    assert!(!it.presents(clock.now()));
    let look = it.deadline(clock.now()).unwrap() - clock.mono;
    assert!(look <= POLL, "{look:?}");
    clock.wall -= 2 * YEAR;
    clock.pass(look);
    let moved = it.handle(Input::Timer, clock.now());
    assert_eq!(moved, [Action::Remember(Mark::Idle), Action::Reconnect]);
    assert_eq!(it.step(), Step::Idle { hold: None });
    assert_eq!(it.handle(Input::Timer, clock.now()), [], "once");
}

#[test]
fn what_is_not_stored_does_not_wait_for_approval() {
    let mut clock = Clock::new();
    let mut it = ready(&clock);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    assert_eq!(it.handle(Input::Reply(0), clock.now()), []);
    assert!(!it.awaits_approval());
    clock.pass(POLL);
    assert_eq!(it.handle(Input::Timer, clock.now()), [Action::Query]);
    it.handle(Input::NotFound, clock.now());
    assert!(!it.is_forgotten(), "it never had it");
    // And another time it has stored it all the same.
    let mut it = ready(&clock);
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    it.handle(Input::Reply(0), clock.now());
    clock.pass(POLL);
    it.handle(Input::Timer, clock.now());
    assert_eq!(it.handle(Input::NotYet, clock.now()), [Action::Remember(Mark::Waiting)]);
    assert!(it.awaits_approval());
}

#[test]
fn a_rejection_that_was_taken_back_is_noticed_at_the_next_connection() {
    let clock = Clock::new();
    let mut it = opened(&clock, Mark::Rejected);
    assert_eq!(it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now()), [Action::Query]);
    assert_eq!(it.handle(Input::NotFound, clock.now()), []);
    assert_eq!(it.step(), Step::Rejected);
    it.handle(Input::LinkDown, clock.now());
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    assert_eq!(it.handle(Input::Certificate, clock.now()), [Action::Install]);
}

/// A gateway that talks to nobody without a certificate cannot give us another.
#[test]
fn a_certificate_that_was_refused_is_tried_again_where_nothing_else_works() {
    let mut clock = Clock::new();
    let mut it = revoked(&mut clock);
    it.handle(Input::LinkDown, clock.now());
    clock.pass(FORGIVE - PACE - SECOND);
    it.handle(Input::Timer, clock.now());
    assert!(!it.presents(clock.now()));
    clock.pass(SECOND);
    assert!(it.handle(Input::Timer, clock.now()).contains(&Action::Reconnect));
    assert!(it.presents(clock.now()));
    // Not while the gateway talks to us: it will say when there is another.
    it.handle(Input::Refused, clock.now());
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    for _ in 0..10 {
        clock.pass(FORGIVE);
        it.handle(Input::Timer, clock.now());
        assert!(!it.presents(clock.now()));
    }
}

/// Enrolled, refused, and waiting for another certificate on an anonymous connection.
fn revoked(clock: &mut Clock) -> Lifecycle {
    let mut it = waiting(clock);
    it.handle(Input::Certificate, clock.now());
    it.handle(Input::Checked(Verdict::Installed(validity(0, YEAR))), clock.now());
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    it.handle(Input::Refused, clock.now());
    it.handle(Input::Written(true), clock.now());
    it.handle(Input::LinkDown, clock.now());
    it.handle(Input::LinkUp(LinkAuth::Nothing), clock.now());
    clock.pass(PACE);
    it.handle(Input::Timer, clock.now());
    it.handle(Input::Reply(1), clock.now());
    assert!(it.is_refused() && matches!(it.step(), Step::Waiting { .. }));
    it
}

fn ready(clock: &Clock) -> Lifecycle {
    opened(clock, Mark::Ready)
}

fn waiting(clock: &Clock) -> Lifecycle {
    opened(clock, Mark::Waiting)
}

fn opened(clock: &Clock, mark: Mark) -> Lifecycle {
    let mut it = Lifecycle::new(true);
    let found = Opened::Found { certificate: None, mark, last_try: None };
    it.handle(Input::Opened(found), clock.now());
    it
}

struct Clock {
    wall: i64,
    mono: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { wall: TODAY, mono: Instant::now() }
    }

    fn now(&self) -> Now {
        Now { wall: self.wall, mono: self.mono }
    }

    fn pass(&mut self, time: Duration) {
        self.mono += time;
        self.wall += time.as_secs() as i64;
    }
}
