//! What a process may use for its peers, all connections together.
//!
//! Limits per connection do not bound a process: their product with the number of connections is
//! far more than a computer has. So there is one account for each resource, and each peer has a
//! share of it. A peer is a client identity, or an address while there is none.
//!
//! ```text
//!   a peer may use as much as is free for its class
//!   class newcomer (no TLS yet)    an eighth of the limit
//!         stranger (no identity)   half of the rest, if there are identities; else as known
//!         known    (identity)      the rest
//! ```
//!
//! This is the dynamic threshold of shared-memory switches (Choudhury and Hahne, 1998): one peer
//! alone gets half of what its class may use, two get a third each, and something is always free
//! for the next. Nothing has to be taken away from an earlier peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A resource that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Bytes of temporary files.
    Spool,
    /// File descriptors: sockets and temporary files.
    Descriptors,
    /// Connections to peers.
    Connections,
}

const RESOURCES: usize = 4;
const CLASSES: usize = 3;

/// Connections that may always be in their handshake, in addition to [`BudgetLimits::connections`].
const LEAST_NEWCOMERS: u64 = 16;

impl Resource {
    /// The least that a peer may use while anything is free, so that small limits can be used up.
    const fn floor(self) -> u64 {
        match self {
            Self::Memory => 1024 * 1024,
            Self::Spool => 0,
            Self::Descriptors => 4,
            Self::Connections => 8,
        }
    }
}

/// The class of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Its TLS handshake has not ended.
    Newcomer,
    /// It has presented no identity.
    Stranger,
    /// It has an identity, or is the one peer that we have connected to.
    Known,
}

/// The holder of a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A client identity, or another name that is unique in the process.
    Name(Box<[u8]>),
    /// A network address; of IPv6 the first 64 bits, which one subscriber has.
    Address(IpAddr),
}

impl Peer {
    /// The peer at this address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(network.into())
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self::Address(address)
    }
}

/// The limits of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of temporary files.
    pub spool: u64,
    /// File descriptors.
    pub descriptors: u64,
    /// Connections whose handshake is done; an eighth as many may be in their handshake.
    pub connections: u64,
    /// How they are divided.
    pub division: Division,
}

/// How a limit is divided among peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Half of it is reserved for peers with an identity.
    Identities,
    /// There are no identities: strangers may use what known peers may.
    Strangers,
    /// There is one peer, and it may use everything.
    OnePeer,
}

/// The account of a process. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    /// For those whose handshake is done.
    served: [u64; RESOURCES],
    newcomers: [u64; RESOURCES],
    division: Division,
    used: [[AtomicU64; CLASSES]; RESOURCES],
    groups: Mutex<HashMap<(Class, Peer), Weak<Group>>>,
}

/// What one peer uses, over all its connections.
#[derive(Debug)]
struct Group {
    account: Arc<Account>,
    class: Class,
    peer: Peer,
    used: [AtomicU64; RESOURCES],
}

/// A peer's share. Clones are the same share.
#[derive(Debug, Clone)]
pub struct Share(Arc<Group>);

/// A part of a share, given back when dropped.
#[derive(Debug)]
pub struct Permit {
    share: Share,
    resource: Resource,
    amount: u64,
}

impl Budget {
    /// An unused account.
    #[must_use]
    pub fn new(limits: &BudgetLimits) -> Self {
        let BudgetLimits { memory, spool, descriptors, connections, .. } = *limits;
        let newcomers = match limits.division {
            Division::OnePeer => [0; RESOURCES],
            Division::Identities | Division::Strangers => {
                [memory / 8, spool / 8, descriptors / 8, LEAST_NEWCOMERS.max(connections / 8)]
            }
        };
        let [m, s, d, _] = newcomers;
        Self(Arc::new(Account {
            served: [memory - m, spool - s, descriptors - d, connections],
            newcomers,
            division: limits.division,
            used: Default::default(),
            groups: Mutex::default(),
        }))
    }

    /// The share of a peer: the same one for all its connections.
    #[must_use]
    pub fn share(&self, class: Class, peer: Peer) -> Share {
        let mut groups = self.0.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (class, peer);
        if let Some(group) = groups.get(&key).and_then(Weak::upgrade) {
            return Share(group);
        }
        let group = Arc::new(Group {
            account: Arc::clone(&self.0),
            class,
            peer: key.1.clone(),
            used: Default::default(),
        });
        groups.insert(key, Arc::downgrade(&group));
        Share(group)
    }

    /// What is in use.
    #[must_use]
    pub fn used(&self, resource: Resource) -> u64 {
        self.0.used_by(resource, &[Class::Newcomer, Class::Stranger, Class::Known])
    }
}

impl Account {
    fn used_by(&self, resource: Resource, classes: &[Class]) -> u64 {
        let used = &self.used[resource as usize];
        classes.iter().map(|class| used[*class as usize].load(Ordering::Relaxed)).sum()
    }

    /// What is free for a class.
    fn free(&self, resource: Resource, class: Class) -> u64 {
        use Class::{Known, Newcomer, Stranger};
        let limit = self.served[resource as usize];
        let free = limit.saturating_sub(self.used_by(resource, &[Stranger, Known]));
        match (self.division, class) {
            (_, Newcomer) => {
                let limit = self.newcomers[resource as usize];
                limit.saturating_sub(self.used_by(resource, &[Newcomer]))
            }
            (Division::Identities, Stranger) => {
                let half = limit.div_ceil(2);
                half.saturating_sub(self.used_by(resource, &[Stranger])).min(free)
            }
            _ => free,
        }
    }
}

impl Share {
    /// A share of an account of its own, for a connection that is the only one.
    #[must_use]
    pub fn alone(limits: &BudgetLimits) -> Self {
        let limits = BudgetLimits { division: Division::OnePeer, ..limits.clone() };
        Budget::new(&limits).share(Class::Known, Peer::Name(Box::default()))
    }

    /// What the peer uses.
    #[must_use]
    pub fn used(&self, resource: Resource) -> u64 {
        self.0.used[resource as usize].load(Ordering::Relaxed)
    }

    /// Takes a part, if the share has as much. Dropping the permit gives it back.
    #[must_use]
    pub fn permit(&self, resource: Resource, amount: u64) -> Option<Permit> {
        let taken = self.try_take(resource, amount);
        taken.then(|| Permit { share: self.clone(), resource, amount })
    }

    /// Whether the share has this much left. Two concurrent callers may both get `true`.
    fn has(&self, resource: Resource, amount: u64) -> bool {
        let Group { account, class, .. } = &*self.0;
        let free = account.free(resource, *class);
        let after = self.used(resource) + amount;
        let fair = account.division == Division::OnePeer || after <= free.max(resource.floor());
        amount <= free && fair
    }

    fn try_take(&self, resource: Resource, amount: u64) -> bool {
        let has = self.has(resource, amount);
        if has {
            self.take(resource, amount);
        }
        has
    }

    fn take(&self, resource: Resource, amount: u64) {
        let Group { account, class, used, .. } = &*self.0;
        used[resource as usize].fetch_add(amount, Ordering::Relaxed);
        account.used[resource as usize][*class as usize].fetch_add(amount, Ordering::Relaxed);
    }

    fn give_back(&self, resource: Resource, amount: u64) {
        let Group { account, class, used, .. } = &*self.0;
        used[resource as usize].fetch_sub(amount, Ordering::Relaxed);
        account.used[resource as usize][*class as usize].fetch_sub(amount, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.share.give_back(self.resource, self.amount);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mut groups = self.account.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.class, self.peer.clone());
        // The peer may have reconnected meanwhile, with a new share.
        if groups.get(&key).is_some_and(|group| group.strong_count() == 0) {
            groups.remove(&key);
        }
    }
}

/// What one connection uses of a resource: exact, and taken from the share in steps, so that
/// ordinary traffic does not touch the process's account.
#[derive(Debug)]
pub(crate) struct Holding {
    share: Share,
    resource: Resource,
    used: u64,
    taken: u64,
}

impl Holding {
    /// The step; at most twice as much is taken in advance.
    const STEP: u64 = 64 * 1024;

    pub(crate) fn new(share: Share, resource: Resource) -> Self {
        Self { share, resource, used: 0, taken: 0 }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Adds to what is used, if the share has as much.
    pub(crate) fn try_add(&mut self, amount: u64) -> bool {
        let missing = (self.used + amount).saturating_sub(self.taken);
        if missing > 0 {
            let step = missing.max(Self::STEP);
            let taken =
                [step, missing].into_iter().find(|it| self.share.try_take(self.resource, *it));
            let Some(taken) = taken else {
                return false;
            };
            self.taken += taken;
        }
        self.used += amount;
        true
    }

    /// Adds what is in use already. Returns whether the share had as much.
    pub(crate) fn add(&mut self, amount: u64) -> bool {
        let fits = self.try_add(amount);
        if !fits {
            let missing = (self.used + amount).saturating_sub(self.taken);
            self.share.take(self.resource, missing);
            self.taken += missing;
            self.used += amount;
        }
        fits
    }

    pub(crate) fn sub(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
        let spare = self.taken - self.used;
        if spare > 2 * Self::STEP {
            self.share.give_back(self.resource, spare - Self::STEP);
            self.taken = self.used + Self::STEP;
        }
    }

    /// Corrects a part of what is used. Returns whether the share had as much.
    pub(crate) fn replace(&mut self, before: u64, now: u64) -> bool {
        if now > before {
            return self.add(now - before);
        }
        self.sub(before - now);
        true
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.share.give_back(self.resource, self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Resource::Memory;

    const MIB: u64 = 1024 * 1024;

    fn budget(division: Division) -> Budget {
        let (spool, descriptors, connections) = (0, 64, 2);
        let memory = 512 * MIB;
        let limits = BudgetLimits { memory, spool, descriptors, connections, division };
        Budget::new(&limits)
    }

    fn stranger(number: u8) -> Peer {
        Peer::at(IpAddr::from([10, 0, 0, number]))
    }

    /// Takes as much as there is, in MiB.
    fn fill(share: &Share) -> Vec<Permit> {
        std::iter::from_fn(|| share.permit(Memory, MIB)).collect()
    }

    #[test]
    fn strangers_leave_half_to_clients_with_an_identity() {
        let budget = budget(Division::Identities);
        let shares: Vec<Share> =
            (0..50).map(|number| budget.share(Class::Stranger, stranger(number))).collect();
        let held: Vec<Vec<Permit>> = shares.iter().map(fill).collect();
        assert_eq!(held[0].len(), 112, "one alone has half of the strangers' half");
        assert_eq!(held[1].len(), 56);
        assert!(budget.used(Memory) <= 224 * MIB);
        let known = budget.share(Class::Known, Peer::Name(b"client".as_slice().into()));
        assert_eq!(fill(&known).len(), 112);
        let newcomer = budget.share(Class::Newcomer, stranger(1));
        assert_eq!(fill(&newcomer).len(), 32);
        drop((held, shares));
        assert_eq!(budget.used(Memory), 0);
    }

    #[test]
    fn a_peer_has_one_share_however_it_connects() {
        let budget = budget(Division::Strangers);
        let first = budget.share(Class::Stranger, stranger(1));
        let held = fill(&first);
        assert_eq!(held.len(), 224);
        let again = budget.share(Class::Stranger, stranger(1));
        assert!(again.permit(Memory, MIB).is_none());
        drop((first, again, held));
        let fresh = budget.share(Class::Stranger, stranger(1));
        assert_eq!(fresh.used(Memory), 0);
        assert_eq!(
            Peer::at("2001:db8::1".parse().unwrap()),
            Peer::at("2001:db8::2".parse().unwrap())
        );
        assert_eq!(Peer::at("::ffff:10.0.0.1".parse().unwrap()), stranger(1));
    }

    #[test]
    fn small_limits_can_be_used_up() {
        let budget = budget(Division::Strangers);
        let share = budget.share(Class::Stranger, stranger(1));
        let take = || share.permit(Resource::Connections, 1);
        let (first, second) = (take(), take());
        assert!(first.is_some() && second.is_some() && take().is_none());
    }

    #[test]
    fn a_holding_takes_steps_and_gives_back() {
        let budget = budget(Division::OnePeer);
        let share = budget.share(Class::Known, stranger(1));
        let mut holding = Holding::new(share.clone(), Memory);
        assert!(holding.try_add(10));
        assert_eq!(budget.used(Memory), Holding::STEP);
        assert!(holding.try_add(512 * MIB - 10), "down to the last byte");
        assert!(!holding.try_add(1));
        assert!(!holding.add(1), "what is in use is counted beyond the limit, too");
        assert_eq!(budget.used(Memory), 512 * MIB + 1);
        holding.sub(512 * MIB);
        assert!(budget.used(Memory) <= 2 * Holding::STEP);
        assert_eq!(holding.used(), 1);
        drop(holding);
        assert_eq!((share.used(Memory), budget.used(Memory)), (0, 0));
    }
}
