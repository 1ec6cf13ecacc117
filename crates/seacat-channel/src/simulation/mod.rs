//! A client, two gateways and the network between them in virtual time. A seed decides when requests
//! come, what breaks and for how long; the same seed is the same story. Only the sockets are not real:
//! the reconnect machine and both ends' protocol connections are what the programs run.
//!
//! `SEACAT_SIMULATION_SEEDS=100000 cargo test -p seacat-channel simulation` plays more of them than a run
//! of the tests does. A seed that once found a fault is in [`FAULTS`].

mod client;
mod gateway;
mod wire;

use std::time::{Duration, Instant};

use fastrand::Rng;

use self::client::{Client, Dial, Progress, Road};
use self::gateway::{Executed, Served};
use self::wire::{Arrival, Weather};
use crate::state::{Input, Phase};

/// Stories in an ordinary run: a minute's on one processor.
const SEEDS: u64 = 100;
/// Seeds that found a fault.
const FAULTS: [u64; 0] = [];

const TICK: Duration = Duration::from_millis(5);
/// Things break for so long.
const STORM: Duration = Duration::from_secs(40);
/// Then they are well. A request that comes this long after is answered.
const CALM: Duration = Duration::from_secs(15);
/// How long each story lasts.
const STORY: Duration = Duration::from_secs(105);
/// Nothing may stay open longer in the calm: a request waits 10 s, a silent connection is abandoned and
/// has another 10 s.
const PATIENCE: Duration = Duration::from_secs(22);
/// The same on a connection that was let go of: PINGs alone find out that it is dead (wire spec 8).
const KEEPALIVE: Duration = Duration::from_secs(55);
/// A dial that meets silence.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// Written at a time.
const CHUNK: usize = 4000;

/// What a request is: all of it follows from its number.
#[derive(Clone, Copy, Debug)]
struct Plan {
    number: u32,
    /// It may be carried out twice.
    repeatable: bool,
    /// Bytes of its body, and of the answer's.
    up: usize,
    down: usize,
    /// The gateway answers within this time.
    think_ms: u64,
}

impl Plan {
    fn of(number: u32) -> Self {
        let mut rng = Rng::with_seed(number.into());
        let repeatable = rng.bool();
        let mut size = |large| match rng.u8(0..4) {
            0 => 0,
            1 | 2 => rng.usize(1..2_000),
            _ => rng.usize(0..large),
        };
        let (up, down) = (size(100_000), size(400_000));
        let up = if repeatable { 0 } else { up };
        let think_ms = [20, 50, 200, 4_000][rng.usize(0..4)];
        Self { number, repeatable, up, down, think_ms }
    }
}

/// Bytes `from..from + length` of the body of request `number`.
fn pattern(number: u32, from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(|at| (at as u32 ^ number) as u8).collect()
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Nothing passes for a while.
    Hole(Duration),
    Slow(Duration),
    /// All connections stand still for ever; the client may learn that its address is another one.
    Roam {
        noticed: bool,
    },
    /// The gateway is killed, and comes back after this.
    Kill(usize, Duration),
    /// The gateway shuts down as it should, and comes back after this.
    Restart(usize, Duration),
    /// The client's computer sleeps.
    Sleep(Duration),
    Reconnect,
    Identity,
}

impl Fault {
    fn any(rng: &mut Rng) -> Self {
        let ms = |rng: &mut Rng, most| Duration::from_millis(rng.u64(0..most));
        match rng.u8(0..10) {
            0 | 1 => Self::Hole(ms(rng, 12_000)),
            2 => Self::Slow(ms(rng, 800)),
            3 => Self::Roam { noticed: rng.bool() },
            4 | 5 => Self::Kill(rng.usize(0..2), ms(rng, 5_000)),
            6 => Self::Restart(rng.usize(0..2), ms(rng, 3_000)),
            7 => Self::Sleep(ms(rng, 30_000)),
            8 => Self::Reconnect,
            _ => Self::Identity,
        }
    }
}

struct World {
    now: Instant,
    rng: Rng,
    weather: Weather,
    client: Client,
    roads: Vec<Road>,
    /// When each gateway accepts connections.
    back: [Instant; 2],
    asleep_until: Instant,
    /// What the client is told when it wakes up: whether its address is gone.
    wakes: Option<bool>,
    executed: Executed,
    next_request: Instant,
    next_fault: Instant,
}

const FAIR: Duration = Duration::from_millis(20);

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let weather = Weather { latency: FAIR, passes_from: now };
        Self {
            now,
            rng: Rng::with_seed(seed),
            weather,
            client: Client::new(2, seed, now),
            roads: Vec::new(),
            back: [now; 2],
            asleep_until: now,
            wakes: None,
            executed: Executed::new(),
            next_request: now,
            next_fault: now,
        }
    }

    /// Plays the story to its end; returns how many requests were answered, and how many not.
    fn play(mut self) -> [usize; 2] {
        let (start, storm, end) = (self.now, self.now + STORM, self.now + STORY);
        while self.now < end {
            self.now += TICK;
            if self.now >= self.next_fault && self.now < storm {
                let fault = Fault::any(&mut self.rng);
                self.strike(fault);
                self.next_fault = self.now + Duration::from_millis(self.rng.u64(0..6_000));
            }
            if self.now >= storm {
                self.weather = Weather { latency: FAIR, passes_from: self.now };
                self.asleep_until = self.now;
            }
            self.run_gateways();
            if self.now >= self.asleep_until {
                self.run_client();
            }
            self.carry();
        }
        self.judge(start)
    }

    fn strike(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Hole(time) => self.weather.passes_from = now + time,
            Fault::Slow(latency) => self.weather.latency = FAIR + latency,
            Fault::Roam { noticed } => {
                self.roads.iter_mut().for_each(Road::die);
                if noticed {
                    self.client.step(Input::NetworkChanged { unbound: true }, now);
                }
            }
            Fault::Kill(index, time) => {
                for road in self.roads.iter_mut().filter(|it| it.gateway == index) {
                    road.served.kill(&mut road.down, self.weather, now);
                }
                self.back[index] = now + time;
            }
            Fault::Restart(index, time) => {
                for road in self.roads.iter_mut().filter(|it| it.gateway == index) {
                    road.served.drain(now);
                }
                self.back[index] = now + time;
            }
            Fault::Sleep(time) => {
                self.asleep_until = now + time;
                let unbound = self.rng.bool();
                if unbound {
                    self.roads.iter_mut().for_each(Road::die);
                }
                self.wakes = Some(unbound);
            }
            Fault::Reconnect => {
                self.client.step(Input::Disconnect, now);
                self.client.step(Input::Connect, now);
            }
            Fault::Identity => self.client.step(Input::Identity, now),
        }
    }

    fn run_gateways(&mut self) {
        for road in &mut self.roads {
            while let Some(arrival) = road.up.receive(self.weather, self.now) {
                road.served.take(arrival, &mut self.executed, &mut self.rng, self.now);
            }
            road.served.run(&mut road.down, self.weather, self.now);
        }
    }

    fn run_client(&mut self) {
        if let Some(unbound) = self.wakes.take() {
            self.client.step(Input::NetworkChanged { unbound }, self.now);
        }
        if self.now >= self.next_request {
            let number = u32::try_from(self.client.asked.len()).unwrap();
            let (came, ended, progress) = (self.now, None, Progress::Waits);
            let plan = Plan::of(number);
            self.client.asked.push(client::Asked { plan, came, ended, progress });
            self.next_request = self.now + Duration::from_millis(self.rng.u64(0..300));
        }
        self.dial();
        for road in &mut self.roads {
            while let Some(arrival) = road.down.receive(self.weather, self.now) {
                self.client.take(road.number, arrival, self.now);
            }
        }
        let (roads, weather, now) = (&mut self.roads, self.weather, self.now);
        self.client.run(now, |number, bytes| {
            if let Some(road) = roads.iter_mut().find(|it| it.number == number) {
                road.up.send(Arrival::Bytes(bytes), weather, now);
            }
        });
    }

    fn dial(&mut self) {
        if let Some(gateway) = self.client.to_dial.take() {
            let hole = self.weather.passes_from.saturating_duration_since(self.now);
            let ends = self.now + DIAL_LIMIT.min(hole + 3 * self.weather.latency);
            self.client.dial = Some(Dial { gateway, ends });
        }
        let Some(&Dial { gateway, ends }) = self.client.dial.as_ref() else { return };
        if self.now < ends {
            return;
        }
        let reached = self.now >= self.weather.passes_from && self.now >= self.back[gateway];
        if let Some(number) = self.client.dialled(reached, self.now) {
            let served = Served::new(self.now);
            let (up, down) = Default::default();
            self.roads.push(Road { number, gateway, up, down, served });
        }
    }

    /// The other end learns of what the client closed.
    fn carry(&mut self) {
        for number in std::mem::take(&mut self.client.closed) {
            if let Some(road) = self.roads.iter_mut().find(|it| it.number == number) {
                road.hang_up(self.weather, self.now);
            }
        }
    }

    fn judge(self, start: Instant) -> [usize; 2] {
        let calm = start + STORM + CALM;
        let phase = self.client.machine.phase();
        assert!(matches!(phase, Phase::Connected { .. } | Phase::Trial { .. }), "{phase:?}");
        let mut counts = [0; 2];
        for asked in &self.client.asked {
            let Plan { number, repeatable, .. } = asked.plan;
            let times = self.executed.get(&number).copied().unwrap_or_default();
            assert!(repeatable || times <= 1, "{number} was carried out {times} times");
            let waits = self.now - asked.came;
            match asked.progress {
                Progress::Answered => counts[0] += 1,
                Progress::On { connection, .. } if self.client.has_let_go_of(connection) => {
                    assert!(waits < STORM + KEEPALIVE, "{number} hangs for {waits:?}: {asked:?}");
                }
                Progress::Waits | Progress::On { .. } => {
                    assert!(waits < PATIENCE, "{number} hangs for {waits:?}: {asked:?}");
                }
                Progress::NotConnected | Progress::Lost => {
                    assert!(asked.came < calm, "{number} failed although all is well: {asked:?}");
                    counts[1] += 1;
                }
            }
            if asked.progress == Progress::NotConnected && !repeatable {
                assert_eq!(times, 0, "{number} was carried out, and said not to be");
            }
        }
        counts
    }
}

#[test]
fn whatever_breaks_it_heals_and_nothing_is_done_twice() {
    let more = std::env::var("SEACAT_SIMULATION_SEEDS").ok().and_then(|it| it.parse().ok());
    let seeds = FAULTS.into_iter().chain(0..more.unwrap_or(SEEDS));
    let mut sum = [0; 2];
    for seed in seeds {
        let story = std::panic::catch_unwind(|| World::new(seed).play());
        let Ok(counts) = story else { panic!("seed {seed}") };
        sum = [sum[0] + counts[0], sum[1] + counts[1]];
    }
    let [answered, failed] = sum;
    println!("{answered} requests answered, {failed} failed and said so");
    assert!(answered > 4 * failed, "{answered} answered, {failed} failed");
}
