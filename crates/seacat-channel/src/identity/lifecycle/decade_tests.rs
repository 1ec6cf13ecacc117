//! Ten years in virtual time: certificates of every length, clocks that jump, a gateway that is
//! down for a month, a laptop that sleeps over the end of its certificate.

use super::*;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
const START: i64 = 1_790_000_000;

/// What the world does to the computer besides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    None,
    /// Its clock is set a year ahead in year 2 and put right in year 3.
    Ahead,
    /// The same backwards.
    Behind,
    /// The gateway is down for five weeks in each year.
    GatewayDown,
    /// It sleeps for ten days of each fortnight; the monotonic clock stands still meanwhile.
    Asleep,
    /// Each year it sleeps until its certificate has been over for ten days.
    OverTheEnd,
    /// Every third connection attempt finds the certificate refused, once a month.
    Revoked,
    /// The gateway forgets everybody once a month, and restarts.
    Forgetful,
    /// Every other week another gateway of the group is used, which keeps records of its own.
    Elsewhere,
    /// Every other frame from the gateway is lost, and the key store fails now and then.
    Unlucky,
}

const ALL: [Trouble; 10] = [
    Trouble::None,
    Trouble::Ahead,
    Trouble::Behind,
    Trouble::GatewayDown,
    Trouble::Asleep,
    Trouble::OverTheEnd,
    Trouble::Revoked,
    Trouble::Forgetful,
    Trouble::Elsewhere,
    Trouble::Unlucky,
];

/// A moment in milliseconds since the start.
type Ms = i64;
const SECOND: Ms = 1000;
/// How long this computer needs for a job, and a frame for its way.
const SOON: Ms = 50;
const WEEK: Ms = 7 * DAY * SECOND;

/// What a gateway knows: when it approves, and what it has issued.
#[derive(Default)]
struct Gateway {
    approved_at: Option<Ms>,
    issued: Option<Validity>,
}

impl Gateway {
    /// A certificate that is replaced stays on the list until its end.
    fn knows(&self, certificate: Validity) -> bool {
        self.issued.is_some_and(|it| it.not_before >= certificate.not_before)
    }
}

/// One installation and its gateways.
struct World {
    machine: Lifecycle,
    /// One a year, in turn.
    troubles: &'static [Trouble],
    /// Of a certificate, in seconds.
    life: i64,
    /// The true time.
    time: Ms,
    next_week: Ms,
    /// What the computer's clock is wrong by, in seconds.
    error: i64,
    mono: Instant,
    keys: u32,
    csrs: usize,
    last_csr: Option<Instant>,
    shortest_pause: Duration,
    installed: u32,
    gateway: Gateway,
    /// The other gateway of the group, while it is not used.
    other: Gateway,
    inbox: Vec<(Ms, Input)>,
    rng: fastrand::Rng,
    /// The longest time without a certificate that the gateway would accept.
    naked: Ms,
    longest_naked: Ms,
}

impl World {
    fn new(life: i64, troubles: &'static [Trouble]) -> Self {
        Self {
            machine: Lifecycle::new(true),
            troubles,
            life,
            time: 0,
            next_week: WEEK,
            error: 0,
            mono: Instant::now(),
            keys: 0,
            csrs: 0,
            last_csr: None,
            shortest_pause: Duration::MAX,
            installed: 0,
            gateway: Gateway::default(),
            other: Gateway::default(),
            inbox: vec![
                (0, Input::Opened(Opened::Missing)),
                (SECOND, Input::LinkUp(LinkAuth::Nothing)),
            ],
            rng: fastrand::Rng::with_seed(7),
            naked: 0,
            longest_naked: 0,
        }
    }

    fn truth(&self) -> i64 {
        START + self.time / SECOND
    }

    fn now(&self) -> Now {
        Now { wall: self.truth() + self.error, mono: self.mono }
    }

    fn run(&mut self, end: Ms) {
        let mut turns = 0_u64;
        while self.time < end {
            turns += 1;
            assert!(turns < 200_000_000, "no end in sight: {:?}", self.machine.step());
            let mail = (0..self.inbox.len()).min_by_key(|&at| self.inbox[at].0);
            let timer = self.machine.deadline(self.now()).map(|at| {
                // A deadline that has passed must be a step that waits for something else.
                let rest = at.saturating_duration_since(self.mono).as_micros().div_ceil(1000);
                self.time + Ms::try_from(rest).unwrap().max(1)
            });
            let mail_at = mail.map_or(end, |at| self.inbox[at].0.max(self.time));
            let next = mail_at.min(timer.unwrap_or(end));
            if self.next_week <= next {
                self.pass(self.next_week - self.time, true);
                self.next_week += WEEK;
                self.cause_trouble();
                continue;
            }
            self.pass(next - self.time, true);
            match mail {
                Some(at) if mail_at == next => {
                    let (_, input) = self.inbox.swap_remove(at);
                    self.tell(input);
                }
                _ => self.tell(Input::Timer),
            }
        }
    }

    fn pass(&mut self, time: Ms, awake: bool) {
        self.time += time;
        if awake {
            self.mono += Duration::from_millis(time.unsigned_abs());
        }
        let truth = self.truth();
        let ours = self.machine.certificate.map(|it| it.validity);
        let dressed = ours.is_some_and(|it| truth < it.not_after && self.gateway.knows(it));
        self.naked = if dressed { 0 } else { self.naked + time };
        self.longest_naked = self.longest_naked.max(self.naked);
    }

    fn trouble(&self) -> Trouble {
        let year = self.time / (YEAR * SECOND);
        self.troubles[usize::try_from(year).unwrap() % self.troubles.len()]
    }

    /// Once a week.
    fn cause_trouble(&mut self) {
        let (trouble, day) = (self.trouble(), self.time / (DAY * SECOND));
        // Where there is but one trouble, the clock is right again after a year.
        let is_set = self.troubles.len() > 1 || (365..730).contains(&day);
        self.error = match trouble {
            Trouble::Ahead if is_set => YEAR,
            Trouble::Behind if is_set => -YEAR,
            _ => 0,
        };
        match trouble {
            Trouble::None | Trouble::Unlucky | Trouble::Ahead | Trouble::Behind => {}
            Trouble::GatewayDown => match day % 365 {
                100..107 => self.go_down(),
                135..142 => self.connect(),
                _ => {}
            },
            Trouble::Asleep if day % 14 < 7 => self.sleep(10 * DAY),
            Trouble::OverTheEnd if (200..207).contains(&(day % 365)) => {
                self.sleep(self.life + 10 * DAY);
            }
            Trouble::Asleep | Trouble::OverTheEnd => {}
            Trouble::Forgetful => {
                if day % 28 < 7 {
                    self.gateway = Gateway::default();
                    self.reconnect();
                }
            }
            Trouble::Elsewhere => {
                std::mem::swap(&mut self.gateway, &mut self.other);
                self.reconnect();
            }
            Trouble::Revoked => {
                if day % 28 < 7 {
                    self.gateway.issued = None;
                    self.gateway.approved_at = None;
                    self.tell(Input::Refused);
                }
            }
        }
    }

    /// The lid is closed: time passes, but not for us.
    fn sleep(&mut self, seconds: i64) {
        self.go_down();
        self.pass(seconds * SECOND, false);
        while self.next_week <= self.time {
            self.next_week += WEEK;
        }
        self.inbox.push((self.time + 5 * SECOND, Input::LinkUp(self.auth())));
    }

    fn reconnect(&mut self) {
        self.go_down();
        self.connect();
    }

    fn connect(&mut self) {
        self.tell(Input::LinkUp(self.auth()));
    }

    /// What a connection that begins now presents.
    fn auth(&self) -> LinkAuth {
        match self.machine.presents(self.now()) {
            true => LinkAuth::Certificate,
            false => LinkAuth::Nothing,
        }
    }

    fn go_down(&mut self) {
        self.inbox.clear();
        // What the computer itself was doing is done.
        match self.machine.step() {
            Step::Making => self.inbox.push((self.time, Input::Made(true))),
            Step::Writing => self.inbox.push((self.time, Input::Written(true))),
            Step::Installing => self.install(),
            _ => {}
        }
        self.tell(Input::LinkDown);
    }

    fn tell(&mut self, input: Input) {
        for action in self.machine.handle(input, self.now()) {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action) {
        let unlucky = self.trouble() == Trouble::Unlucky && self.rng.bool();
        let soon = self.time + SOON;
        match action {
            Action::Open => self.inbox.push((soon, Input::Opened(Opened::Missing))),
            Action::MakeKey => {
                self.keys += u32::from(!unlucky);
                self.inbox.push((soon, Input::Made(!unlucky)));
            }
            Action::WriteCsr => self.inbox.push((soon, Input::Written(!unlucky))),
            Action::SendCsr => {
                self.count_csr();
                if !unlucky {
                    // The administrator needs an hour for certificates that live long.
                    let work = if self.life > DAY { 3600 * SECOND } else { SECOND / 2 };
                    self.gateway.approved_at = Some(self.time + work);
                    self.inbox.push((soon, Input::Reply(1)));
                }
            }
            Action::Query if !unlucky => self.answer(soon),
            Action::Install => self.install(),
            Action::Reconnect if self.machine.is_connected() => {
                self.tell(Input::LinkDown);
                let auth = self.auth();
                self.inbox.push((soon, Input::LinkUp(auth)));
            }
            Action::Query | Action::Reconnect | Action::Remember(_) | Action::Delete => {}
        }
    }

    fn count_csr(&mut self) {
        self.csrs += 1;
        if let Some(last) = self.last_csr.replace(self.mono) {
            self.shortest_pause = self.shortest_pause.min(self.mono - last);
        }
    }

    fn answer(&mut self, soon: Ms) {
        let truth = self.truth();
        let input = match self.gateway.approved_at {
            Some(at) if at <= self.time => {
                self.gateway.approved_at = None;
                self.gateway.issued =
                    Some(Validity { not_before: truth, not_after: truth + self.life });
                Input::Certificate
            }
            Some(_) => Input::NotYet,
            None if self.gateway.issued.is_some_and(|it| truth < it.not_after) => {
                Input::Certificate
            }
            None => Input::NotFound,
        };
        self.inbox.push((soon, input));
    }

    fn install(&mut self) {
        let Some(issued) = self.gateway.issued else { return };
        let verdict = match self.machine.certificate {
            Some(old) if old.validity == issued => Verdict::Same(issued),
            _ => {
                self.installed += 1;
                Verdict::Installed(issued)
            }
        };
        self.inbox.push((self.time + SOON, Input::Checked(verdict)));
    }
}

#[test]
fn ten_years_of_every_certificate_and_every_trouble() {
    println!("{:>8} {:>12} {:>9} {:>9} {:>14}", "life", "trouble", "csrs", "certs", "longest gap");
    for trouble in &ALL {
        for (life, name) in
            [(DAY, "1 day"), (29 * DAY, "29 days"), (30 * DAY, "30 days"), (YEAR, "1 year")]
        {
            ten_years(life, name, std::slice::from_ref(trouble));
        }
    }
    // Five million certificates: the troubles take turns.
    ten_years(60, "60 s", &ALL);
}

fn ten_years(life: i64, name: &str, troubles: &'static [Trouble]) {
    let mut world = World::new(life, troubles);
    world.run(10 * YEAR * SECOND);
    // And a quiet day, for who has slept into the next decade.
    world.troubles = &[Trouble::None];
    world.run(world.time + DAY * SECOND);
    let trouble = match troubles {
        [one] => format!("{one:?}"),
        _ => "in turn".to_owned(),
    };
    let (gap, csrs) = (world.longest_naked / SECOND, world.csrs);
    println!("{name:>8} {trouble:>12} {csrs:>9} {:>9} {gap:>12} s", world.installed);
    let case = format!("{name}, {trouble}");
    assert_eq!(world.keys, 1, "{case}: never two keys");
    // A gateway that has lost us is asked again sooner, and that needs a new connection.
    let pace = match troubles {
        [Trouble::Forgetful | Trouble::Elsewhere] | [_, _, ..] => RECOVERY,
        _ => PACE,
    };
    assert!(world.shortest_pause >= pace, "{case}: {:?}", world.shortest_pause);
    // Alive at the end, and enrolled not long ago.
    let lately = world.naked < 3 * 3600 * SECOND;
    assert!(lately, "{case}: {:?} for {} ms", world.machine.step(), world.naked);
    let longest = match troubles {
        [Trouble::Asleep] => 11 * DAY,
        [Trouble::OverTheEnd] => life + 11 * DAY,
        [Trouble::GatewayDown] | [_, _, ..] => 36 * DAY,
        // The administrator's hour, and for certificates of a day nothing else.
        [Trouble::Forgetful | Trouble::Elsewhere] => 3600 + 60,
        _ => 3 * 3600,
    };
    assert!(gap <= longest, "{case}: {gap} s without a certificate");
    // No more requests than certificates need: twice as many when luck is bad.
    let needed = (10 * YEAR / (life - life / 3).max(60)).max(10) as usize;
    assert!(csrs <= 3 * needed + 400, "{case}: {csrs} CSRs");
}
