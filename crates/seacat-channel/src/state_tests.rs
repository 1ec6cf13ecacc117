//! Every state meets every input; the table is kept beside this file.

use std::fmt::Write as _;

use super::*;

const SEED: u64 = 1;
const SECOND: Duration = Duration::from_secs(1);

fn rank(priority: u16, weight: u16) -> Rank {
    Rank { priority, weight }
}

/// A machine with three gateways, tried in the order 0, 1, 2.
fn machine() -> Machine {
    Machine::new(vec![rank(0, 0), rank(1, 0), rank(2, 0)], SEED)
}

fn temporary() -> Failure {
    Failure::HungUp
}

fn permanent() -> Failure {
    Failure::HttpsServer
}

fn slow() -> Failure {
    Failure::NotYetValid { not_before: "2030-01-01".into() }
}

/// Feeds the inputs at one moment.
fn after(now: Instant, inputs: impl IntoIterator<Item = Input>) -> Machine {
    let mut machine = machine();
    for input in inputs {
        machine.handle(input, now);
    }
    machine
}

fn show(phase: &Phase, now: Instant) -> String {
    let at = |until: Instant| format!("{:.1} s", until.duration_since(now).as_secs_f64());
    match phase {
        Phase::Off => "Off".into(),
        Phase::Dialing { gateway } => format!("Dialing {gateway}"),
        Phase::Proving { gateway, until } => format!("Proving {gateway} for {}", at(*until)),
        Phase::Connected { gateway, .. } => format!("Connected {gateway}"),
        Phase::Waiting { until, why, .. } => format!("Waiting {} ({})", at(*until), why.code()),
        Phase::Stopped { why } => format!("Stopped ({})", why.code()),
        Phase::Draining { until } => format!("Draining for {}", at(*until)),
        Phase::Ended => "Ended".into(),
    }
}

/// The states of the drawing; those that behave in two ways are there twice.
fn states(start: Instant) -> Vec<(&'static str, Machine)> {
    use Input::{Connect, Failed, Pong, Up};
    let failed = |n: usize, why: fn() -> Failure| {
        std::iter::once(Connect).chain((0..n).map(move |_| Failed(why())))
    };
    let drain = Input::Drain { until: start + 30 * SECOND };
    vec![
        ("Off", machine()),
        ("Dialing, two more to try", after(start, [Connect])),
        ("Dialing the last", after(start, failed(2, temporary))),
        ("Dialing the last, no hope left", after(start, failed(2, permanent))),
        ("Proving", after(start, [Connect, Up])),
        ("Connected", after(start, [Connect, Up, Pong])),
        ("Connected to the last", after(start, failed(2, temporary).chain([Up, Pong]))),
        ("Waiting", after(start, failed(3, temporary))),
        ("Waiting slowly", after(start, failed(3, slow))),
        ("Stopped", after(start, failed(3, permanent))),
        ("Draining", after(start, [Connect, Up, Pong, drain.clone()])),
        ("Ended", after(start, [drain])),
    ]
}

fn inputs(now: Instant) -> Vec<(&'static str, Input)> {
    let list = || vec![rank(0, 0), rank(1, 0)];
    vec![
        ("Connect", Input::Connect),
        ("Wanted", Input::Wanted),
        ("Disconnect", Input::Disconnect),
        ("NetworkChanged", Input::NetworkChanged),
        ("Gateways, ours kept", Input::Gateways { list: list(), keep: Some(1) }),
        ("Gateways, ours gone", Input::Gateways { list: list(), keep: None }),
        ("Gateways, none", Input::Gateways { list: vec![], keep: None }),
        ("Found", Input::Found(vec![rank(1, 0), rank(0, 0)])),
        ("Up", Input::Up),
        ("Failed, temporary", Input::Failed(temporary())),
        ("Failed, slow", Input::Failed(slow())),
        ("Failed, permanent", Input::Failed(permanent())),
        ("Pong", Input::Pong),
        ("Spent", Input::Spent),
        ("Identity", Input::Identity),
        ("Lost, temporary", Input::Lost(temporary())),
        ("Lost, permanent", Input::Lost(permanent())),
        ("Timer", Input::Timer),
        ("Drain", Input::Drain { until: now + 30 * SECOND }),
    ]
}

fn table() -> String {
    let start = Instant::now();
    let mut table = String::new();
    // Young, and an hour old: time decides what a loss and a timer mean.
    for (age, label) in [(SECOND / 2, "half a second"), (3600 * SECOND, "an hour")] {
        let now = start + age;
        for (name, state) in states(start) {
            writeln!(table, "{name}, since {label}: {}", show(state.phase(), start)).unwrap();
            for (input_name, input) in inputs(now) {
                let mut machine = state.clone();
                let actions = machine.handle(input, now);
                let outcome = show(machine.phase(), now);
                writeln!(table, "    {input_name:<20} -> {outcome:<34} {actions:?}").unwrap();
            }
            table.push('\n');
        }
    }
    table
}

/// To accept a new table, run with `SEACAT_BLESS=1` and read the difference.
#[test]
fn every_state_meets_every_input() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/state_table.txt");
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

/// What the table cannot show in one step, for every history of up to five inputs: a connection
/// is never dialled twice or closed twice, and the deadline is there when it is needed.
#[test]
fn no_history_of_five_inputs_loses_track() {
    let now = Instant::now();
    let mut histories = 0;
    follow(&machine(), &inputs(now), now, &mut Vec::new(), &mut histories);
    assert!(histories > 40_000, "{histories} histories only");
}

/// Walks every history that begins with `story` and leaves `machine` behind.
fn follow(
    machine: &Machine,
    inputs: &[(&'static str, Input)],
    now: Instant,
    story: &mut Vec<&'static str>,
    histories: &mut u32,
) {
    if story.len() == 5 {
        *histories += 1;
        return;
    }
    let (dialing, linked) = expected(machine.phase());
    for (name, input) in inputs {
        // Found, Up and Failed come only from a dial, the others only from a connection.
        let possible = match input {
            Input::Up | Input::Failed(_) | Input::Found(_) => dialing,
            Input::Pong | Input::Lost(_) | Input::Spent => linked,
            _ => true,
        };
        if !possible {
            continue;
        }
        story.push(name);
        let mut machine = machine.clone();
        let ends_dial = matches!(input, Input::Found(_) | Input::Up | Input::Failed(_));
        let mut dialing = dialing && !ends_dial;
        let mut linked = matches!(input, Input::Up) || linked && !matches!(input, Input::Lost(_));
        let due = machine.deadline().filter(|_| matches!(input, Input::Timer));
        for action in machine.handle(input.clone(), due.unwrap_or(now)) {
            match action {
                Action::Dial(_) | Action::DialTarget { .. } => {
                    assert!(!dialing && !linked, "dialled twice: {story:?}");
                    dialing = true;
                }
                Action::StopDialing => {
                    assert!(dialing, "no dial to stop: {story:?}");
                    dialing = false;
                }
                Action::Close | Action::Retire => {
                    assert!(linked, "nothing to close: {story:?}");
                    linked = false;
                }
                Action::Ping | Action::Drain => assert!(linked, "no connection: {story:?}"),
            }
        }
        assert_eq!((dialing, linked), expected(machine.phase()), "{story:?}");
        follow(&machine, inputs, now, story, histories);
        story.pop();
    }
}

/// Whether a dial and whether a connection belongs to this state.
fn expected(phase: &Phase) -> (bool, bool) {
    match phase {
        Phase::Dialing { .. } => (true, false),
        Phase::Proving { .. } | Phase::Connected { .. } | Phase::Draining { .. } => (false, true),
        _ => (false, false),
    }
}

#[test]
fn waits_grow_until_somebody_gives_new_hope() {
    let mut now = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0)], SEED);
    machine.handle(Input::Connect, now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        machine.handle(Input::Failed(temporary()), now);
        let until = machine.deadline().unwrap();
        waits.push(until - now);
        now = until;
        assert_eq!(machine.handle(Input::Timer, now), [Action::Dial(0)]);
    }
    assert_eq!(machine.attempt(), 13);
    assert!(waits.windows(2).take(7).all(|pair| pair[0] <= pair[1]), "{waits:?}");
    assert!(waits[11] >= 150 * SECOND && waits[11] <= 300 * SECOND, "{waits:?}");

    machine.handle(Input::Failed(temporary()), now);
    assert_eq!(machine.handle(Input::NetworkChanged, now), [Action::Dial(0)]);
    assert_eq!(machine.attempt(), 1);
    machine.handle(Input::Failed(temporary()), now);
    assert!(machine.deadline().unwrap() - now <= 2 * SECOND);
}

#[test]
fn a_gateway_that_hangs_up_at_once_is_not_dialled_in_a_tight_loop() {
    let mut now = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0)], SEED);
    machine.handle(Input::Connect, now);
    let mut dials = 0;
    let end = now + 600 * SECOND;
    while now < end {
        machine.handle(Input::Up, now);
        machine.handle(Input::Pong, now);
        machine.handle(Input::Lost(temporary()), now);
        now = machine.deadline().unwrap();
        dials += machine.handle(Input::Timer, now).len();
    }
    assert!((8..=12).contains(&dials), "{dials} dials in ten minutes");
}

#[test]
fn one_hopeful_gateway_keeps_the_channel_going() {
    let now = Instant::now();
    let mut machine = machine();
    machine.handle(Input::Connect, now);
    machine.handle(Input::Failed(permanent()), now);
    machine.handle(Input::Failed(temporary()), now);
    machine.handle(Input::Failed(permanent()), now);
    assert_eq!(show(machine.phase(), now).split(' ').next(), Some("Waiting"));
    assert_eq!(machine.last_failure().unwrap().code(), permanent().code());
}

#[test]
fn every_target_is_tried_before_the_next_gateway_and_before_any_pause() {
    let now = Instant::now();
    let mut machine = machine();
    assert_eq!(machine.handle(Input::Connect, now), [Action::Dial(0)]);
    let targets = vec![rank(9, 0), rank(1, 0), rank(5, 0)];
    let mut actions = machine.handle(Input::Found(targets), now);
    let mut story = Vec::new();
    while let Some(action) = actions.pop() {
        story.push(format!("{action:?}"));
        actions = machine.handle(Input::Failed(temporary()), now);
    }
    let target = |target| format!("DialTarget {{ gateway: 0, target: {target} }}");
    assert_eq!(
        story,
        [target(1), target(2), target(0), "Dial(1)".to_owned(), "Dial(2)".to_owned()]
    );
    assert!(matches!(machine.phase(), Phase::Waiting { .. }));
}

#[test]
fn a_target_that_is_silent_gives_way_to_the_next() {
    let now = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0)], SEED);
    machine.handle(Input::Connect, now);
    machine.handle(Input::Found(vec![rank(0, 0), rank(1, 0)]), now);
    machine.handle(Input::Up, now);
    let late = machine.deadline().unwrap();
    let next = Action::DialTarget { gateway: 0, target: 1 };
    assert_eq!(machine.handle(Input::Timer, late), [Action::Close, next]);
}

#[test]
fn somebody_who_waits_shortens_a_long_pause_but_not_a_slow_cure() {
    let start = Instant::now();
    let mut machine = after(start, [Input::Connect]);
    let mut now = start;
    // Ten rounds without hope: the pause has grown to minutes.
    for _ in 0..10 {
        for _ in 0..3 {
            machine.handle(Input::Failed(temporary()), now);
        }
        now = machine.deadline().expect("a pause");
        machine.handle(Input::Timer, now);
    }
    for _ in 0..3 {
        machine.handle(Input::Failed(temporary()), now);
    }
    assert!(machine.deadline().expect("a pause") > now + 100 * SECOND);
    machine.handle(Input::Wanted, now + SECOND);
    assert_eq!(machine.deadline(), Some(now + HURRY));

    let failures = (0..3).map(|_| Input::Failed(slow()));
    let mut machine = after(start, std::iter::once(Input::Connect).chain(failures));
    let pause = machine.deadline();
    machine.handle(Input::Wanted, start + SECOND);
    assert_eq!(machine.deadline(), pause);
}
