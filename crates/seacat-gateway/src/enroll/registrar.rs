//! Answers the questions of enrolment: may it, where is it, who is it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use seacat_link::{Peer, Throttle};
use tracing::{error, info, warn};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::ca::ClientCa;
use super::policy::{Decision, Mode, Policy};
use super::record::{Facts, NotListed, Record, State};
use super::request::Request;
use super::store::{Store, StoreError};
use crate::client_id::ClientId;

/// Keeps the records of one gateway.
pub(crate) struct Registrar {
    store: Arc<Store>,
    policy: Policy,
    ca: Arc<ClientCa>,
    room: Mutex<Room>,
    /// One change at a time anyway: whoever waits should not occupy a thread meanwhile.
    turn: tokio::sync::Mutex<()>,
}

/// What a CSR comes to (wire specification, section 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stored,
    Approved,
    Rejected,
    /// Not now, for a passing reason: the disk is full, say, or too many wait.
    NotStored,
}

/// What a CERT_QUERY comes to (wire specification, section 3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Certificate(Vec<u8>),
    Pending,
    /// A human has said no.
    Rejected,
    Nothing,
}

/// A certificate that a connection has shown, with proof that it holds the key.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) id: ClientId,
    pub(crate) der: Vec<u8>,
}

impl Shown {
    /// When it says that it ends.
    pub(crate) fn until(&self) -> SystemTime {
        let parsed = X509Certificate::from_der(&self.der).ok();
        let until = parsed.map_or(0, |(_, it)| it.validity().not_after.timestamp());
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(until).unwrap_or(0))
    }
}

impl Registrar {
    /// Takes over the clients that are in the store.
    pub(crate) fn new(
        store: Arc<Store>,
        policy: Policy,
        ca: Arc<ClientCa>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            room: Mutex::new(Room::count(&store)?),
            store,
            policy,
            ca,
            turn: tokio::sync::Mutex::new(()),
        })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Does work that may wait for the disk, in its turn and beside the runtime.
    pub(crate) async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().await;
        self.beside(work).await
    }

    /// Does work that only reads, beside the runtime.
    pub(crate) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|error| Err(StoreError::Disk(std::io::Error::other(error))))
    }

    /// Takes a request whose signature is good, and what the client has told about itself on
    /// the same connection.
    pub(crate) fn submit(
        &self,
        request: &Request,
        shown: Option<&Shown>,
        facts: Option<&Facts>,
        address: IpAddr,
        now: SystemTime,
    ) -> Result<Verdict, StoreError> {
        self.store.update(&request.id, |record| {
            let shown = match (record.as_ref(), shown) {
                (Some(record), Some(shown)) if shown.id == request.id => {
                    record.listed(&shown.der, now).is_ok()
                }
                _ => false,
            };
            let decision = self.policy.decide(record.as_ref(), shown, now);
            let verdict = match decision {
                Decision::Reject => Verdict::Rejected,
                Decision::Ready => Verdict::Approved,
                _ if record.is_none() && !self.make_room(request.id, address, decision) => {
                    Verdict::NotStored
                }
                Decision::Wait => {
                    let record = record.get_or_insert_with(|| Record::new(&request.der, now));
                    record.wait(&request.der, address, now);
                    Verdict::Stored
                }
                Decision::Issue => self.issue(record, request, now),
            };
            if let (Some(record), Some(facts)) = (record.as_mut(), facts) {
                record.characteristics = Some(facts.clone());
            }
            info!(client = %request.id.tag(), ?verdict, "CSR");
            verdict
        })
    }

    /// Makes a certificate of a new request, or of the one that a human has approved: a client
    /// does not change its name by renewing.
    fn issue(&self, record: &mut Option<Record>, new: &Request, now: SystemTime) -> Verdict {
        let approved = match record {
            Some(record) if self.policy.mode != Mode::Automatic => {
                Request::parse(&record.csr.0).ok()
            }
            _ => None,
        };
        let request = approved.as_ref().unwrap_or(new);
        match self.ca.issue(request, self.policy.validity, now) {
            Ok(certificate) => {
                let record = record.get_or_insert_with(|| Record::new(&request.der, now));
                record.issue(request.der.clone(), certificate, now);
                info!(client = %new.id.tag(), until = ?record.until(), "a certificate was issued");
                Verdict::Approved
            }
            Err(error) => {
                error!(client = %new.id.tag(), %error, "no certificate could be made");
                Verdict::NotStored
            }
        }
    }

    /// Looks for the certificate of a client, and makes it if a human has approved one.
    pub(crate) fn query(&self, id: &ClientId, now: SystemTime) -> Result<Found, StoreError> {
        self.store.update(id, |known| {
            let Some(record) = known else {
                return Found::Nothing;
            };
            if record.state() == State::Approved
                && let Ok(request) = Request::parse(&record.csr.0)
            {
                self.issue(known, &request, now);
            }
            let Some(record) = known else {
                return Found::Nothing;
            };
            match record.state() {
                // Approved still: the certificate could not be made, which is in our log.
                State::Pending | State::Approved => Found::Pending,
                State::Revoked if record.asks_again().is_some() => Found::Pending,
                State::Rejected => Found::Rejected,
                State::Revoked => Found::Nothing,
                // One that is over helps nobody: the client should submit again.
                State::Issued => record
                    .current(now)
                    .map_or(Found::Nothing, |current| Found::Certificate(current.der.0.clone())),
            }
        })
    }

    /// Keeps what a client tells about itself. Says whether there is such a client.
    pub(crate) fn note(&self, id: &ClientId, facts: Facts) -> Result<bool, StoreError> {
        self.store.update(id, |record| match record {
            Some(record) => {
                record.characteristics = Some(facts);
                true
            }
            None => false,
        })
    }

    /// Looks a certificate up on the allow-list; says until when it counts.
    pub(crate) fn identify(
        &self,
        shown: &Shown,
        now: SystemTime,
    ) -> Result<Result<SystemTime, NotListed>, StoreError> {
        Ok(match self.store.read(&shown.id)? {
            Some(record) => record.listed(&shown.der, now),
            None => Err(NotListed::Unknown),
        })
    }

    /// Forgets newcomers who have waited for too long. Their clients ask again, if there still are
    /// any.
    pub(crate) fn expire(&self, now: SystemTime) -> Result<(), StoreError> {
        let latest = now.checked_sub(self.policy.pending_expiry).unwrap_or(SystemTime::UNIX_EPOCH);
        let forgotten = self.store.forget_pending(|record| record.since() < latest)?;
        if !forgotten.is_empty() {
            info!(count = forgotten.len(), "newcomers were forgotten: they have waited too long");
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            room.count_again(&self.store)?;
        }
        Ok(())
    }

    /// Takes a place for one more client, if there is one. One address has no more places than are
    /// free: strangers who come from one cannot take those of all others.
    fn make_room(&self, id: ClientId, address: IpAddr, decision: Decision) -> bool {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = decision == Decision::Wait;
        let address = Peer::at(address);
        let fits = |room: &Room| {
            let free = self.policy.max_pending.saturating_sub(room.pending.len());
            let own = room.pending.values().filter(|it| it.as_ref() == Some(&address)).count();
            let pending = !waits || (free > 0 && own < free.max(Room::LEAST));
            pending && room.clients < self.policy.max_clients
        };
        if !fits(&room)
            && room.counted.elapsed() > Room::COUNT_AGAIN
            && let Err(error) = room.count_again(&self.store)
        {
            warn!(%error, "the clients could not be counted");
        }
        let fits = fits(&room);
        if fits {
            room.clients += 1;
            room.pending.extend(waits.then_some((id, Some(address))));
        } else if let Some(more) = FULL.pass() {
            let (pending, clients) = (room.pending.len(), room.clients);
            warn!(?address, pending, clients, more, "a CSR was not stored: too many are there");
        }
        fits
    }
}

static FULL: Throttle = Throttle::new();

/// How many clients there are, at most. Administrators only ever make them fewer, so counting
/// again can wait until there seems to be no room.
struct Room {
    clients: usize,
    /// Who waits, and where from.
    pending: HashMap<ClientId, Option<Peer>>,
    counted: Instant,
}

impl Room {
    /// Counting asks the disk for every client that waits, so it is not done for each stranger
    /// who knocks at a full house.
    const COUNT_AGAIN: Duration = Duration::from_secs(2);

    /// Newcomers who may wait at one address while there is any place: an office.
    const LEAST: usize = 16;

    /// Reads every record, once.
    fn count(store: &Store) -> Result<Self, StoreError> {
        let ids = store.ids()?;
        let mut room = Self {
            clients: ids.len(),
            pending: ids.into_iter().map(|id| (id, None)).collect(),
            counted: Instant::now(),
        };
        room.forget_answered(store);
        Ok(room)
    }

    fn count_again(&mut self, store: &Store) -> Result<(), StoreError> {
        self.clients = store.ids()?.len();
        self.forget_answered(store);
        self.counted = Instant::now();
        Ok(())
    }

    /// Keeps those who still wait. A record that cannot be read is not one of them.
    fn forget_answered(&mut self, store: &Store) {
        self.pending.retain(|id, address| match store.read(id) {
            Ok(Some(record)) if record.state() == State::Pending => {
                *address = record.address().map(Peer::at);
                true
            }
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enroll::request::tests::golden;

    #[test]
    fn who_was_answered_makes_room() {
        let policy = Policy { max_pending: 1, ..Policy::default() };
        let ca = Arc::new(ClientCa::generate().unwrap());
        let store = Arc::new(Store::in_memory());
        let start = || Registrar::new(Arc::clone(&store), policy.clone(), Arc::clone(&ca)).unwrap();
        let [anna, bob] =
            ["csr", "csr_with_subject"].map(|name| Request::parse(&golden(name)).unwrap());
        let registrar = start();
        let now = SystemTime::now();
        let submit = |registrar: &Registrar, request: &Request| {
            registrar.submit(request, None, None, [192, 0, 2, 1].into(), now).unwrap()
        };
        assert_eq!(submit(&registrar, &anna), Verdict::Stored);
        assert_eq!(submit(&registrar, &bob), Verdict::NotStored);
        assert_eq!(submit(&start(), &bob), Verdict::NotStored, "after a restart");
        store.reject(&anna.id).unwrap();
        assert_eq!(submit(&registrar, &bob), Verdict::NotStored, "counted just now");
        registrar.room.lock().unwrap().counted -= Room::COUNT_AGAIN * 2;
        assert_eq!(submit(&registrar, &bob), Verdict::Stored);
        assert_eq!(submit(&registrar, &anna), Verdict::Rejected);
    }

    #[test]
    fn who_has_waited_too_long_is_forgotten() {
        let policy = Policy::default();
        let expiry = policy.pending_expiry;
        let ca = Arc::new(ClientCa::generate().unwrap());
        let store = Arc::new(Store::in_memory());
        let registrar = Registrar::new(Arc::clone(&store), policy, ca).unwrap();
        let anna = Request::parse(&golden("csr")).unwrap();
        let now = SystemTime::now();
        registrar.submit(&anna, None, None, [192, 0, 2, 1].into(), now).unwrap();
        registrar.expire(now + expiry - Duration::from_secs(1)).unwrap();
        assert!(store.read(&anna.id).unwrap().is_some());
        registrar.expire(now + expiry + Duration::from_secs(2)).unwrap();
        assert!(store.read(&anna.id).unwrap().is_none());
        assert_eq!(registrar.room.lock().unwrap().clients, 0);
    }

    #[test]
    fn one_address_leaves_places_to_others() {
        let policy = Policy { max_pending: 100, ..Policy::default() };
        let ca = Arc::new(ClientCa::generate().unwrap());
        let registrar = Registrar::new(Store::in_memory().into(), policy, ca).unwrap();
        let fill = |address: [u8; 4]| {
            let fits = |number: &u8| {
                let id = ClientId::of_key(&[*number, address[3]]);
                registrar.make_room(id, address.into(), Decision::Wait)
            };
            (0..u8::MAX).take_while(fits).count()
        };
        let took = [1, 2, 3, 4, 5].map(|number| fill([192, 0, 2, number]));
        assert_eq!(took, [50, 25, 16, 9, 0]);
    }
}
