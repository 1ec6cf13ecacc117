//! Decides about signing requests, answers certificate queries and identifies clients.

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

/// The enrolment authority of one gateway.
pub(crate) struct Registrar {
    store: Arc<Store>,
    policy: Policy,
    ca: Arc<ClientCa>,
    capacity: Mutex<Capacity>,
    /// Changes are made one at a time. Waiting here does not occupy a thread.
    turn: tokio::sync::Mutex<()>,
}

/// The result of a CSR (wire specification, section 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stored,
    Approved,
    Rejected,
    /// Not stored, for a temporary reason such as a full disk or too many waiting requests.
    NotStored,
}

/// The result of a CERT_QUERY (wire specification, section 3.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Certificate(Vec<u8>),
    Pending,
    /// The request was rejected.
    Rejected,
    Nothing,
}

/// A certificate that a connection has presented, with proof of possession of the key.
#[derive(Debug, Clone)]
pub(crate) struct PresentedCertificate {
    pub(crate) id: ClientId,
    pub(crate) der: Vec<u8>,
}

impl PresentedCertificate {
    /// Its notAfter.
    pub(crate) fn until(&self) -> SystemTime {
        let parsed = X509Certificate::from_der(&self.der).ok();
        let until = parsed.map_or(0, |(_, it)| it.validity().not_after.timestamp());
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(until).unwrap_or(0))
    }
}

impl Registrar {
    /// A registrar for the clients in the store.
    pub(crate) fn new(
        store: Arc<Store>,
        policy: Policy,
        ca: Arc<ClientCa>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            capacity: Mutex::new(Capacity::count(&store)?),
            store,
            policy,
            ca,
            turn: tokio::sync::Mutex::new(()),
        })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Runs work that may block, serialized and outside the runtime's threads.
    pub(crate) async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.turn.lock().await;
        self.beside(work).await
    }

    /// Runs work that only reads, outside the runtime's threads.
    pub(crate) async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|error| Err(StoreError::Disk(std::io::Error::other(error))))
    }

    /// Handles a request whose signature is valid, with the characteristics that the client has
    /// sent on the same connection.
    pub(crate) fn submit(
        &self,
        request: &Request,
        shown: Option<&PresentedCertificate>,
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
                _ if record.is_none() && !self.reserve(request.id, address, decision) => {
                    Verdict::NotStored
                }
                Decision::Wait => {
                    let record = record.get_or_insert_with(|| Record::new(&request.der, now));
                    record.wait(&request.der, address, now);
                    Verdict::Stored
                }
                Decision::Issue if self.is_too_soon(record.as_ref(), now) => Verdict::NotStored,
                Decision::Issue => self.issue(record, request, now),
            };
            if let (Some(record), Some(facts)) = (record.as_mut(), facts) {
                record.characteristics = Some(facts.clone());
            }
            info!(client = %request.id.tag(), ?verdict, "CSR");
            verdict
        })
    }

    /// Whether the client was issued a certificate a moment ago.
    fn is_too_soon(&self, record: Option<&Record>, now: SystemTime) -> bool {
        let issued = record.filter(|it| it.state() == State::Issued);
        let issued = issued.filter(|_| self.policy.validity < Policy::REFERENCE_RENEWAL);
        issued.is_some_and(|it| {
            let age = now.duration_since(it.since());
            // A clock that was set back must not lock anybody out.
            age.is_ok_and(|age| age < self.policy.reissue_pause)
        })
    }

    /// Issues a certificate for a new request, or for the approved one: a renewal does not change
    /// the subject.
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

    /// Returns the certificate of a client, and issues it if the request was approved.
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
                // Still approved: the certificate could not be made, which is logged.
                State::Pending | State::Approved => Found::Pending,
                State::Revoked if record.asks_again().is_some() => Found::Pending,
                State::Rejected => Found::Rejected,
                State::Revoked => Found::Nothing,
                // An expired one is of no use: the client should submit again.
                State::Issued => record
                    .current(now)
                    .map_or(Found::Nothing, |current| Found::Certificate(current.der.0.clone())),
            }
        })
    }

    /// Stores a client's characteristics. Returns whether there is such a client.
    pub(crate) fn note(&self, id: &ClientId, facts: Facts) -> Result<bool, StoreError> {
        self.store.update(id, |record| match record {
            Some(record) => {
                record.characteristics = Some(facts);
                true
            }
            None => false,
        })
    }

    /// Looks a certificate up on the allow-list and returns until when it is valid.
    pub(crate) fn identify(
        &self,
        shown: &PresentedCertificate,
        now: SystemTime,
    ) -> Result<Result<SystemTime, NotListed>, StoreError> {
        Ok(match self.store.read(&shown.id)? {
            Some(record) => record.listed(&shown.der, now),
            None => Err(NotListed::Unknown),
        })
    }

    /// Deletes requests that have waited for too long. Clients that are still interested ask again.
    pub(crate) fn expire(&self, now: SystemTime) -> Result<(), StoreError> {
        let latest = now.checked_sub(self.policy.pending_expiry).unwrap_or(SystemTime::UNIX_EPOCH);
        let forgotten = self.store.forget_pending(|record| record.since() < latest)?;
        if !forgotten.is_empty() {
            info!(count = forgotten.len(), "requests were deleted: they have waited too long");
            let mut capacity = self.capacity.lock().unwrap_or_else(PoisonError::into_inner);
            capacity.count_again(&self.store)?;
        }
        Ok(())
    }

    /// Reserves space for one more client, if there is any. One address may have no more waiting
    /// requests than there is space left: strangers at one address cannot use up the space of all
    /// others.
    fn reserve(&self, id: ClientId, address: IpAddr, decision: Decision) -> bool {
        let mut capacity = self.capacity.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = decision == Decision::Wait;
        let address = Peer::at(address);
        let fits = |capacity: &Capacity| {
            let free = self.policy.max_pending.saturating_sub(capacity.pending.len());
            let own = capacity.pending.values().filter(|it| it.as_ref() == Some(&address)).count();
            let pending = !waits || (free > 0 && own < free.max(Capacity::LEAST));
            pending && capacity.clients < self.policy.max_clients
        };
        if !fits(&capacity)
            && capacity.counted.elapsed() > Capacity::COUNT_AGAIN
            && let Err(error) = capacity.count_again(&self.store)
        {
            warn!(%error, "the clients could not be counted");
        }
        let fits = fits(&capacity);
        if fits {
            capacity.clients += 1;
            capacity.pending.extend(waits.then_some((id, Some(address))));
        } else if let Some(more) = FULL.pass() {
            let (pending, clients) = (capacity.pending.len(), capacity.clients);
            warn!(?address, pending, clients, more, "a CSR was not stored: too many are there");
        }
        fits
    }
}

static FULL: Throttle = Throttle::new();

/// An upper bound of the number of clients. Administrators only ever lower it, so clients are
/// counted again only when the limit seems to be reached.
struct Capacity {
    clients: usize,
    /// The clients that wait, with their address.
    pending: HashMap<ClientId, Option<Peer>>,
    counted: Instant,
}

impl Capacity {
    /// Counting reads the record of every client that waits, so it is not repeated for each request
    /// at the limit.
    const COUNT_AGAIN: Duration = Duration::from_secs(2);

    /// Requests that may always wait at one address while there is any space: an office behind one
    /// address.
    const LEAST: usize = 16;

    /// Reads every record, once.
    fn count(store: &Store) -> Result<Self, StoreError> {
        let ids = store.ids()?;
        let mut capacity = Self {
            clients: ids.len(),
            pending: ids.into_iter().map(|id| (id, None)).collect(),
            counted: Instant::now(),
        };
        capacity.forget_answered(store);
        Ok(capacity)
    }

    fn count_again(&mut self, store: &Store) -> Result<(), StoreError> {
        self.clients = store.ids()?.len();
        self.forget_answered(store);
        self.counted = Instant::now();
        Ok(())
    }

    /// Removes clients that no longer wait, or whose record cannot be read.
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
    fn an_answered_request_frees_its_space() {
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
        registrar.capacity.lock().unwrap().counted -= Capacity::COUNT_AGAIN * 2;
        assert_eq!(submit(&registrar, &bob), Verdict::Stored);
        assert_eq!(submit(&registrar, &anna), Verdict::Rejected);
    }

    /// A client of the reference era renews without a pause while its certificate has less than 30 days.
    #[test]
    fn a_certificate_is_not_followed_by_the_next_at_once() {
        let validity = Duration::from_secs(86_400);
        let policy = Policy { mode: Mode::Automatic, validity, ..Policy::default() };
        let pause = policy.reissue_pause;
        let ca = Arc::new(ClientCa::generate().unwrap());
        let store = Arc::new(Store::in_memory());
        let registrar = Registrar::new(Arc::clone(&store), policy, ca).unwrap();
        let anna = Request::parse(&golden("csr")).unwrap();
        let submit = |shown: Option<&PresentedCertificate>, now| {
            registrar.submit(&anna, shown, None, [192, 0, 2, 1].into(), now).unwrap()
        };
        let now = SystemTime::now();
        assert_eq!(submit(None, now), Verdict::Approved);
        let Found::Certificate(der) = registrar.query(&anna.id, now).unwrap() else {
            panic!("no certificate");
        };
        let shown = Some(&PresentedCertificate { id: anna.id, der: der.clone() });
        // Records know whole seconds.
        let nearly = pause - Duration::from_secs(1);
        for renewal in 0..50 {
            assert_eq!(submit(shown, now + nearly * renewal / 50), Verdict::NotStored, "{renewal}");
        }
        assert_eq!(registrar.query(&anna.id, now).unwrap(), Found::Certificate(der));
        assert_eq!(submit(shown, now + pause), Verdict::Approved);
    }

    #[test]
    fn requests_that_waited_too_long_are_deleted() {
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
        assert_eq!(registrar.capacity.lock().unwrap().clients, 0);
    }

    #[test]
    fn one_address_leaves_space_to_others() {
        let policy = Policy { max_pending: 100, ..Policy::default() };
        let ca = Arc::new(ClientCa::generate().unwrap());
        let registrar = Registrar::new(Store::in_memory().into(), policy, ca).unwrap();
        let fill = |address: [u8; 4]| {
            let fits = |number: &u8| {
                let id = ClientId::of_key(&[*number, address[3]]);
                registrar.reserve(id, address.into(), Decision::Wait)
            };
            (0..u8::MAX).take_while(fits).count()
        };
        let took = [1, 2, 3, 4, 5].map(|number| fill([192, 0, 2, number]));
        assert_eq!(took, [50, 25, 16, 9, 0]);
    }
}
