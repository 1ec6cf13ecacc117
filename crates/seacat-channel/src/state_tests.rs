//! Every state meets every input; the table is kept beside this file, without the inputs that change
//! nothing.

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
    let proxy = "proxy.example:3128".into();
    Failure::ProxyAuth { proxy, problem: crate::ProxyAuth::Refused, offered: Vec::new() }
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

fn show(machine: &Machine, now: Instant) -> String {
    let at = |until: Instant| format!("{:.1} s", until.duration_since(now).as_secs_f64());
    let phase = match machine.phase() {
        Phase::Off => "Off".into(),
        Phase::Dialing { gateway } => format!("Dialing {gateway}"),
        Phase::Proving { gateway, until } => format!("Proving {gateway} for {}", at(*until)),
        Phase::Trial { gateway, until } => format!("Trial {gateway} for {}", at(*until)),
        Phase::Connected { gateway, probe: None, .. } => format!("Connected {gateway}"),
        Phase::Connected { gateway, probe: Some(until), .. } => {
            format!("Connected {gateway}?, {}", at(*until))
        }
        Phase::Waiting { soonest, until, why } => {
            format!("Waiting {}..{} ({})", at(*soonest), at(*until), why.code())
        }
        Phase::Stopped { why } => format!("Stopped ({})", why.code()),
        Phase::Draining { until } => format!("Draining for {}", at(*until)),
        Phase::Ended => "Ended".into(),
    };
    match machine.standby() {
        Some(Standby { kind, gateway, .. }) => format!("{phase}, {kind:?} {gateway}"),
        None => phase,
    }
}

/// The states of the drawing; those that behave in two ways are there twice.
fn states(start: Instant) -> Vec<(&'static str, Machine)> {
    use Input::{Connect, Failed, Heard, Lost, Unanswered, Up};
    let failed = |n: usize, why: fn() -> Failure| {
        std::iter::once(Connect).chain((0..n).map(move |_| Failed(why())))
    };
    let drain = Input::Drain { until: start + 30 * SECOND };
    let unbound = Input::NetworkChanged { unbound: true };
    let connected = || [Connect, Up, Heard];
    // Connected to the second gateway, while the first is tried.
    let better = || failed(1, temporary).chain([Up, Heard, Connect]);
    let mut trial = after(start, failed(1, temporary).chain([Up, Heard]));
    for input in [Input::Timer, Up, Heard] {
        trial.handle(input, trial.deadline().unwrap_or(start));
    }
    vec![
        ("Off", machine()),
        ("Dialing, two more to try", after(start, [Connect])),
        ("Dialing the last", after(start, failed(2, temporary))),
        ("Dialing the last, no hope left", after(start, failed(2, permanent))),
        ("Proving", after(start, [Connect, Up])),
        ("Connected", after(start, connected())),
        (
            "Connected, after a short one",
            after(start, [Connect, Up, Heard, Lost(temporary()), Up, Heard]),
        ),
        ("Connected, unanswered", after(start, connected().into_iter().chain([Unanswered]))),
        ("Connected to the last", after(start, failed(2, temporary).chain([Up, Heard]))),
        ("Silent, dialing", after(start, connected().into_iter().chain([unbound.clone()]))),
        ("Silent, proving", after(start, connected().into_iter().chain([unbound.clone(), Up]))),
        (
            "Silent, waiting",
            after(
                start,
                connected().into_iter().chain([unbound]).chain((0..3).map(|_| Failed(temporary()))),
            ),
        ),
        ("Serving, dialing the preferred", after(start, better())),
        ("Serving, proving the preferred", after(start, better().chain([Up]))),
        ("Serving, trial of the preferred", trial),
        ("Waiting", after(start, failed(3, temporary))),
        ("Waiting slowly", after(start, failed(3, slow))),
        ("Stopped", after(start, failed(3, permanent))),
        ("Draining", after(start, [Connect, Up, Heard, drain.clone()])),
        ("Ended", after(start, [drain])),
    ]
}

fn inputs(now: Instant) -> Vec<(&'static str, Input)> {
    let list = || vec![rank(0, 0), rank(1, 0)];
    vec![
        ("Connect", Input::Connect),
        ("Wanted", Input::Wanted),
        ("Disconnect", Input::Disconnect),
        ("NetworkChanged", Input::NetworkChanged { unbound: false }),
        ("NetworkChanged, unbound", Input::NetworkChanged { unbound: true }),
        ("Gateways, ours kept", Input::Gateways { list: list(), keep: Some(1) }),
        ("Gateways, ours gone", Input::Gateways { list: list(), keep: None }),
        ("Gateways, none", Input::Gateways { list: vec![], keep: None }),
        ("Found", Input::Found(vec![rank(1, 0), rank(0, 0)])),
        ("Up", Input::Up),
        ("Failed, temporary", Input::Failed(temporary())),
        ("Failed, slow", Input::Failed(slow())),
        ("Failed, permanent", Input::Failed(permanent())),
        ("Heard", Input::Heard),
        ("Unanswered", Input::Unanswered),
        ("Spent", Input::Spent),
        ("Identity", Input::Identity),
        ("Lost, temporary", Input::Lost(temporary())),
        ("Lost, permanent", Input::Lost(permanent())),
        ("StandbyHeard", Input::StandbyHeard),
        ("StandbySpent", Input::StandbySpent),
        ("StandbyLost", Input::StandbyLost(temporary())),
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
            writeln!(table, "{name}, since {label}: {}", show(&state, start)).unwrap();
            for (input_name, input) in inputs(now) {
                let mut machine = state.clone();
                let actions = machine.handle(input, now);
                if actions.is_empty() && show(&machine, now) == show(&state, now) {
                    continue;
                }
                let outcome = show(&machine, now);
                writeln!(table, "    {input_name:<23} -> {outcome:<46} {actions:?}").unwrap();
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

/// What the table cannot show in one step, for three inputs more from every state: a connection is
/// never dialled twice or closed twice, and what the driver holds is what the state says.
#[test]
fn no_history_of_three_more_inputs_loses_track() {
    let now = Instant::now();
    let mut histories = 0;
    for (name, machine) in states(now) {
        follow(&machine, &inputs(now), now, &mut vec![name], &mut histories);
    }
    assert!(histories > 40_000, "{histories} histories only");
}

/// What the driver holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    dialing: bool,
    live: bool,
    standby: bool,
}

impl Held {
    /// What belongs to this state.
    fn by(machine: &Machine) -> Self {
        let (dialing, live) = match machine.phase() {
            Phase::Dialing { .. } => (true, false),
            Phase::Proving { .. }
            | Phase::Trial { .. }
            | Phase::Connected { .. }
            | Phase::Draining { .. } => (false, true),
            _ => (false, false),
        };
        Self { dialing, live, standby: machine.standby().is_some() }
    }

    /// Whether this may happen to it.
    fn allows(self, input: &Input) -> bool {
        match input {
            Input::Up | Input::Failed(_) | Input::Found(_) => self.dialing,
            Input::Heard | Input::Unanswered | Input::Lost(_) | Input::Spent => self.live,
            Input::StandbyHeard | Input::StandbySpent | Input::StandbyLost(_) => self.standby,
            _ => true,
        }
    }

    fn take(mut self, input: &Input) -> Self {
        match input {
            Input::Up => (self.dialing, self.live) = (false, true),
            Input::Found(_) | Input::Failed(_) => self.dialing = false,
            Input::Lost(_) => self.live = false,
            Input::StandbyLost(_) => self.standby = false,
            _ => {}
        }
        self
    }

    fn perform(&mut self, action: Action, story: &[&str]) {
        let (needed, then) = match action {
            Action::Dial(_) | Action::DialTarget { .. } => {
                (!self.dialing && !self.live, Self { dialing: true, ..*self })
            }
            Action::StopDialing => (self.dialing, Self { dialing: false, ..*self }),
            Action::Close | Action::Retire => (self.live, Self { live: false, ..*self }),
            Action::Ping | Action::Drain => (self.live, *self),
            Action::StandBy => {
                (self.live && !self.standby, Self { live: false, standby: true, ..*self })
            }
            Action::Resume => {
                (self.standby && !self.live, Self { live: true, standby: false, ..*self })
            }
            Action::ReleaseStandby | Action::AbandonStandby | Action::CloseStandby => {
                (self.standby, Self { standby: false, ..*self })
            }
        };
        assert!(needed, "{action:?} with {self:?}: {story:?}");
        *self = then;
    }
}

/// Walks every history that begins with `story` and leaves `machine` behind.
fn follow(
    machine: &Machine,
    inputs: &[(&'static str, Input)],
    now: Instant,
    story: &mut Vec<&'static str>,
    histories: &mut u32,
) {
    if story.len() == 4 {
        *histories += 1;
        return;
    }
    let held = Held::by(machine);
    for (name, input) in inputs {
        if !held.allows(input) {
            continue;
        }
        story.push(name);
        let mut machine = machine.clone();
        let mut held = held.take(input);
        let due = machine.deadline().filter(|_| matches!(input, Input::Timer));
        let now = due.unwrap_or(now);
        for action in machine.handle(input.clone(), now) {
            held.perform(action, story);
        }
        assert_eq!(held, Held::by(&machine), "{story:?}");
        follow(&machine, inputs, now, story, histories);
        story.pop();
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
    assert_eq!(machine.handle(Input::NetworkChanged { unbound: false }, now), [Action::Dial(0)]);
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
        machine.handle(Input::Heard, now);
        dials += machine.handle(Input::Lost(temporary()), now).len();
        // Once at once, then with the pauses of the back-off.
        if let Some(deadline) = machine.deadline() {
            now = deadline;
            dials += machine.handle(Input::Timer, now).len();
        }
    }
    assert!((8..=13).contains(&dials), "{dials} dials in ten minutes");
}

#[test]
fn one_hopeful_gateway_keeps_the_channel_going() {
    let now = Instant::now();
    let mut machine = machine();
    machine.handle(Input::Connect, now);
    machine.handle(Input::Failed(permanent()), now);
    machine.handle(Input::Failed(temporary()), now);
    machine.handle(Input::Failed(permanent()), now);
    assert_eq!(show(&machine, now).split(' ').next(), Some("Waiting"));
    assert_eq!(machine.last_failure().unwrap().0.code(), permanent().code());
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
fn a_request_that_waits_shortens_a_pause() {
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
}

/// What one network says: for the next ten minutes a request asks every second.
#[test]
fn what_must_heal_is_tried_every_five_to_ten_seconds_while_requests_ask() {
    let start = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0)], SEED);
    machine.handle(Input::Connect, start);
    let (mut now, mut pauses) = (start, Vec::new());
    while now < start + 600 * SECOND {
        machine.handle(Input::Failed(slow()), now);
        machine.handle(Input::Wanted, now);
        let until = machine.deadline().expect("never stopped");
        pauses.push(until - now);
        now = until;
        assert_eq!(machine.handle(Input::Timer, now), [Action::Dial(0)]);
    }
    let [least, most] = PATIENCE;
    assert!(pauses.iter().all(|it| (least..=most).contains(it)), "{pauses:?}");
}

/// A gateway that is killed every five seconds and is away for one: another is found at most a
/// fifth of a second after it is back.
#[test]
fn after_a_loss_the_gateway_is_looked_for_five_times_a_second() {
    let mut now = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0)], SEED);
    machine.handle(Input::Connect, now);
    for _ in 0..20 {
        machine.handle(Input::Up, now);
        machine.handle(Input::Heard, now);
        now += 4 * SECOND;
        let back = now + SECOND;
        assert_eq!(machine.handle(Input::Lost(temporary()), now), [Action::Dial(0)], "at once");
        while now < back {
            machine.handle(Input::Failed(temporary()), now);
            machine.handle(Input::Wanted, now);
            now = machine.deadline().expect("a pause");
            assert_eq!(machine.handle(Input::Timer, now), [Action::Dial(0)]);
        }
        assert!(now - back <= QUICK, "{:?}", now - back);
    }
}

/// Two gateways: the first is away for five minutes, then well.
#[test]
fn requests_move_back_to_the_preferred_gateway_once_it_is_well() {
    let start = Instant::now();
    let mut machine = Machine::new(vec![rank(0, 0), rank(1, 0)], SEED);
    let mut now = start;
    for input in [Input::Connect, Input::Failed(temporary()), Input::Up, Input::Heard] {
        machine.handle(input, now);
    }
    let mut looks = 0;
    while now < start + 300 * SECOND {
        now = machine.deadline().expect("a look at the preferred one");
        assert_eq!(machine.handle(Input::Timer, now), [Action::StandBy, Action::Dial(0)]);
        assert!(machine.standby_serves());
        assert_eq!(machine.handle(Input::Failed(temporary()), now), [Action::Resume]);
        looks += 1;
    }
    assert!((4..=5).contains(&looks), "{looks}");
    now = machine.deadline().expect("a look at the preferred one");
    machine.handle(Input::Timer, now);
    machine.handle(Input::Up, now);
    assert_eq!(machine.handle(Input::Heard, now), []);
    assert!(machine.standby_serves(), "it has to be well for a while");
    let well = machine.deadline().expect("the end of the trial");
    assert_eq!(well, now + WELL);
    assert_eq!(machine.handle(Input::Timer, well), [Action::ReleaseStandby]);
    assert_eq!(show(&machine, well), "Connected 0");
}
