//! A simulation of a client, two gateways and the network between them, in virtual time. A seed decides
//! when requests arrive, which faults are injected and how long they last; the same seed gives the same
//! run. Only the sockets are simulated: the reconnect machine and the protocol connections of both ends
//! are those of the programs.
//!
//! `SEACAT_SIMULATION_SEEDS=100000 cargo test -p seacat-channel simulation` runs more seeds than the tests
//! do. A seed that once found a fault belongs in [`REGRESSIONS`].

mod client;
mod gateway;
mod wire;

use std::time::{Duration, Instant};

use fastrand::Rng;

use self::client::{Client, Dial, Progress, Wire};
use self::gateway::{Executed, Server};
use self::wire::{Arrival, Network};
use crate::state::{Input, Phase};

/// Seeds of an ordinary test run: half a minute on one processor.
const SEEDS: u64 = 100;
/// Seeds that found a fault.
const REGRESSIONS: [u64; 1] = [311];

const TICK: Duration = Duration::from_millis(5);
/// How long faults are injected.
const FAULT_PHASE: Duration = Duration::from_secs(40);
/// After the faults: a request that arrives later than this must be answered.
const SETTLING: Duration = Duration::from_secs(15);
/// Length of a run.
const DURATION: Duration = Duration::from_secs(105);
/// How long a request may be open at the end: it waits 10 s for a connection, and a silent connection is
/// abandoned and has another 10 s.
const OPEN_LIMIT: Duration = Duration::from_secs(22);
/// The same on a connection that was let go of: PINGs alone find out that it is dead (wire spec 8).
const DEAD_LIMIT: Duration = Duration::from_secs(62);
/// A dial that gets no answer fails after this.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// Written at a time.
const CHUNK: usize = 4000;

/// A request; its number determines the rest.
#[derive(Clone, Copy, Debug)]
struct Plan {
    number: u32,
    /// Idempotent.
    repeatable: bool,
    /// Bytes of its body and of the answer.
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
    network: Network,
    client: Client,
    wires: Vec<Wire>,
    /// When each gateway accepts connections.
    back: [Instant; 2],
    asleep_until: Instant,
    /// What the client is told when it wakes up: whether its address is gone.
    wakes: Option<bool>,
    executed: Executed,
    next_request: Instant,
    next_fault: Instant,
}

const LATENCY: Duration = Duration::from_millis(20);

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let network = Network { latency: LATENCY, blocked_until: now };
        Self {
            now,
            rng: Rng::with_seed(seed),
            network,
            client: Client::new(2, seed, now),
            wires: Vec::new(),
            back: [now; 2],
            asleep_until: now,
            wakes: None,
            executed: Executed::new(),
            next_request: now,
            next_fault: now,
        }
    }

    /// Runs to the end; returns how many requests were answered, and how many failed.
    fn run(mut self) -> [usize; 2] {
        let (start, faults_end, end) = (self.now, self.now + FAULT_PHASE, self.now + DURATION);
        while self.now < end {
            self.now += TICK;
            if self.now >= self.next_fault && self.now < faults_end {
                let fault = Fault::any(&mut self.rng);
                self.inject(fault);
                self.next_fault = self.now + Duration::from_millis(self.rng.u64(0..6_000));
            }
            if self.now >= faults_end {
                self.network = Network { latency: LATENCY, blocked_until: self.now };
                self.asleep_until = self.now;
            }
            self.run_gateways();
            if self.now >= self.asleep_until {
                self.run_client();
            }
            self.carry();
        }
        self.check(start)
    }

    fn inject(&mut self, fault: Fault) {
        let now = self.now;
        match fault {
            Fault::Hole(time) => self.network.blocked_until = now + time,
            Fault::Slow(latency) => self.network.latency = LATENCY + latency,
            Fault::Roam { noticed } => {
                self.wires.iter_mut().for_each(Wire::die);
                if noticed {
                    self.client.step(Input::NetworkChanged { unbound: true }, now);
                }
            }
            Fault::Kill(index, time) => {
                for wire in self.wires.iter_mut().filter(|it| it.gateway == index) {
                    wire.server.kill(&mut wire.down, self.network, now);
                }
                self.back[index] = now + time;
            }
            Fault::Restart(index, time) => {
                for wire in self.wires.iter_mut().filter(|it| it.gateway == index) {
                    wire.server.drain(now);
                }
                self.back[index] = now + time;
            }
            Fault::Sleep(time) => {
                self.asleep_until = now + time;
                let unbound = self.rng.bool();
                if unbound {
                    self.wires.iter_mut().for_each(Wire::die);
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
        for wire in &mut self.wires {
            while let Some(arrival) = wire.up.receive(self.network, self.now) {
                wire.server.take(arrival, &mut self.executed, &mut self.rng, self.now);
            }
            wire.server.run(&mut wire.down, self.network, self.now);
        }
    }

    fn run_client(&mut self) {
        if let Some(unbound) = self.wakes.take() {
            self.client.step(Input::NetworkChanged { unbound }, self.now);
        }
        if self.now >= self.next_request {
            let number = u32::try_from(self.client.requests.len()).unwrap();
            let (came, ended, progress) = (self.now, None, Progress::Waiting);
            let plan = Plan::of(number);
            self.client.requests.push(client::Request { plan, came, ended, progress });
            self.next_request = self.now + Duration::from_millis(self.rng.u64(0..300));
        }
        self.dial();
        for wire in &mut self.wires {
            while let Some(arrival) = wire.down.receive(self.network, self.now) {
                self.client.take(wire.number, arrival, self.now);
            }
        }
        let (wires, network, now) = (&mut self.wires, self.network, self.now);
        self.client.run(now, |number, bytes| {
            if let Some(wire) = wires.iter_mut().find(|it| it.number == number) {
                wire.up.send(Arrival::Bytes(bytes), network, now);
            }
        });
    }

    fn dial(&mut self) {
        if let Some(gateway) = self.client.to_dial.take() {
            let hole = self.network.blocked_until.saturating_duration_since(self.now);
            let ends = self.now + DIAL_LIMIT.min(hole + 3 * self.network.latency);
            self.client.dial = Some(Dial { gateway, ends });
        }
        let Some(&Dial { gateway, ends }) = self.client.dial.as_ref() else { return };
        if self.now < ends {
            return;
        }
        let reached = self.now >= self.network.blocked_until && self.now >= self.back[gateway];
        if let Some(number) = self.client.dialled(reached, self.now) {
            let server = Server::new(self.now);
            let (up, down) = Default::default();
            self.wires.push(Wire { number, gateway, up, down, server });
        }
    }

    /// The other end learns of what the client closed.
    fn carry(&mut self) {
        for number in std::mem::take(&mut self.client.closed) {
            if let Some(wire) = self.wires.iter_mut().find(|it| it.number == number) {
                wire.hang_up(self.network, self.now);
            }
        }
    }

    fn check(self, start: Instant) -> [usize; 2] {
        let settled = start + FAULT_PHASE + SETTLING;
        let phase = self.client.machine.phase();
        assert!(matches!(phase, Phase::Connected { .. } | Phase::Trial { .. }), "{phase:?}");
        let mut counts = [0; 2];
        for request in &self.client.requests {
            let Plan { number, repeatable, .. } = request.plan;
            let times = self.executed.get(&number).copied().unwrap_or_default();
            assert!(repeatable || times <= 1, "{number} was carried out {times} times");
            let age = self.now - request.came;
            match request.progress {
                Progress::Answered => counts[0] += 1,
                Progress::On { connection, .. } if self.client.has_let_go_of(connection) => {
                    assert!(
                        age < FAULT_PHASE + DEAD_LIMIT,
                        "{number} hangs for {age:?}: {request:?}"
                    );
                }
                Progress::Waiting | Progress::On { .. } => {
                    assert!(age < OPEN_LIMIT, "{number} hangs for {age:?}: {request:?}");
                }
                Progress::NotConnected | Progress::Lost => {
                    assert!(request.came < settled, "{number} failed without a fault: {request:?}");
                    counts[1] += 1;
                }
            }
            if request.progress == Progress::NotConnected && !repeatable {
                assert_eq!(times, 0, "{number} was carried out, and said not to be");
            }
        }
        counts
    }
}

#[test]
fn it_recovers_from_every_fault_and_repeats_nothing() {
    let more = std::env::var("SEACAT_SIMULATION_SEEDS").ok().and_then(|it| it.parse().ok());
    let seeds = REGRESSIONS.into_iter().chain(0..more.unwrap_or(SEEDS));
    let mut sum = [0; 2];
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        let Ok(counts) = run else { panic!("seed {seed}") };
        sum = [sum[0] + counts[0], sum[1] + counts[1]];
    }
    let [answered, failed] = sum;
    println!("{answered} requests answered, {failed} failed with an error");
    assert!(answered > 4 * failed, "{answered} answered, {failed} failed");
}
