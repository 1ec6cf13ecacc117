//! The places for clients' connections: how many there are, for whom, and who gives way.
//!
//! ```text
//!   accept ─► newcomer (TLS handshake) ─┬─► stranger (no identity)
//!                                       └─► known    (identity)
//! ```
//!
//! Each step needs a place in its class (see [`seacat_link::Budget`]). A newcomer that finds none takes
//! that of the oldest newcomer at the address that has most of them; any other that of the stranger
//! who rests longest at the address that has most. Clients with an identity never give way.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use seacat_link::{Budget, Class, Link, Peer, Permit, Resource, Share};
use tokio::sync::Notify;

use crate::client_id::ClientId;

/// A stranger's connection that was in use in this time does not give way: its client would
/// only come back.
const IN_USE: Duration = Duration::from_secs(10);

/// The connections of a gateway.
pub(crate) struct Places {
    budget: Budget,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    /// Those that can give way.
    map: HashMap<u64, Entry>,
}

struct Entry {
    address: Peer,
    /// `None` as long as it is a newcomer.
    link: Option<Link>,
    seat: Arc<Seat>,
    #[expect(dead_code, reason = "held, so that the place is taken")]
    permits: [Permit; 2],
}

/// What a connection and the places share.
pub(crate) struct Seat {
    used: Mutex<Instant>,
    leave: Notify,
}

/// One connection's place. Dropped, it is free.
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    address: Peer,
    seat: Arc<Seat>,
    /// Of a connection that does not give way.
    permits: Option<[Permit; 2]>,
}

impl Seat {
    /// The connection is in use now.
    pub(crate) fn touch(&self) {
        *self.used() = Instant::now();
    }

    /// Waits until the connection has to give way.
    pub(crate) async fn leave(&self) {
        self.leave.notified().await;
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Since when it can be spared, as a connection of this class.
    fn spare_since(&self, class: Class) -> Option<Instant> {
        let used = || *self.seat.used();
        match (&self.link, class) {
            (None, Class::Newcomer) => Some(used()),
            (Some(link), Class::Stranger) if link.health().streams == 0 => Some(used()),
            _ => None,
        }
    }
}

impl Places {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self { budget, entries: Mutex::default() })
    }

    /// A place for a connection from this address, whose handshake begins.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = Peer::at(address);
        let share = self.budget.share(Class::Newcomer, address.clone());
        let permits = self.permits(&share, Class::Newcomer)?;
        let seat = Arc::new(Seat { used: Mutex::new(Instant::now()), leave: Notify::new() });
        let mut entries = self.lock();
        let number = entries.next;
        entries.next += 1;
        let entry =
            Entry { address: address.clone(), link: None, seat: Arc::clone(&seat), permits };
        entries.map.insert(number, entry);
        drop(entries);
        Some(Place { places: Arc::clone(self), number, address, seat, permits: None })
    }

    /// Ends strangers' connections that have rested for so long.
    pub(crate) fn sweep(&self, longest_rest: Duration) {
        for entry in self.lock().map.values() {
            let since = entry.spare_since(Class::Stranger);
            if since.is_some_and(|since| since.elapsed() >= longest_rest) {
                entry.seat.leave.notify_one();
            }
        }
    }

    /// Ends the connection that can best be spared. Says whether there was one.
    pub(crate) fn make_room(&self) -> bool {
        self.evict(Class::Newcomer) || self.evict(Class::Stranger)
    }

    /// What a connection needs; one of the class `spare` gives way if there is no other.
    fn permits(&self, share: &Share, spare: Class) -> Option<[Permit; 2]> {
        let take = || {
            let place = share.permit(Resource::Connections, 1)?;
            Some([place, share.permit(Resource::Descriptors, 1)?])
        };
        take().or_else(|| self.evict(spare).then(take).flatten())
    }

    /// Ends one connection of a class, at the address that has most of those that can be spared, and
    /// frees its place at once.
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
        entry.seat.leave.notify_one();
        true
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }

    /// The handshake is done, and the client is this one or a stranger. Returns what it may use of the
    /// gateway's account, or `None` when there is no place for it.
    pub(crate) fn settle(&mut self, who: Option<&ClientId>) -> Option<Share> {
        let (class, peer) = match who {
            Some(id) => (Class::Known, Peer::Name(id.to_string().into_bytes().into())),
            None => (Class::Stranger, self.address.clone()),
        };
        let share = self.places.budget.share(class, peer);
        self.permits = Some(self.places.permits(&share, Class::Stranger)?);
        self.places.lock().map.remove(&self.number);
        Some(share)
    }

    /// From here on a stranger's connection may have to give way.
    pub(crate) fn expose(&mut self, link: &Link) {
        let Some(permits) = self.permits.take() else {
            return;
        };
        self.seat.touch();
        let (address, seat) = (self.address.clone(), Arc::clone(&self.seat));
        let entry = Entry { address, link: Some(link.clone()), seat, permits };
        self.places.lock().map.insert(self.number, entry);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().map.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seacat_link::{BudgetLimits, Division};

    fn places(connections: u64) -> Arc<Places> {
        let (memory, spool, descriptors) = (1 << 29, 1 << 30, 4096);
        let division = Division::Identities;
        let limits = BudgetLimits { memory, spool, descriptors, connections, division };
        Places::new(Budget::new(&limits))
    }

    fn at(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn has_to_leave(place: &Place) -> bool {
        let mut leave = std::pin::pin!(place.seat.leave());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        leave.as_mut().poll(&mut cx).is_ready()
    }

    /// 2 000 connections that never finish their handshake, from one address: another's can.
    #[test]
    fn the_oldest_of_the_largest_crowd_gives_way() {
        let places = places(1024);
        let honest = places.enter(at(1)).unwrap();
        let crowd: Vec<Place> = (0..2000).map(|_| places.enter(at(2)).unwrap()).collect();
        let left: Vec<bool> = crowd.iter().map(has_to_leave).collect();
        assert_eq!(left.iter().filter(|left| **left).count(), 2000 - 64);
        assert!(left[0] && !left[1999] && !has_to_leave(&honest));
        let mut late = places.enter(at(3)).unwrap();
        assert!(late.settle(None).is_some() && !has_to_leave(&late));
    }

    #[test]
    fn strangers_leave_places_to_clients_with_an_identity() {
        let places = places(64);
        let mut strangers = Vec::new();
        for number in 0..200 {
            let mut place = places.enter(at(number)).unwrap();
            if place.settle(None).is_some() {
                strangers.push(place);
            }
        }
        assert_eq!(strangers.len(), 32);
        let known: Vec<Place> = (0..32)
            .map(|number| {
                let mut place = places.enter(at(1)).unwrap();
                assert!(place.settle(Some(&ClientId::of_key(&[number]))).is_some(), "{number}");
                place
            })
            .collect();
        drop((strangers, known));
        assert_eq!(places.budget.used(Resource::Connections), 0);
        assert!(places.lock().map.is_empty());
    }
}
