//! Simulates a crash before every disk operation of the store, in turn, and every state in which a
//! crash can leave the disk. The next start must continue from there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::ca::ClientCa;
use super::policy::{Mode, Policy};
use super::record::{Facts, Record, State};
use super::registrar::{Found, PresentedCertificate, Registrar, Verdict};
use super::request::Request;
use super::request::tests::golden;
use super::store::{AdminError, Disk, Lock, Store, StoreError};

/// A disk in memory that records what would survive a crash.
#[derive(Debug, Clone, Default)]
struct FragileDisk(Arc<Mutex<World>>);

#[derive(Debug, Clone, Default)]
struct World {
    /// Contents: as written, and as last synced.
    files: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Name -> file, as it is and as last synced.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    steps: usize,
    /// The step before which the crash happens.
    pull_at: Option<usize>,
}

/// What a crash leaves behind of what was not synced.
#[derive(Debug, Clone, Copy)]
enum Crash {
    /// kill -9: the system keeps running and all writes survive.
    Kill,
    /// A power cut that nothing survives.
    Nothing,
    /// A power cut that names survive, and the first half of contents.
    NamesFirst,
    /// A power cut that contents survive, and no names.
    ContentsFirst,
}

impl FragileDisk {
    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, World>> {
        let mut world = self.0.lock().unwrap();
        if world.pull_at.is_some_and(|at| world.steps >= at) {
            return Err(io::Error::other("the plug is pulled"));
        }
        world.steps += 1;
        Ok(world)
    }

    /// The disk as the next start finds it.
    fn after(&self, crash: Crash) -> Self {
        let world = self.0.lock().unwrap();
        let names = match crash {
            Crash::Kill | Crash::NamesFirst => &world.names,
            Crash::Nothing | Crash::ContentsFirst => &world.synced_names,
        };
        let content = |(now, synced): &(Vec<u8>, Option<Vec<u8>>)| match (crash, synced) {
            (Crash::Kill | Crash::ContentsFirst, _) => now.clone(),
            (_, Some(synced)) => synced.clone(),
            (Crash::NamesFirst, None) => now[..now.len() / 2].to_vec(),
            (Crash::Nothing, None) => Vec::new(),
        };
        let files = world.files.iter().map(content);
        Self(Arc::new(Mutex::new(World {
            files: files.map(|it| (it.clone(), Some(it))).collect(),
            names: names.clone(),
            synced_names: names.clone(),
            ..World::default()
        })))
    }
}

impl Disk for FragileDisk {
    fn lock(&self) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let world = self.0.lock().unwrap();
        Ok(world.names.get(name).map(|it| world.files[*it].0.clone()))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // Creating and filling are two steps.
        let mut world = self.step()?;
        let file = match world.names.get(name) {
            Some(file) => *file,
            None => {
                world.files.push((Vec::new(), None));
                world.files.len() - 1
            }
        };
        world.files[file] = (Vec::new(), None);
        world.names.insert(name.to_owned(), file);
        drop(world);
        self.step()?.files[file].0 = bytes.to_vec();
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut world = self.step()?;
        let file = world.names[name];
        world.files[file].1 = Some(world.files[file].0.clone());
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.step()?;
        let file = world.names.remove(from).unwrap();
        world.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?.names.remove(name).unwrap();
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut world = self.step()?;
        world.synced_names = world.names.clone();
        Ok(())
    }

    fn changed(&self) -> io::Result<SystemTime> {
        Ok(SystemTime::UNIX_EPOCH)
    }

    fn modified(&self, name: &str) -> io::Result<Option<SystemTime>> {
        let known = self.0.lock().unwrap().names.contains_key(name);
        Ok(known.then_some(SystemTime::UNIX_EPOCH))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Anna,
    Bob,
}
use Who::{Anna, Bob};

/// The operations of the script.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Submit(Who),
    Query(Who),
    Characteristics(Who),
    Approve(Who),
    Reject(Who),
    Revoke(Who),
    Forget(Who),
}
use Operation::{Approve, Characteristics, Forget, Query, Reject, Revoke, Submit};

const DAY: Duration = Duration::from_secs(86_400);

/// The day, the operation, and the state it leads to. Certificates are valid for a day.
const SCENARIO: [(u32, Operation, Option<State>); 21] = [
    (0, Submit(Anna), Some(State::Pending)),
    (0, Characteristics(Anna), Some(State::Pending)),
    (0, Submit(Bob), Some(State::Pending)),
    (0, Approve(Anna), Some(State::Approved)),
    (0, Query(Anna), Some(State::Issued)),
    (0, Reject(Bob), Some(State::Rejected)),
    (0, Submit(Anna), Some(State::Issued)), // a renewal
    (0, Approve(Bob), Some(State::Approved)),
    (0, Query(Bob), Some(State::Issued)),
    (0, Revoke(Anna), Some(State::Revoked)),
    (0, Submit(Anna), Some(State::Revoked)), // it asks again
    (0, Approve(Anna), Some(State::Approved)),
    (0, Query(Anna), Some(State::Issued)),
    (2, Submit(Bob), Some(State::Pending)), // it has expired
    (2, Approve(Bob), Some(State::Approved)),
    (2, Query(Bob), Some(State::Issued)),
    (2, Characteristics(Bob), Some(State::Issued)),
    (2, Forget(Anna), None),
    (2, Submit(Anna), Some(State::Pending)),
    (2, Approve(Anna), Some(State::Approved)),
    (2, Query(Anna), Some(State::Issued)),
];

struct Gateway<'a> {
    registrar: Registrar,
    requests: &'a [Request; 2],
}

type Snapshot = [Option<Record>; 2];

impl<'a> Gateway<'a> {
    fn start(
        disk: &FragileDisk,
        ca: &Arc<ClientCa>,
        requests: &'a [Request; 2],
    ) -> Result<Self, StoreError> {
        let store = Store::on(Box::new(disk.clone()))?;
        let policy = Policy {
            mode: Mode::Pending,
            validity: DAY,
            reissue_pause: Duration::ZERO,
            ..Policy::default()
        };
        Ok(Self { registrar: Registrar::new(Arc::new(store), policy, Arc::clone(ca))?, requests })
    }

    fn request(&self, who: Who) -> &Request {
        &self.requests[who as usize]
    }

    fn record(&self, who: Who) -> Option<Record> {
        // A file that is damaged fails here.
        self.registrar.store().read(&self.request(who).id).unwrap()
    }

    fn snapshot(&self) -> Snapshot {
        [self.record(Anna), self.record(Bob)]
    }

    /// Performs an operation; an error is the disk's. Each answer to a client is compared with the
    /// record at that moment.
    fn act(&self, day: u32, operation: Operation) -> Result<(), StoreError> {
        let now = SystemTime::now() + DAY * day;
        let store = self.registrar.store();
        let administer = |outcome: Result<(), AdminError>| match outcome {
            Err(AdminError::Store(error)) => Err(error),
            // A repetition, after a crash in the middle of the first attempt.
            Ok(()) | Err(AdminError::NotApplicable(_) | AdminError::Unknown) => Ok(()),
            Err(error) => panic!("{error}"),
        };
        match operation {
            Submit(who) => {
                let shown = self.record(who).and_then(|record| {
                    let der = record.current(now)?.der.0.clone();
                    Some(PresentedCertificate { id: self.request(who).id, der })
                });
                let request = self.request(who);
                let said = self.registrar.submit(
                    request,
                    shown.as_ref(),
                    None,
                    [192, 0, 2, 1].into(),
                    now,
                )?;
                let expected = match self.record(who).unwrap().state() {
                    State::Pending | State::Revoked => Verdict::Stored,
                    _ => Verdict::Approved,
                };
                assert_eq!(said, expected);
                Ok(())
            }
            Query(who) => {
                let said = self.registrar.query(&self.request(who).id, now)?;
                let record = self.record(who).unwrap();
                let der = record.current(now).unwrap().der.0.clone();
                assert_eq!(said, Found::Certificate(der));
                Ok(())
            }
            Characteristics(who) => {
                let items = [("osh".to_owned(), "vm \u{1b}[31m".to_owned())].into();
                let facts = Facts { serial: 1, items };
                let known = self.registrar.note(&self.request(who).id, facts)?;
                assert!(known);
                Ok(())
            }
            Approve(who) => administer(store.approve(&self.request(who).id).map(drop)),
            Reject(who) => administer(store.reject(&self.request(who).id).map(drop)),
            Revoke(who) => administer(store.revoke(&self.request(who).id).map(drop)),
            Forget(who) => administer(store.forget(&self.request(who).id)),
        }
    }
}

fn who(operation: Operation) -> Who {
    match operation {
        Submit(who) | Query(who) | Characteristics(who) | Approve(who) | Reject(who)
        | Revoke(who) | Forget(who) => who,
    }
}

#[test]
fn nothing_acknowledged_is_lost_at_any_crash() {
    let requests: [Request; 2] =
        ["csr", "csr_with_subject"].map(|name| Request::parse(&golden(name)).unwrap());
    let ca = Arc::new(ClientCa::generate().unwrap());

    // Once without a crash, to check the script and count its steps.
    let disk = FragileDisk::default();
    let world = Gateway::start(&disk, &ca, &requests).unwrap();
    for (day, operation, expected) in SCENARIO {
        world.act(day, operation).unwrap();
        let state = world.record(who(operation)).map(|it| it.state());
        assert_eq!(state, expected, "{operation:?}");
    }
    let steps = disk.0.lock().unwrap().steps;
    assert!(steps >= 50, "{steps}");

    for pull_at in 0..=steps {
        for crash in [Crash::Kill, Crash::Nothing, Crash::NamesFirst, Crash::ContentsFirst] {
            let case = format!("before step {pull_at}, {crash:?}");
            let disk = FragileDisk::default();
            disk.0.lock().unwrap().pull_at = Some(pull_at);

            let mut acknowledged: Snapshot = [None, None];
            let mut next = 0;
            if let Ok(world) = Gateway::start(&disk, &ca, &requests) {
                while let Some((day, operation, _)) = SCENARIO.get(next) {
                    if world.act(*day, *operation).is_err() {
                        break;
                    }
                    acknowledged = world.snapshot();
                    next += 1;
                }
            }

            let disk = disk.after(crash);
            let world = Gateway::start(&disk, &ca, &requests).unwrap();
            let found = world.snapshot();
            for client in [Anna, Bob] {
                let (found, before) = (&found[client as usize], &acknowledged[client as usize]);
                if found == before {
                    continue;
                }
                // Then the interrupted operation must be complete.
                let (_, operation, after) = SCENARIO[next];
                assert_eq!(who(operation), client, "{case}: {operation:?}");
                let found = found.as_ref();
                assert_eq!(found.map(Record::state), after, "{case}: {operation:?}");
                let stored = found.is_some_and(|it| it.characteristics.is_some());
                assert!(stored || !matches!(operation, Characteristics(_)), "{case}");
            }
            // No temporary file is left.
            let names = disk.names().unwrap();
            assert!(names.iter().all(|it| it.ends_with(".toml")), "{case}: {names:?}");
            // The script continues with the first operation that was not acknowledged.
            for (day, operation, expected) in &SCENARIO[next..] {
                world.act(*day, *operation).unwrap();
                let state = world.record(who(*operation)).map(|it| it.state());
                assert_eq!(state, *expected, "{case}, then {operation:?}");
            }
        }
    }
}
