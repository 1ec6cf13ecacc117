//! Slots for client connections: their limits, and which connection is closed to admit another.
//!
//! ```text
//!   accept ─► newcomer (TLS handshake) ─┬─► stranger (no identity)
//!                                       └─► known    (identity)
//! ```
//!
//! Each step needs a slot in its class (see [`seacat_link::Budget`]). If there is none, a newcomer
//! replaces the oldest newcomer at the address that has most of them; any other connection replaces
//! the stranger that has been idle longest at the address that has most. Clients with an identity
//! are never replaced.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use seacat_link::{Budget, Class, Link, Peer, Permit, Resource, Share};
use tokio::sync::Notify;

use crate::client_id::ClientId;

/// A stranger's connection that was in use within this time is not replaced: its client would only
/// reconnect.
const IN_USE: Duration = Duration::from_secs(10);

/// The connections of a gateway.
pub(crate) struct ConnectionSlots {
    budget: Budget,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// Those that can be replaced.
    map: HashMap<u64, Entry>,
}

struct Entry {
    address: Peer,
    /// `None` while it is a newcomer.
    link: Option<Link>,
    activity: Arc<SlotActivity>,
    #[expect(dead_code, reason = "held until the entry is removed")]
    permits: [Permit; 2],
}

/// State shared by a connection and the slots.
pub(crate) struct SlotActivity {
    used: Mutex<Instant>,
    leave: Notify,
}

/// One connection's slot. Dropping it frees the slot.
pub(crate) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    number: u64,
    address: Peer,
    activity: Arc<SlotActivity>,
    /// Of a connection that cannot be replaced.
    permits: Option<[Permit; 2]>,
}

impl SlotActivity {
    /// The connection is in use now.
    pub(crate) fn touch(&self) {
        *self.used() = Instant::now();
    }

    /// Waits until the connection has to be closed.
    pub(crate) async fn leave(&self) {
        self.leave.notified().await;
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Since when it can be replaced, as a connection of this class.
    fn spare_since(&self, class: Class) -> Option<Instant> {
        let used = || *self.activity.used();
        match (&self.link, class) {
            (None, Class::Newcomer) => Some(used()),
            (Some(link), Class::Stranger) if link.health().streams == 0 => Some(used()),
            _ => None,
        }
    }
}

impl ConnectionSlots {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self { budget, entries: Mutex::default() })
    }

    /// A slot for a connection from this address that starts its handshake.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        let address = Peer::at(address);
        let share = self.budget.share(Class::Newcomer, address.clone());
        let permits = self.permits(&share, Class::Newcomer)?;
        let activity =
            Arc::new(SlotActivity { used: Mutex::new(Instant::now()), leave: Notify::new() });
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        let entry = Entry {
            address: address.clone(),
            link: None,
            activity: Arc::clone(&activity),
            permits,
        };
        entries.map.insert(number, entry);
        drop(entries);
        Some(ConnectionSlot { slots: Arc::clone(self), number, address, activity, permits: None })
    }

    /// Ends strangers' connections that have been idle for this long.
    pub(crate) fn sweep(&self, longest_rest: Duration) {
        for entry in self.lock().map.values() {
            let since = entry.spare_since(Class::Stranger);
            if since.is_some_and(|since| since.elapsed() >= longest_rest) {
                entry.activity.leave.notify_one();
            }
        }
    }

    /// Ends the connection that is replaced first. Returns whether there was one.
    pub(crate) fn spare_one(&self) -> bool {
        self.evict(Class::Newcomer) || self.evict(Class::Stranger)
    }

    /// The permits of a connection; one of the class `spare` is replaced if there are none.
    fn permits(&self, share: &Share, spare: Class) -> Option<[Permit; 2]> {
        let take = || {
            let slot = share.permit(Resource::Connections, 1)?;
            Some([slot, share.permit(Resource::Descriptors, 1)?])
        };
        take().or_else(|| self.evict(spare).then(take).flatten())
    }

    /// Ends one connection of a class, at the address that has most of those that can be replaced,
    /// and frees its slot at once.
    fn evict(&self, class: Class) -> bool {
        let mut entries = self.lock();
        let least = if class == Class::Stranger { IN_USE } else { Duration::ZERO };
        let mut crowds: HashMap<&Peer, (usize, Reverse<Instant>, u64)> = HashMap::new();
        for (number, entry) in &entries.map {
            let since = entry.spare_since(class).filter(|since| since.elapsed() >= least);
            let Some(since) = since else { continue };
            let first = (0, Reverse(since), *number);
            let (count, oldest, which) = crowds.entry(&entry.address).or_insert(first);
            *count += 1;
            (*oldest, *which) = (*oldest, *which).max((Reverse(since), *number));
        }
        let spared = crowds.values().max().map(|(.., number)| *number);
        let Some(entry) = spared.and_then(|number| entries.map.remove(&number)) else {
            return false;
        };
        entry.activity.leave.notify_one();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    pub(crate) fn activity(&self) -> Arc<SlotActivity> {
        Arc::clone(&self.activity)
    }

    /// Reclassifies the connection after the handshake. Returns its share of the gateway's budget,
    /// or `None` when there is no slot for it.
    pub(crate) fn settle(&mut self, who: Option<&ClientId>) -> Option<Share> {
        let (class, peer) = match who {
            Some(id) => (Class::Known, Peer::Name(id.to_string().into_bytes().into())),
            None => (Class::Stranger, self.address.clone()),
        };
        let share = self.slots.budget.share(class, peer);
        self.permits = Some(self.slots.permits(&share, Class::Stranger)?);
        self.slots.lock().map.remove(&self.number);
        Some(share)
    }

    /// From here on a stranger's connection may be replaced.
    pub(crate) fn expose(&mut self, link: &Link) {
        let Some(permits) = self.permits.take() else {
            return;
        };
        self.activity.touch();
        let (address, activity) = (self.address.clone(), Arc::clone(&self.activity));
        let entry = Entry { address, link: Some(link.clone()), activity, permits };
        self.slots.lock().map.insert(self.number, entry);
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.lock().map.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seacat_link::{BudgetLimits, Division};

    fn slots(connections: u64) -> Arc<ConnectionSlots> {
        let (memory, spool, descriptors) = (1 << 29, 1 << 30, 4096);
        let division = Division::Identities;
        let limits = BudgetLimits { memory, spool, descriptors, connections, division };
        ConnectionSlots::new(Budget::new(&limits))
    }

    fn at(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn has_to_leave(slot: &ConnectionSlot) -> bool {
        let mut leave = std::pin::pin!(slot.activity.leave());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        leave.as_mut().poll(&mut cx).is_ready()
    }

    /// 2 000 connections that never finish their handshake, from one address: another's can.
    #[test]
    fn the_oldest_of_the_largest_group_is_replaced() {
        let slots = slots(1024);
        let honest = slots.enter(at(1)).unwrap();
        let crowd: Vec<ConnectionSlot> = (0..2000).map(|_| slots.enter(at(2)).unwrap()).collect();
        let left: Vec<bool> = crowd.iter().map(has_to_leave).collect();
        assert_eq!(left.iter().filter(|left| **left).count(), 2000 - 64);
        assert!(left[0] && !left[1999] && !has_to_leave(&honest));
        let mut late = slots.enter(at(3)).unwrap();
        assert!(late.settle(None).is_some() && !has_to_leave(&late));
    }

    #[test]
    fn strangers_leave_slots_to_clients_with_an_identity() {
        let slots = slots(64);
        let mut strangers = Vec::new();
        for number in 0..200 {
            let mut slot = slots.enter(at(number)).unwrap();
            if slot.settle(None).is_some() {
                strangers.push(slot);
            }
        }
        assert_eq!(strangers.len(), 32);
        let known: Vec<ConnectionSlot> = (0..32)
            .map(|number| {
                let mut slot = slots.enter(at(1)).unwrap();
                assert!(slot.settle(Some(&ClientId::of_key(&[number]))).is_some(), "{number}");
                slot
            })
            .collect();
        drop((strangers, known));
        assert_eq!(slots.budget.used(Resource::Connections), 0);
        assert!(slots.lock().map.is_empty());
    }
}
