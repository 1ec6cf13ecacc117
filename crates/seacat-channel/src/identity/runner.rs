//! Runs the life cycle: it waits for one thing, tells the machine, and does what the machine says.

use std::iter;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use seacat_proto::{Bytes, Control};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::certificate::Certificate;
use super::import::Imported;
use super::jobs::{Done, Job, Jobs};
use super::lifecycle::{
    Action, Input, LOOK_AGAIN, Lifecycle, Mark, Now, Opened, PACE, Step, Verdict,
};
use super::line::{Answer, Line};
use super::link::{IdentityEvent, Wire};
use super::presenter::{Certified, Presented};
use super::status::{CertificateInfo, IdentityStatus, Phase};
use super::store::{Found, Installed, Record, Store, StoreError};
use super::{IdentityConfig, IdentityError, facts};
use crate::driver::now as mono;

/// A wish, and where to say what became of it.
pub(crate) enum Wish {
    Enroll { common_name: Option<String>, reply: Reply<()> },
    Renew { reply: Reply<()> },
    Denied,
    Reset { reply: Reply<()> },
    Import { imported: Box<Imported>, reply: Reply<()> },
    Request { reply: Reply<Vec<u8>> },
    Certificate { reply: Reply<Vec<u8>> },
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, IdentityError>>;

/// See the module.
pub(crate) struct Runner {
    config: IdentityConfig,
    machine: Lifecycle,
    jobs: Jobs,
    line: Line,
    found: Found,
    /// The last certificate that came, for [`Action::Install`].
    came: Bytes,
    reset_reply: Option<Reply<()>>,
    events: mpsc::Receiver<IdentityEvent>,
    wishes: mpsc::Receiver<Wish>,
    presented: watch::Sender<Presented>,
    /// Notified when that has changed.
    changed: Arc<Notify>,
    status: watch::Sender<IdentityStatus>,
    settle_at: std::time::Instant,
    problem: Option<String>,
    key_problem: Option<String>,
    /// When the gateway last confirmed the certificate, by both clocks.
    confirmed: Option<Now>,
}

/// What the runner talks to.
pub(crate) struct Ends {
    pub(crate) wire: watch::Receiver<Option<Wire>>,
    pub(crate) events: mpsc::Receiver<IdentityEvent>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) presented: watch::Sender<Presented>,
    pub(crate) changed: Arc<Notify>,
    pub(crate) status: watch::Sender<IdentityStatus>,
}

enum Event {
    Done(Box<Done>),
    Wire,
    Link(IdentityEvent),
    Wish(Wish),
    Timer,
    Over,
}

impl Runner {
    pub(crate) fn new(config: IdentityConfig, store: Store, preferred: bool, ends: Ends) -> Self {
        let Ends { wire, events, wishes, presented, changed, status } = ends;
        Self {
            machine: match preferred {
                true => Lifecycle::new(config.automatic),
                false => Lifecycle::lazy(config.automatic),
            },
            jobs: Jobs::new(store, config.size),
            line: Line::new(wire, config.facts.clone()),
            config,
            found: Found::default(),
            came: Bytes::new(),
            reset_reply: None,
            events,
            wishes,
            presented,
            changed,
            status,
            settle_at: mono() + LOOK_AGAIN,
            problem: None,
            key_problem: None,
            confirmed: None,
        }
    }

    /// Runs until the channel is over. What is being written then is written to its end.
    pub(crate) async fn run(mut self) {
        loop {
            self.jobs.start_next(self.found.key.as_ref());
            self.publish();
            match self.next_event().await {
                Event::Done(done) => self.done(*done),
                Event::Wire => self.wire_changed(),
                Event::Link(IdentityEvent::Frame(frame)) => self.frame(frame),
                Event::Link(IdentityEvent::Refused(which)) => self.refused(&which),
                Event::Wish(wish) => self.wish(wish),
                Event::Timer => self.timer(),
                Event::Over => break,
            }
        }
        self.jobs.finish().await;
    }

    async fn next_event(&mut self) -> Event {
        let settle = matches!(self.machine.step(), Step::Idle { .. }).then_some(self.settle_at);
        let deadline = self.machine.deadline(now()).into_iter().chain(settle).min();
        tokio::select! {
            done = self.jobs.done() => done.map_or(Event::Over, |it| Event::Done(Box::new(it))),
            changed = self.line.changed() => match changed {
                Ok(()) => Event::Wire,
                Err(_) => Event::Over,
            },
            Some(event) = self.events.recv() => Event::Link(event),
            Some(wish) = self.wishes.recv() => Event::Wish(wish),
            () = sleep_until(deadline.unwrap_or_else(mono).into()), if deadline.is_some() => Event::Timer,
        }
    }

    fn timer(&mut self) {
        if mono() >= self.settle_at {
            self.settle_at = mono() + LOOK_AGAIN;
            self.jobs.push(Job::Settle);
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
            Action::SendCsr => {
                return self.found.request.iter().for_each(|der| self.line.send_csr(der));
            }
            Action::Query => {
                return self.found.key.iter().for_each(|key| self.line.send_query(&**key));
            }
            Action::Reconnect => {
                self.show(true);
                return;
            }
        };
        self.jobs.push(job);
    }

    fn wire_changed(&mut self) {
        for input in self.line.follow() {
            self.tell(input);
            if let Input::LinkUp(_) = input {
                self.line.send_facts();
            }
        }
    }

    /// Another may have come meanwhile.
    fn refused(&mut self, which: &CertificateDer<'_>) {
        if self.found.certificate.as_ref().is_some_and(|it| it.der() == which) {
            self.tell(Input::Refused);
        }
    }

    fn frame(&mut self, frame: Control) {
        match self.line.read(frame) {
            Answer::Input(input) => self.tell(input),
            Answer::Certificate(der) if self.is_outdated(&der) => self.tell(Input::NotFound),
            Answer::Certificate(der) => {
                self.came = der;
                self.tell(Input::Certificate);
            }
            Answer::Acknowledged(serial) => self.jobs.push(Job::Acknowledged(serial)),
            Answer::Nothing => {}
        }
    }

    /// A certificate that ended before ours began: the gateway has none for us that counts.
    fn is_outdated(&self, der: &[u8]) -> bool {
        let ours = self.found.certificate.as_ref().map(|it| it.validity.not_before);
        let theirs = Certificate::read(der).map(|it| it.validity.not_after);
        matches!((ours, theirs), (Some(began), Ok(ended)) if ended < began)
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
                    self.jobs.push(Job::Name(common_name));
                }
                self.tell(Input::Enroll);
                let _ = reply.send(Ok(()));
            }
            Wish::Denied => self.tell(Input::Denied),
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
                _ => self.jobs.push(Job::Import(imported, reply)),
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

    fn done(&mut self, done: Done) {
        match done {
            Done::Opened(found, record) => self.opened(found, &record),
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
                    self.found = Found {
                        key: Some(key),
                        certificate: Some(certificate),
                        ..Found::default()
                    };
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

    fn opened(&mut self, found: Result<Found, StoreError>, record: &Record) {
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
        // Whether a key in a file may move to the key store by now, nobody waits for.
        self.jobs.push(Job::Settle);
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
        self.tell(Input::Opened(opened));
    }

    /// A number for what we tell; a new one when it has changed since.
    fn number_facts(&mut self, record: &Record) {
        let fingerprint = facts::fingerprint(&self.config.facts);
        let (mut serial, last) = (record.facts.0, &record.facts.1);
        if *last != fingerprint {
            serial = serial.checked_add(1).unwrap_or(1);
            self.jobs.push(Job::Facts(serial, fingerprint));
        }
        self.line.number_facts(serial, record.acknowledged);
    }

    fn installed(&mut self, installed: Result<Installed, StoreError>) {
        let verdict = match installed {
            Ok(Installed { certificate, others }) => {
                self.note(None);
                self.found.others = others;
                let same = self.found.certificate.as_ref() == Some(&certificate);
                let validity = certificate.validity;
                if same {
                    Verdict::Same(validity)
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
        let now = now();
        let current = self.found.certificate.as_ref().filter(|_| self.machine.presents(now));
        let others = self.found.others.iter().filter(|it| it.validity.not_after > now.wall);
        let certificates: Vec<&Certificate> =
            current.into_iter().flat_map(|it| iter::once(it).chain(others.clone())).collect();
        let ready = self.presented.borrow().ready || self.machine.step() != Step::Opening;
        let changed = self.presented.send_if_modified(|presented| {
            let old = presented.certified.iter().flat_map(|it| it.leaves());
            let unchanged = old.eq(certificates.iter().map(|it| it.der()));
            if unchanged && !moved && presented.ready == ready {
                return false;
            }
            let certified = |key| Certified::new(certificates.iter().copied(), key);
            let key = self.found.key.clone().filter(|_| !certificates.is_empty());
            presented.ready = ready;
            presented.certified = key.map(|key| Arc::new(certified(key)));
            presented.moves += u64::from(moved);
            true
        });
        if changed {
            self.changed.notify_one();
        }
    }

    fn publish(&mut self) {
        // An expired certificate is not shown to the next connection.
        self.show(false);
        let confirmed = self.machine.confirmed();
        if confirmed != self.confirmed.map(|it| it.mono) {
            self.confirmed = confirmed.map(|mono| Now { mono, ..now() });
        }
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
        IdentityStatus {
            phase: Phase::of(&self.machine, now()),
            client_id: self.found.key.as_ref().map(|key| key.client_id()),
            certificate: self.found.certificate.as_ref().map(|it| CertificateInfo {
                subject: it.subject.clone(),
                issuer: it.issuer.clone(),
                serial: it.serial.clone(),
                not_before: it.validity.not_before,
                not_after: it.validity.not_after,
                renew_at: it.validity.renew_at(),
            }),
            confirmed: self.confirmed.map(|it| it.wall),
            key_place: self.jobs.key_place(),
            key_problem: self.key_problem.clone().or_else(|| self.jobs.key_problem()),
            problem: self.problem.clone(),
            facts: self.config.facts.clone(),
        }
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
