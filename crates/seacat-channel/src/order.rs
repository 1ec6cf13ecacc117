//! In which order equals and betters are tried (RFC 2782): gateways of the configuration and
//! targets of discovery alike.

use std::collections::VecDeque;

/// What the choice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
}

/// All indices of `ranks`: by priority, and by lot, with their weights as shares, among those of
/// one priority.
pub(crate) fn order(ranks: &[Rank], rng: &mut fastrand::Rng) -> VecDeque<usize> {
    let mut pool: Vec<usize> = (0..ranks.len()).collect();
    // Weight 0 first within a priority, so that it has a small chance, not none.
    pool.sort_by_key(|&i| (ranks[i].priority, ranks[i].weight != 0));
    let mut order = VecDeque::with_capacity(pool.len());
    while let Some(&first) = pool.first() {
        let priority = ranks[first].priority;
        let peers = pool.partition_point(|&i| ranks[i].priority == priority);
        let weight = |i: usize| u64::from(ranks[i].weight);
        let mut lot = rng.u64(0..=pool[..peers].iter().map(|&i| weight(i)).sum());
        let mut chosen = 0;
        while chosen + 1 < peers && lot > weight(pool[chosen]) {
            lot -= weight(pool[chosen]);
            chosen += 1;
        }
        order.push_back(pool.remove(chosen));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_priority_and_then_by_lot() {
        let rank = |priority, weight| Rank { priority, weight };
        let ranks = [rank(5, 0), rank(1, 10), rank(1, 30), rank(1, 0), rank(0, 1)];
        let mut rng = fastrand::Rng::with_seed(1);
        let mut second = [0u32; 5];
        for _ in 0..10_000 {
            let order = order(&ranks, &mut rng);
            assert_eq!((order[0], order[4]), (4, 0), "{order:?}");
            let mut sorted: Vec<_> = order.iter().copied().collect();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            second[order[1]] += 1;
        }
        // Shares of 10, 30 and almost none among 41 lots.
        assert!((2_200..2_700).contains(&second[1]), "{second:?}");
        assert!((7_000..7_600).contains(&second[2]), "{second:?}");
        assert!((1..500).contains(&second[3]), "{second:?}");
    }
}
