//! How long to wait before the next round of dialling. Pure: chance comes from a seed.

use std::time::Duration;

/// The shortest wait. Long enough for a gateway to be restarted within a few of them.
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait. A client that gave up hope costs its gateway one handshake in this time.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// Waits that double, each drawn evenly from the upper half of its step, so that clients which
/// lost one gateway together do not come back together: 1–2 s, 2–4 s, … 150–300 s, 150–300 s.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { ceiling: SHORTEST, rng: fastrand::Rng::with_seed(seed) }
    }

    /// The next wait, longer than the one before (until [`LONGEST`]).
    pub(crate) fn next(&mut self) -> Duration {
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        let half = self.ceiling / 2;
        half + half.mul_f64(self.rng.f64())
    }

    /// Hope again: the next wait is the shortest.
    pub(crate) fn restart(&mut self) {
        self.ceiling = SHORTEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_in_the_upper_half_of_its_step() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(seed);
            for ceiling in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
                let wait = backoff.next();
                let ceiling = Duration::from_secs(ceiling);
                assert!(wait >= ceiling / 2 && wait <= ceiling, "seed {seed}: {wait:?}");
                assert!((SHORTEST..=LONGEST).contains(&wait), "seed {seed}: {wait:?}");
            }
            backoff.restart();
            assert!(backoff.next() <= SHORTEST * 2, "seed {seed}");
        }
    }

    #[test]
    fn a_seed_is_a_sequence_and_two_seeds_differ() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn a_thousand_clients_spread_over_the_whole_step() {
        let mut quarters = [0; 4];
        for seed in 0..1000 {
            let wait = Backoff::new(seed).next() - SHORTEST;
            quarters[((wait.as_secs_f64() * 4.0) as usize).min(3)] += 1;
        }
        assert!(quarters.iter().all(|&n| n > 180), "{quarters:?}");
    }
}
