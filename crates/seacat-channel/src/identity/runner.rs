//! Runs the life cycle: it waits for one thing, tells the machine, and does what the machine says.
//! Frames leave at once; keys and files are worked on one after the other, away from the event
//! loop.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use seacat_link::Link;
use seacat_proto::frame::{Cert, CertQuery, Characteristics, CharacteristicsAck, Csr, CsrReply};
use seacat_proto::{Bytes, Control};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::certificate::Certificate;
use super::csr::Subject;
use super::import::Imported;
use super::key::Key;
use super::lifecycle::{
    Action, Input, LOOK_AGAIN, Lifecycle, Mark, Now, Opened, PACE, Step, Verdict,
};
use super::presenter::{Certified, Shown};
use super::status::{CertificateInfo, IdentityStatus, Phase};
use super::store::{Found, Place, Store, StoreError};
use super::{IdentityConfig, IdentityError, facts};
use crate::driver::now as mono;

/// The connection that frames may take.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) link: Link,
    pub(crate) generation: u64,
    /// It showed our certificate.
    pub(crate) identified: bool,
}

/// What the channel's driver passes on.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Control),
    /// A connection was refused because of the certificate it showed.
    Refused,
}

/// Frames that wait for the runner, which is never busy for long. One that is lost comes again.
pub(crate) const HEARD: usize = 16;

/// What the channel's driver holds.
pub(crate) struct Port {
    pub(crate) wire: watch::Sender<Option<Wire>>,
    pub(crate) heard: mpsc::Sender<Heard>,
    pub(crate) shown: watch::Receiver<Shown>,
}

/// A wish, and where to say what became of it.
pub(crate) enum Wish {
    Enroll { common_name: Option<String>, reply: Reply<()> },
    Renew { reply: Reply<()> },
    Reset { reply: Reply<()> },
    Import { imported: Box<Imported>, reply: Reply<()> },
    Request { reply: Reply<Vec<u8>> },
    Certificate { reply: Reply<Vec<u8>> },
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, IdentityError>>;

enum Job {
    Open,
    Make,
    Write(Subject),
    Install(Bytes),
    Delete(Option<Reply<()>>),
    Import(Box<Imported>, Reply<()>),
    Remember(Mark, Option<i64>),
    Name(Option<String>),
    Facts(u32, String),
    Acknowledged(u32),
    Settle,
}

enum Done {
    Opened(Result<Found, StoreError>),
    Made(Result<Arc<dyn Key>, StoreError>),
    Written(Result<Vec<u8>, StoreError>),
    Installed(Result<Certificate, StoreError>),
    Deleted(Result<(), StoreError>, Option<Reply<()>>),
    Imported(Result<(Arc<dyn Key>, Certificate), StoreError>, Reply<()>),
    Noted(Result<(), StoreError>),
}

/// See the module.
pub(crate) struct Runner {
    config: IdentityConfig,
    machine: Lifecycle,
    /// Not there while somebody works with it.
    store: Option<Store>,
    at_work: Option<JoinHandle<(Store, Done)>>,
    jobs: VecDeque<Job>,
    found: Found,
    /// The last certificate that came, for [`Action::Install`].
    came: Bytes,
    reset_reply: Option<Reply<()>>,
    wire: watch::Receiver<Option<Wire>>,
    current: Option<Wire>,
    /// The last CERT_QUERY on this connection.
    query: u16,
    heard: mpsc::Receiver<Heard>,
    wishes: mpsc::Receiver<Wish>,
    shown: watch::Sender<Shown>,
    status: watch::Sender<IdentityStatus>,
    status_place: (Option<String>, Option<String>),
    serial: u32,
    acknowledged: u32,
    settle_at: std::time::Instant,
    problem: Option<String>,
    key_problem: Option<String>,
}

enum Event {
    Worked(Box<(Store, Done)>),
    Wire,
    Heard(Heard),
    Wish(Wish),
    Timer,
    Over,
}

impl Runner {
    pub(crate) fn new(
        config: IdentityConfig,
        store: Store,
        wire: watch::Receiver<Option<Wire>>,
        heard: mpsc::Receiver<Heard>,
        wishes: mpsc::Receiver<Wish>,
        shown: watch::Sender<Shown>,
        status: watch::Sender<IdentityStatus>,
    ) -> Self {
        Self {
            machine: Lifecycle::new(config.automatic),
            config,
            store: Some(store),
            at_work: None,
            jobs: VecDeque::from([Job::Open]),
            found: Found::default(),
            came: Bytes::new(),
            reset_reply: None,
            wire,
            current: None,
            query: 0,
            heard,
            wishes,
            shown,
            status,
            status_place: (None, None),
            serial: 0,
            acknowledged: 0,
            settle_at: mono() + LOOK_AGAIN,
            problem: None,
            key_problem: None,
        }
    }

    /// Runs until the channel is over. What is being written then is written to its end.
    pub(crate) async fn run(mut self) {
        loop {
            self.work();
            self.publish();
            match self.next_event().await {
                Event::Worked(worked) => self.worked(worked.0, worked.1),
                Event::Wire => self.wire_changed(),
                Event::Heard(Heard::Frame(frame)) => self.frame(frame),
                Event::Heard(Heard::Refused) => self.tell(Input::Refused),
                Event::Wish(wish) => self.wish(wish),
                Event::Timer => self.timer(),
                Event::Over => break,
            }
        }
        if let Some(at_work) = self.at_work.take() {
            let _ = at_work.await;
        }
    }

    async fn next_event(&mut self) -> Event {
        let settle = matches!(self.machine.step(), Step::Idle { .. }).then_some(self.settle_at);
        let deadline = self.machine.deadline(now()).into_iter().chain(settle).min();
        let at_work = async {
            match self.at_work.as_mut() {
                Some(at_work) => at_work.await,
                None => pending().await,
            }
        };
        tokio::select! {
            worked = at_work => match worked {
                Ok(worked) => Event::Worked(Box::new(worked)),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => Event::Over,
                },
            },
            changed = self.wire.changed() => match changed {
                Ok(()) => Event::Wire,
                Err(_) => Event::Over,
            },
            Some(heard) = self.heard.recv() => Event::Heard(heard),
            Some(wish) = self.wishes.recv() => Event::Wish(wish),
            () = sleep_until(deadline.unwrap_or_else(mono).into()), if deadline.is_some() => Event::Timer,
        }
    }

    fn timer(&mut self) {
        if mono() >= self.settle_at {
            self.settle_at = mono() + LOOK_AGAIN;
            self.jobs.push_back(Job::Settle);
        }
        self.tell(Input::Timer);
    }

    fn tell(&mut self, input: Input) {
        let before = self.machine.step();
        for action in self.machine.handle(input, now()) {
            self.perform(action);
        }
        if before != self.machine.step() {
            tracing::debug!(?input, step = ?self.machine.step(), "identity");
        }
    }

    fn perform(&mut self, action: Action) {
        let job = match action {
            Action::Open => Job::Open,
            Action::MakeKey => Job::Make,
            Action::WriteCsr => Job::Write(self.config.subject.clone()),
            Action::Install => Job::Install(std::mem::take(&mut self.came)),
            Action::Delete => Job::Delete(self.reset_reply.take()),
            Action::Remember(mark) => {
                let sent = (mark == Mark::Ready).then(|| now().wall);
                Job::Remember(mark, sent)
            }
            Action::SendCsr => return self.send_csr(),
            Action::Query => return self.send_query(),
            Action::Reconnect => {
                self.show(true);
                return;
            }
        };
        self.jobs.push_back(job);
    }

    fn send(&self, frame: &Control) {
        let Some(wire) = &self.current else { return };
        if let Err(error) = wire.link.control(frame) {
            tracing::warn!(%error, "a frame about the identity cannot be sent");
        }
    }

    fn send_csr(&self) {
        let Some(der) = &self.found.request else {
            return;
        };
        tracing::info!(bytes = der.len(), "asking the gateway for a certificate");
        self.send(&Control::Csr(Csr { flags: Csr::FLAGS, der: Bytes::copy_from_slice(der) }));
    }

    /// Wire specification, section 3.9: ids from 1 on each connection, without 0; the key only
    /// where the connection does not show it.
    fn send_query(&mut self) {
        let (Some(wire), Some(key)) = (&self.current, &self.found.key) else {
            return;
        };
        self.query = self.query.checked_add(1).unwrap_or(1);
        let public_key = match wire.identified {
            true => Bytes::new(),
            false => Bytes::copy_from_slice(key.public_key()),
        };
        self.send(&Control::CertQuery(CertQuery {
            id: self.query,
            query: CertQuery::MINE,
            public_key,
        }));
    }

    fn wire_changed(&mut self) {
        let wire = self.wire.borrow_and_update().clone();
        let same =
            self.current.as_ref().map(|it| it.generation) == wire.as_ref().map(|it| it.generation);
        if same {
            return;
        }
        self.query = 0;
        if self.current.take().is_some() {
            self.tell(Input::LinkDown);
        }
        if wire.is_some() {
            self.current = wire;
            self.tell(Input::LinkUp);
            self.send_facts();
        }
    }

    fn send_facts(&self) {
        let facts: Vec<(&str, &str)> =
            self.config.facts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if facts.is_empty() || self.serial == 0 || self.serial == self.acknowledged {
            return;
        }
        match Characteristics::new(self.serial, &facts) {
            Ok(facts) => self.send(&Control::Characteristics(facts)),
            Err(error) => tracing::warn!(%error, "the characteristics cannot be sent"),
        }
    }

    fn frame(&mut self, frame: Control) {
        match frame {
            Control::CsrReply(CsrReply { flags }) => self.tell(Input::Reply(flags)),
            Control::Cert(cert) if cert.id != self.query => {
                tracing::debug!(id = cert.id, "an answer to another question");
            }
            Control::Cert(Cert { certificate, .. }) if !certificate.is_empty() => {
                self.came = certificate;
                self.tell(Input::Certificate);
            }
            Control::Cert(Cert { flags, .. }) if flags & Cert::NOT_FOUND != 0 => {
                self.tell(Input::NotFound);
            }
            Control::Cert(_) => self.tell(Input::NotYet),
            Control::CharacteristicsAck(CharacteristicsAck { serial }) if serial == self.serial => {
                self.acknowledged = serial;
                self.jobs.push_back(Job::Acknowledged(serial));
            }
            other => tracing::trace!(?other, "nobody waits for this frame"),
        }
    }

    fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Enroll { common_name, reply } => {
                let mut subject = self.config.subject.clone();
                if common_name.is_some() {
                    subject.common_name = common_name.clone();
                }
                if let Err(error) = subject.validate() {
                    let _ = reply.send(Err(IdentityError::Subject(error)));
                    return;
                }
                self.config.subject = subject;
                if common_name.is_some() {
                    self.jobs.push_back(Job::Name(common_name));
                }
                self.tell(Input::Enroll);
                let _ = reply.send(Ok(()));
            }
            Wish::Renew { reply } => {
                let outcome = match self.found.certificate {
                    Some(_) => {
                        self.tell(Input::Enroll);
                        Ok(())
                    }
                    None => Err(IdentityError::NotEnrolled),
                };
                let _ = reply.send(outcome);
            }
            Wish::Reset { reply } if self.reset_reply.is_none() => {
                self.reset_reply = Some(reply);
                self.tell(Input::Reset);
                // Under way already.
                if let Some(reply) = self.reset_reply.take() {
                    let _ = reply.send(Err(IdentityError::Busy));
                }
            }
            Wish::Reset { reply } => drop(reply.send(Err(IdentityError::Busy))),
            Wish::Import { imported, reply } => match self.machine.step() {
                Step::Opening | Step::Deleting | Step::Locked { .. } => {
                    let _ = reply.send(Err(IdentityError::Busy));
                }
                _ => self.jobs.push_back(Job::Import(imported, reply)),
            },
            Wish::Request { reply } => {
                let der = self.found.request.clone();
                let _ = reply.send(der.ok_or(IdentityError::NoRequest));
            }
            Wish::Certificate { reply } => {
                let der = self.found.certificate.as_ref().map(|it| it.der().to_vec());
                let _ = reply.send(der.ok_or(IdentityError::NotEnrolled));
            }
        }
    }

    /// Gives the store the next job, if it is free.
    fn work(&mut self) {
        let Some(mut store) = self.store.take() else {
            return;
        };
        let Some(job) = self.jobs.pop_front() else {
            self.store = Some(store);
            return;
        };
        let key = self.found.key.clone();
        let size = self.config.size;
        self.at_work = Some(tokio::task::spawn_blocking(move || {
            let done = perform(&mut store, job, key.as_deref(), size);
            (store, done)
        }));
    }

    fn worked(&mut self, store: Store, done: Done) {
        self.at_work = None;
        self.status_place = (store.place(), store.problem.as_ref().map(ToString::to_string));
        let (record, in_making) =
            (store.record.clone(), matches!(store.record.place, Place::Making(_)));
        self.store = Some(store);
        match done {
            Done::Opened(found) => self.opened(found, &record, in_making),
            Done::Made(made) => {
                self.note(made.as_ref().err());
                let done = made.is_ok();
                if let Ok(key) = made {
                    tracing::info!(tag = key.client_id().tag(), "a new key");
                    self.found.key = Some(key);
                }
                self.tell(Input::Made(done));
            }
            Done::Written(written) => {
                self.note(written.as_ref().err());
                let done = written.is_ok();
                if let Ok(der) = written {
                    self.found.request = Some(der);
                }
                self.tell(Input::Written(done));
            }
            Done::Installed(installed) => self.installed(installed),
            Done::Deleted(deleted, reply) => {
                self.note(deleted.as_ref().err());
                let done = deleted.is_ok();
                if done {
                    self.found = Found::default();
                    tracing::info!("the identity is deleted");
                }
                if let Some(reply) = reply {
                    let _ = reply
                        .send(deleted.map_err(|error| IdentityError::Store(error.to_string())));
                }
                self.tell(Input::Deleted(done));
            }
            Done::Imported(imported, reply) => {
                self.note(imported.as_ref().err());
                let outcome = imported.map(|(key, certificate)| {
                    let validity = certificate.validity;
                    self.found =
                        Found { key: Some(key), certificate: Some(certificate), request: None };
                    self.tell(Input::Imported(validity));
                });
                let _ =
                    reply.send(outcome.map_err(|error| IdentityError::Store(error.to_string())));
            }
            Done::Noted(noted) => self.note(noted.as_ref().err()),
        }
    }

    /// What failed on this computer is shown until something works.
    fn note(&mut self, error: Option<&StoreError>) {
        if let Some(error) = error {
            tracing::warn!(%error, "the identity");
        }
        self.problem = error.map(ToString::to_string);
    }

    fn opened(
        &mut self,
        found: Result<Found, StoreError>,
        record: &super::store::Record,
        in_making: bool,
    ) {
        if let Some(name) = &record.common_name {
            self.config.subject.common_name = Some(name.clone());
        }
        self.number_facts(record);
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.key_problem = Some(error.to_string());
                self.note(Some(&error));
                return self.tell(Input::Opened(Opened::Locked));
            }
        };
        self.key_problem = None;
        self.problem = None;
        self.found = found;
        let opened = match &self.found.key {
            None => Opened::Missing,
            Some(_) => Opened::Found {
                certificate: self.found.certificate.as_ref().map(|it| it.validity),
                // A mark without its request is of no use.
                mark: match record.mark {
                    Mark::Ready | Mark::Waiting if self.found.request.is_none() => Mark::Idle,
                    mark => mark,
                },
                last_try: record.last_try.and_then(within_pace),
            },
        };
        debug_assert!(!in_making || self.found.key.is_none());
        self.tell(Input::Opened(opened));
    }

    /// A number for what we tell; a new one when it has changed since.
    fn number_facts(&mut self, record: &super::store::Record) {
        let fingerprint = facts::fingerprint(&self.config.facts);
        let (serial, last) = &record.facts;
        self.acknowledged = record.acknowledged;
        self.serial = *serial;
        if *last != fingerprint {
            self.serial = serial.checked_add(1).unwrap_or(1);
            self.jobs.push_back(Job::Facts(self.serial, fingerprint));
        }
    }

    fn installed(&mut self, installed: Result<Certificate, StoreError>) {
        let verdict = match installed {
            Ok(certificate) => {
                self.note(None);
                let same = self.found.certificate.as_ref() == Some(&certificate);
                let validity = certificate.validity;
                if same {
                    Verdict::Same
                } else {
                    tracing::info!(serial = certificate.serial, "a certificate from the gateway");
                    self.found.certificate = Some(certificate);
                    self.found.request = None;
                    Verdict::Installed(validity)
                }
            }
            Err(error) => {
                let wrong = matches!(error, StoreError::Certificate(_));
                self.note(Some(&error));
                if wrong { Verdict::Wrong } else { Verdict::NotStored }
            }
        };
        self.tell(Input::Checked(verdict));
    }

    /// What connections show; `moved` when those that are there must not stay.
    fn show(&mut self, moved: bool) {
        let certificate = self.found.certificate.as_ref().filter(|_| self.machine.presents(now()));
        let key = self.found.key.clone();
        let ready = self.shown.borrow().ready || self.machine.step() != Step::Opening;
        self.shown.send_if_modified(|shown| {
            let unchanged = shown.certified.as_ref().and_then(|it| it.chain().first())
                == certificate.map(Certificate::der);
            if unchanged && !moved && shown.ready == ready {
                return false;
            }
            shown.ready = ready;
            shown.certified = certificate
                .zip(key)
                .map(|(certificate, key)| Arc::new(Certified::new(certificate.der(), key)));
            shown.moves += u64::from(moved);
            true
        });
    }

    fn publish(&mut self) {
        // An expired certificate is not shown to the next connection.
        self.show(false);
        let status = self.view();
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            if changed && old.phase != status.phase {
                tracing::info!(phase = ?status.phase, "identity");
            }
            *old = status;
            changed
        });
    }

    fn view(&self) -> IdentityStatus {
        let (key_place, problem) = self.status_place.clone();
        IdentityStatus {
            phase: self.phase(),
            client_id: self.found.key.as_ref().map(|key| key.client_id()),
            certificate: self.found.certificate.as_ref().map(|it| CertificateInfo {
                subject: it.subject.clone(),
                issuer: it.issuer.clone(),
                serial: it.serial.clone(),
                not_before: it.validity.not_before,
                not_after: it.validity.not_after,
                renew_at: it.validity.renew_at(),
            }),
            key_place,
            key_problem: self.key_problem.clone().or(problem),
            problem: self.problem.clone(),
            facts: self.config.facts.clone(),
        }
    }

    fn phase(&self) -> Phase {
        let machine = &self.machine;
        let valid = machine.presents(now());
        match machine.step() {
            Step::Opening => Phase::Opening,
            Step::Locked { .. } => Phase::Locked,
            Step::NoKey { .. } => Phase::NoKey,
            Step::Making => Phase::MakingKey,
            Step::Rejected => Phase::Rejected,
            Step::Deleting => Phase::Resetting,
            Step::Idle { .. } if valid => Phase::Enrolled,
            _ if valid => Phase::Renewing,
            Step::Waiting { .. } | Step::Asked { .. } => Phase::Waiting,
            _ if machine.is_refused() => Phase::Revoked,
            _ if machine.is_forgotten() => Phase::Forgotten,
            Step::Idle { .. } | Step::Writing if machine.certificate().is_some() => Phase::Expired,
            Step::Idle { .. } => Phase::NotEnrolled,
            Step::Writing | Step::Ready => Phase::Ready,
            Step::Sent { .. } => Phase::Sent,
            Step::Installing => Phase::Installing,
        }
    }
}

fn perform(store: &mut Store, job: Job, key: Option<&dyn Key>, size: super::KeySize) -> Done {
    let no_key = || StoreError::Key(super::KeyError::NotMade);
    match job {
        Job::Open => Done::Opened(store.open()),
        Job::Make => Done::Made(store.make(size)),
        Job::Write(subject) => Done::Written(match key {
            Some(key) => store.write_request(key, &subject),
            None => Err(no_key()),
        }),
        Job::Install(der) => Done::Installed(match key {
            Some(key) => store.install(&der, key),
            None => Err(no_key()),
        }),
        Job::Delete(reply) => Done::Deleted(store.delete(), reply),
        Job::Import(imported, reply) => {
            Done::Imported(store.import(&imported.key, &imported.certificate), reply)
        }
        Job::Remember(mark, at) => Done::Noted(store.remember(mark, at)),
        Job::Name(name) => Done::Noted(store.change(|record| record.common_name = name)),
        Job::Facts(serial, digest) => {
            Done::Noted(store.change(|record| record.facts = (serial, digest)))
        }
        Job::Acknowledged(serial) => {
            Done::Noted(store.change(|record| record.acknowledged = serial))
        }
        Job::Settle => Done::Noted(store.settle()),
    }
}

fn now() -> Now {
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Now { wall, mono: mono() }
}

/// The moment of the last try, if the next one must wait for it.
fn within_pace(at: i64) -> Option<std::time::Instant> {
    let age = u64::try_from(now().wall.checked_sub(at)?).ok()?;
    (age < PACE.as_secs())
        .then(|| mono().checked_sub(std::time::Duration::from_secs(age)))
        .flatten()
}
