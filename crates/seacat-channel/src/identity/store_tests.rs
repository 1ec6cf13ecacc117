//! Killed at every write point in turn; key stores of every temper.

use std::collections::HashMap;
use std::sync::Mutex;

use super::fuse::Fuse;
use super::*;
use crate::identity::testing::{certificate_for, certificate_of, key};

/// A key store that does as it is told, and outlives its program.
#[derive(Debug, Default)]
struct TestVault {
    keys: Mutex<HashMap<String, PrivateKey>>,
    /// What it answers instead.
    trouble: Mutex<Option<KeyringError>>,
}

impl TestVault {
    fn trouble(&self) -> Result<(), KeyringError> {
        self.trouble.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn set_trouble(&self, trouble: Option<KeyringError>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn count(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

impl Vault for TestVault {
    fn name(&self) -> &'static str {
        "the test's key store"
    }

    fn get(&self, id: &str) -> Result<Option<PrivateKey>, KeyringError> {
        self.trouble()?;
        Ok(self.keys.lock().unwrap().get(id).cloned())
    }

    fn set(&self, id: &str, key: &PrivateKey) -> Result<(), KeyringError> {
        self.trouble()?;
        self.keys.lock().unwrap().insert(id.to_owned(), key.clone());
        Ok(())
    }

    fn delete(&self, id: &str) -> Result<(), KeyringError> {
        self.trouble()?;
        self.keys.lock().unwrap().remove(id);
        Ok(())
    }
}

fn vault() -> (Arc<TestVault>, Option<Arc<dyn Vault>>) {
    let vault = Arc::new(TestVault::default());
    (vault.clone(), Some(vault))
}

/// The whole life, as far as a store sees it; the key is what it had when its request was sent.
fn life(store: &mut Store, sent: &mut Option<Vec<u8>>) -> Result<(), StoreError> {
    let found = store.open()?;
    let key = match found.key {
        Some(key) => key,
        None => {
            // Not `make`, which takes a second each time: the same writes with the tests' key.
            let id = new_id();
            store.remember_place(Place::Making(id.clone()))?;
            store.keep(&key(), id)?;
            Arc::new(RsaKey::new(&key())?)
        }
    };
    if found.request.is_none() || store.record.mark == Mark::Idle {
        store.write_request(&*key, &csr::Subject::default())?;
    }
    store.remember(Mark::Ready, Some(7))?;
    *sent = Some(key.public_key().to_vec());
    store.remember(Mark::Waiting, None)?;
    store.install(&certificate_for(&*key), &*key)?;
    Ok(())
}

/// Runs `story` with the plug pulled at every write point in turn, and looks at what a next start
/// makes of it.
fn pull_the_plug(
    trouble: Option<&KeyringError>,
    check: impl Fn(usize, Option<Vec<u8>>, &mut Store),
) -> usize {
    for points in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let (vault, handle) = vault();
        vault.set_trouble(trouble.cloned());
        let mut disk = Disk::new(folder.path().join("identity"));
        disk.fuse = Fuse::after(points);
        let mut sent = None;
        let outcome = life(&mut Store::on(disk.clone(), handle.clone()), &mut sent);
        if outcome.is_ok() {
            assert!(!disk.fuse.is_burnt() || points > 0);
            return points;
        }
        let mut next = Store::new(folder.path().join("identity"), handle.clone());
        check(points, sent, &mut next);
        assert!(vault.count() <= 1, "two keys after {points} points");
    }
    unreachable!("the story is finite")
}

#[test]
fn killed_at_every_write_point_the_next_start_continues() {
    let mut total = 0;
    for trouble in [None, Some(KeyringError::Silent)] {
        total += pull_the_plug(trouble.as_ref(), |points, sent, next| {
            let found = next.open().unwrap();
            if let Some(sent) = sent {
                let key = found.key.as_ref().expect("no key is lost once its request was sent");
                assert_eq!(key.public_key(), sent, "another key after {points} points");
                assert!(
                    found.certificate.is_some() || found.request.is_some(),
                    "neither request nor certificate after {points} points"
                );
            }
            // And it goes on to the end.
            life(next, &mut None).unwrap();
            let found = next.open().unwrap();
            assert!(found.certificate.is_some() && found.key.is_some() && found.request.is_none());
        });
    }
    println!("killed at {total} write points");
    assert!(total >= 50, "{total} write points");
}

#[test]
fn a_silent_key_store_means_a_private_file_and_the_key_moves_when_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, handle) = vault();
    vault.set_trouble(Some(KeyringError::Silent));
    let mut store = Store::new(folder.path().join("identity"), handle);
    life(&mut store, &mut None).unwrap();
    let file = folder.path().join("identity/key.pk8");
    assert!(file.exists());
    assert_eq!(store.problem, Some(KeyringError::Silent));
    assert!(store.place().unwrap().ends_with("key.pk8"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }

    vault.set_trouble(None);
    store.settle().unwrap();
    assert!(!file.exists());
    assert_eq!((store.problem.clone(), vault.count()), (None, 1));
    assert_eq!(store.place().unwrap(), "the test's key store");
    assert!(store.open().unwrap().certificate.is_some());
}

#[test]
fn a_key_that_cannot_be_read_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, handle) = vault();
    let mut store = Store::new(folder.path().to_owned(), handle);
    life(&mut store, &mut None).unwrap();
    vault.set_trouble(Some(KeyringError::Silent));
    assert!(matches!(store.open(), Err(StoreError::Keyring(KeyringError::Silent))));
    assert!(matches!(store.delete(), Err(StoreError::Keyring(_))));
    vault.set_trouble(None);
    let found = store.open().unwrap();
    assert!(found.key.is_some() && found.certificate.is_some(), "a refused reset loses nothing");
    store.delete().unwrap();
    assert_eq!(vault.count(), 0);
    assert!(store.open().unwrap().key.is_none());
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "a reset leaves nothing");
}

#[test]
fn a_reset_cut_off_anywhere_leaves_all_or_no_key() {
    for trouble in [None, Some(KeyringError::Silent)] {
        for points in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let (vault, handle) = vault();
            vault.set_trouble(trouble.clone());
            let mut store = Store::new(folder.path().join("identity"), handle.clone());
            life(&mut store, &mut None).unwrap();
            store.disk.fuse = Fuse::after(points);
            let done = store.delete().is_ok();
            let mut next = Store::new(folder.path().join("identity"), handle);
            let found = next.open().unwrap();
            assert_eq!(found.key.is_some(), found.certificate.is_some(), "{points} points");
            life(&mut next, &mut None).unwrap();
            assert!(next.open().unwrap().certificate.is_some() && vault.count() <= 1);
            if done {
                println!("a reset cut off at {points} write points");
                break;
            }
        }
    }
}

#[test]
fn a_certificate_of_another_key_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, handle) = vault();
    let mut store = Store::new(folder.path().to_owned(), handle);
    life(&mut store, &mut None).unwrap();
    let before = store.open().unwrap();
    let (key, old) = (before.key.unwrap(), before.certificate.unwrap());
    let theirs = crate::identity::testing::golden("cert")[12..].to_vec();
    for wrong in [&theirs[..], b"", b"rubbish"] {
        let error = store.install(wrong, &*key).unwrap_err();
        assert!(matches!(error, StoreError::Certificate(_)), "{error}");
    }
    assert_eq!(store.open().unwrap().certificate, Some(old));
}

#[test]
fn the_key_is_in_no_file_but_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_, handle) = vault();
    let mut store = Store::new(folder.path().to_owned(), handle);
    life(&mut store, &mut None).unwrap();
    let secret = key();
    let piece = &secret.as_pkcs8()[400..432];
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(piece.len()).any(|window| window == piece));
    }
}

fn record() -> Record {
    Record {
        key: Place::Keyring("identity-1".into()),
        mark: Mark::Waiting,
        last_try: Some(-5),
        common_name: Some("Jan Novák".into()),
        facts: (3, "ab".into()),
        acknowledged: 2,
        ..Record::default()
    }
}

#[test]
fn a_note_is_read_as_it_was_written() {
    let read = |text: &[u8]| Record::from_json("state.json", text);
    let text = record().to_json();
    println!("{}", String::from_utf8_lossy(&text));
    assert_eq!(read(&text).unwrap(), record());
    for place in [Place::Nowhere, Place::Making("i".into()), Place::File("i".into())] {
        let it = Record { key: place, ..record() };
        assert_eq!(read(&it.to_json()).unwrap(), it);
    }
    // Cut anywhere, or of a later program: nothing is guessed.
    for cut in 0..text.len() {
        assert!(read(&text[..cut]).is_err(), "{cut}");
    }
    let text = String::from_utf8(text).unwrap();
    let newer = text.replace("\"version\": 1", "\"version\": 2");
    assert!(read(newer.as_bytes()).unwrap_err().to_string().contains("newer program"));
    // A name that no certificate holds is left out.
    let odd = text.replace("Jan Novák", "x\\nfile identity-2");
    assert_eq!(read(odd.as_bytes()).unwrap(), Record { common_name: None, ..record() });
}

/// What versions without JSON wrote, also where a common name had a line break in it.
#[test]
fn an_older_note_is_read() {
    let old = "keyring identity-1\nmark waiting\nlast-try -5\ncommon-name Jan Novák\nfacts 3 ab\n\
               acknowledged 2\n";
    assert_eq!(Record::from_lines(old), record());
    let broken =
        old.replace("Jan Novák", "Jan Novák\nmaking identity-2\nfile identity-3\nmark idle");
    assert_eq!(Record::from_lines(&broken), record());
    assert_eq!(Record::from_lines(""), Record::default());
    assert_eq!(Record::from_lines("mark nonsense\nwhat\n"), Record::default());
}

/// A name with a line break in the note of an older version, and an open key store.
#[test]
fn no_key_is_deleted_because_another_place_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let (vault, handle) = vault();
    let silent = Some(KeyringError::Silent);
    vault.set_trouble(silent);
    let mut store = Store::new(folder.path().to_owned(), handle.clone());
    let mut sent = None;
    life(&mut store, &mut sent).unwrap();
    vault.set_trouble(None);
    // Whatever has brought this about: the key is in the file, and the note says the key store.
    let wrong = Record { key: Place::Keyring("identity-9".into()), ..store.record.clone() };
    std::fs::write(folder.path().join(STATE), wrong.to_json()).unwrap();
    let mut next = Store::new(folder.path().to_owned(), handle.clone());
    let found = next.open().unwrap();
    assert_eq!(found.key.expect("the key is still there").public_key(), sent.unwrap());
    assert!(found.certificate.is_some());
    // A note that cannot be read is no reason to make another key.
    std::fs::write(folder.path().join(STATE), b"{").unwrap();
    let error = Store::new(folder.path().to_owned(), handle.clone()).open().unwrap_err();
    assert!(matches!(error, StoreError::Record(_)), "{error}");
    assert!(folder.path().join(KEY).exists());
}

/// One identity for all gateways becomes that of the preferred one: killed at every write point.
#[test]
fn an_older_folder_is_taken_over_without_loss() {
    for points in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("identity");
        let (_, handle) = vault();
        let mut sent = None;
        life(&mut Store::new(old.clone(), handle.clone()), &mut sent).unwrap();
        let record = Record::from_json(STATE, &std::fs::read(old.join(STATE)).unwrap()).unwrap();
        let Place::Keyring(id) = &record.key else { panic!("{record:?}") };
        let lines = format!("keyring {id}\nmark idle\nfacts 0 \nacknowledged 0\n");
        std::fs::write(old.join(OLD_STATE), lines).unwrap();
        std::fs::remove_file(old.join(STATE)).unwrap();

        let new = folder.path().join("identities/gw.example.com");
        let mut disk = Disk::new(new.clone());
        disk.fuse = Fuse::after(points);
        let mut first = Store::on(disk, handle.clone()).adopting(Some(old.clone()));
        let done = first.open().and_then(|_| first.remember(Mark::Waiting, None)).is_ok();
        let mut next = Store::new(new.clone(), handle.clone()).adopting(Some(old.clone()));
        let found = next.open().unwrap();
        assert_eq!(found.key.unwrap().public_key(), sent.unwrap(), "{points} points");
        assert!(found.certificate.is_some() && !old.exists(), "{points} points");
        if done {
            assert!(!new.join(OLD_STATE).exists());
            println!("taken over, killed at {points} write points");
            assert!(points > 5);
            break;
        }
    }
}

/// Another company's gateway of a group that should be two.
#[test]
fn a_certificate_of_another_issuer_is_kept_beside() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::new(folder.path().to_owned(), None);
    let private = key();
    let ours = RsaKey::new(&private).unwrap();
    let first = certificate_for(&ours);
    store.import(&private, &first).unwrap();
    let theirs = certificate_of("another company", &ours);
    let installed = store.install(&theirs, &ours).unwrap();
    assert_eq!(installed.certificate.der().as_ref(), theirs);
    assert_eq!(installed.others[0].der().as_ref(), first, "nothing is lost");
    // And back.
    let installed = store.install(&first, &ours).unwrap();
    assert_eq!(installed.certificate.der().as_ref(), first);
    assert_eq!(installed.others[0].der().as_ref(), theirs);
    for number in 0..2 * OTHERS_MAX {
        store.install(&certificate_of(&format!("company {number}"), &ours), &ours).unwrap();
    }
    let found = store.open().unwrap();
    assert_eq!(found.others.len(), OTHERS_MAX);
    store.delete().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
