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
    /// The gateway is down for a month in each year.
    GatewayDown,
    /// It sleeps for ten days of each fortnight; the monotonic clock stands still meanwhile.
    Asleep,
    /// Every third connection attempt finds the certificate refused, once a month.
    Revoked,
    /// Every other frame from the gateway is lost, and the key store fails now and then.
    Unlucky,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::None,
    Trouble::Ahead,
    Trouble::Behind,
    Trouble::GatewayDown,
    Trouble::Asleep,
    Trouble::Revoked,
    Trouble::Unlucky,
];

/// One installation and its gateway.
struct World {
    machine: Lifecycle,
    trouble: Trouble,
    life: i64,
    /// The true time, in seconds since the start.
    time: f64,
    /// What the computer's clock is wrong by.
    error: i64,
    mono: Instant,
    keys: u32,
    /// True times of the CSRs sent, as the computer's monotonic clock has them.
    tries: Vec<Instant>,
    installed: u32,
    /// The gateway: when it approves, and what it has issued.
    approved_at: Option<f64>,
    issued: Option<Validity>,
    inbox: Vec<(f64, Input)>,
    rng: fastrand::Rng,
    /// The longest time without a certificate that the gateway would accept.
    naked: f64,
    longest_naked: f64,
}

impl World {
    fn new(life: i64, trouble: Trouble) -> Self {
        Self {
            machine: Lifecycle::new(true),
            trouble,
            life,
            time: 0.0,
            error: 0,
            mono: Instant::now(),
            keys: 0,
            tries: Vec::new(),
            installed: 0,
            approved_at: None,
            issued: None,
            inbox: vec![(0.0, Input::Opened(Opened::Missing)), (1.0, Input::LinkUp)],
            rng: fastrand::Rng::with_seed(7),
            naked: 0.0,
            longest_naked: 0.0,
        }
    }

    fn truth(&self) -> i64 {
        START + self.time as i64
    }

    fn now(&self) -> Now {
        Now { wall: self.truth() + self.error, mono: self.mono }
    }

    fn run(&mut self, years: i64) {
        let end = (years * YEAR) as f64;
        let mut turns = 0_u64;
        while self.time < end {
            turns += 1;
            assert!(turns < 200_000_000, "no end in sight: {:?}", self.machine.step());
            self.inbox.sort_by(|a, b| b.0.total_cmp(&a.0));
            let mail = self.inbox.last().map(|(at, _)| *at);
            let timer = self.machine.deadline(self.now()).map(|at| {
                // A deadline that has passed must be a step that waits for something else.
                let rest = at.saturating_duration_since(self.mono).as_secs_f64();
                self.time + rest.max(0.001)
            });
            let next = mail.into_iter().chain(timer).fold(end, f64::min);
            let world_next = self.next_trouble();
            self.pass(next.min(world_next) - self.time);
            if world_next <= next {
                self.cause_trouble();
            } else if mail == Some(next) {
                let Some((_, input)) = self.inbox.pop() else {
                    continue;
                };
                self.tell(input);
            } else if next < end {
                self.tell(Input::Timer);
            }
        }
    }

    fn pass(&mut self, seconds: f64) {
        self.time += seconds;
        self.mono += Duration::from_secs_f64(seconds.max(0.0));
        let truth = self.truth();
        let dressed = self.machine.certificate.is_some_and(|it| truth < it.validity.not_after);
        self.naked = if dressed { 0.0 } else { self.naked + seconds };
        self.longest_naked = self.longest_naked.max(self.naked);
    }

    /// Troubles come at round times of 7 days.
    fn next_trouble(&self) -> f64 {
        let week = (7 * DAY) as f64;
        ((self.time + 0.0005) / week).floor().mul_add(week, week)
    }

    fn cause_trouble(&mut self) {
        self.time += 0.001;
        let day = (self.time / DAY as f64) as i64;
        match self.trouble {
            Trouble::None | Trouble::Unlucky => {}
            Trouble::Ahead | Trouble::Behind => {
                let sign = if self.trouble == Trouble::Ahead { 1 } else { -1 };
                self.error = if (365..730).contains(&day) { sign * YEAR } else { 0 };
            }
            Trouble::GatewayDown => match day % 365 {
                100..107 => self.go_down(),
                135..142 => self.tell(Input::LinkUp),
                _ => {}
            },
            Trouble::Asleep => {
                if day % 14 < 7 {
                    // The lid is closed: time passes, but not for us.
                    self.time += (10 * DAY) as f64;
                    self.go_down();
                    self.inbox.push((self.time + 5.0, Input::LinkUp));
                }
            }
            Trouble::Revoked => {
                if day % 28 < 7 {
                    self.issued = None;
                    self.approved_at = None;
                    self.tell(Input::Refused);
                }
            }
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
        let unlucky = self.trouble == Trouble::Unlucky && self.rng.bool();
        let soon = self.time + 0.05;
        match action {
            Action::Open => self.inbox.push((soon, Input::Opened(Opened::Missing))),
            Action::MakeKey => {
                self.keys += u32::from(!unlucky);
                self.inbox.push((soon, Input::Made(!unlucky)));
            }
            Action::WriteCsr => self.inbox.push((soon, Input::Written(!unlucky))),
            Action::SendCsr => {
                self.tries.push(self.mono);
                if !unlucky {
                    // The administrator needs an hour for certificates that live long.
                    let work = if self.life > DAY { 3600.0 } else { 0.5 };
                    self.approved_at = Some(self.time + work);
                    self.inbox.push((soon, Input::Reply(1)));
                }
            }
            Action::Query if !unlucky => self.answer(soon),
            Action::Install => self.install(),
            Action::Reconnect if self.machine.connected => {
                self.tell(Input::LinkDown);
                self.inbox.push((soon, Input::LinkUp));
            }
            Action::Query | Action::Reconnect | Action::Remember(_) | Action::Delete => {}
        }
    }

    fn answer(&mut self, soon: f64) {
        let truth = self.truth();
        let input = match self.approved_at {
            Some(at) if at <= self.time => {
                self.approved_at = None;
                self.issued = Some(Validity { not_before: truth, not_after: truth + self.life });
                Input::Certificate
            }
            Some(_) => Input::NotYet,
            None if self.issued.is_some() => Input::Certificate,
            None => Input::NotFound,
        };
        self.inbox.push((soon, input));
    }

    fn install(&mut self) {
        let Some(issued) = self.issued else { return };
        let verdict = match self.machine.certificate {
            Some(old) if old.validity == issued => Verdict::Same,
            _ => {
                self.installed += 1;
                Verdict::Installed(issued)
            }
        };
        self.inbox.push((self.time + 0.05, Input::Checked(verdict)));
    }
}

#[test]
fn ten_years_of_every_certificate_and_every_trouble() {
    println!("{:>8} {:>12} {:>9} {:>9} {:>14}", "life", "trouble", "csrs", "certs", "longest gap");
    for (life, name) in [
        (60, "60 s"),
        (DAY, "1 day"),
        (29 * DAY, "29 days"),
        (30 * DAY, "30 days"),
        (YEAR, "1 year"),
    ] {
        for trouble in TROUBLES {
            let mut world = World::new(life, trouble);
            world.run(10);
            let gap = world.longest_naked;
            println!(
                "{name:>8} {:>12} {:>9} {:>9} {gap:>12.0} s",
                format!("{trouble:?}"),
                world.tries.len(),
                world.installed
            );
            let case = format!("{name}, {trouble:?}");
            assert_eq!(world.keys, 1, "{case}: never two keys");
            let fastest = world.tries.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(fastest.is_none_or(|gap| gap >= PACE), "{case}: {fastest:?}");
            // Alive at the end, and enrolled not long ago.
            let lately = world.naked < 3.0 * 3600.0;
            assert!(lately, "{case}: {:?} for {} s", world.machine.step(), world.naked);
            let longest = match trouble {
                Trouble::GatewayDown => 36.0 * DAY as f64,
                Trouble::Asleep => 11.0 * DAY as f64,
                _ => 3.0 * 3600.0,
            };
            assert!(gap <= longest, "{case}: {gap} s without a certificate");
            // No more requests than certificates need: twice as many when luck is bad.
            let needed = (10 * YEAR / (life - life / 3).max(60)).max(10) as usize;
            assert!(world.tries.len() <= 3 * needed + 400, "{case}: {} CSRs", world.tries.len());
        }
    }
}
