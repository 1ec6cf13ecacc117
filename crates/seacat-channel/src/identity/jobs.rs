//! The work on keys and files: one job after the other, away from the event loop.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use seacat_proto::Bytes;
use tokio::task::JoinHandle;

use super::certificate::Certificate;
use super::csr::Subject;
use super::import::Imported;
use super::key::{Key, KeyError, KeySize};
use super::lifecycle::Mark;
use super::runner::Reply;
use super::store::{Found, Installed, Record, Store, StoreError};

pub(super) enum Job {
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

pub(super) enum Done {
    Opened(Result<Found, StoreError>, Box<Record>),
    Made(Result<Arc<dyn Key>, StoreError>),
    Written(Result<Vec<u8>, StoreError>),
    Installed(Result<Installed, StoreError>),
    Deleted(Result<(), StoreError>, Option<Reply<()>>),
    Imported(Result<(Arc<dyn Key>, Certificate), StoreError>, Reply<()>),
    Noted(Result<(), StoreError>),
}

/// The store, and what is to be done with it.
pub(super) struct Jobs {
    /// Not there while somebody works with it.
    store: Option<Store>,
    at_work: Option<JoinHandle<(Store, Done)>>,
    queue: VecDeque<Job>,
    /// The bits of a key that is made.
    size: KeySize,
    /// Where the key is, and why not in the key store; as of the last job.
    place: Option<String>,
    problem: Option<String>,
}

impl Jobs {
    /// The first job is to open the store.
    pub(super) fn new(store: Store, size: KeySize) -> Self {
        let queue = VecDeque::from([Job::Open]);
        Self { store: Some(store), at_work: None, queue, size, place: None, problem: None }
    }

    pub(super) fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Gives the store the next job, if it is free.
    pub(super) fn start_next(&mut self, key: Option<&Arc<dyn Key>>) {
        let Some(mut store) = self.store.take() else {
            return;
        };
        let Some(job) = self.queue.pop_front() else {
            self.store = Some(store);
            return;
        };
        let (key, size) = (key.cloned(), self.size);
        self.at_work = Some(tokio::task::spawn_blocking(move || {
            let done = perform(&mut store, job, key.as_deref(), size);
            (store, done)
        }));
    }

    /// Waits for the end of the job; for ever, when there is none. `None`: the runtime ends.
    pub(super) async fn done(&mut self) -> Option<Done> {
        let Some(at_work) = self.at_work.as_mut() else {
            return pending().await;
        };
        let (store, done) = match at_work.await {
            Ok(worked) => worked,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        self.at_work = None;
        self.place = store.place();
        self.problem = store.problem.as_ref().map(ToString::to_string);
        self.store = Some(store);
        Some(done)
    }

    /// What is being written is written to its end.
    pub(super) async fn finish(mut self) {
        if let Some(at_work) = self.at_work.take() {
            let _ = at_work.await;
        }
    }

    /// Where the key is, for people.
    pub(super) fn key_place(&self) -> Option<String> {
        self.place.clone()
    }

    /// Why the key is not in the key store.
    pub(super) fn key_problem(&self) -> Option<String> {
        self.problem.clone()
    }
}

fn perform(store: &mut Store, job: Job, key: Option<&dyn Key>, size: KeySize) -> Done {
    let no_key = || StoreError::Key(KeyError::NotMade);
    match job {
        Job::Open => {
            let found = store.open();
            Done::Opened(found, Box::new(store.record.clone()))
        }
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
