//! Where the key is kept, with GNOME's real keyring on a session bus of its own: there, not there,
//! locked, frozen, killed. The proxy answers requests all the while.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use seacat_tests::{
    Gateway, Host, Installation, Origin, Secrets, Session, clean_command, identity_folder, scratch,
    wait_for,
};
use serde_json::Value;

/// From the start of the proxy until it says what is wrong with the key store.
const SAID_WITHIN: Duration = Duration::from_secs(5);

/// A key is made, a request sent, and the certificate asked for: seconds, on a busy machine more.
const ENROLLED: Duration = Duration::from_secs(60);

/// A key store that did not hand out the key is asked again after a minute.
const ASKED_AGAIN: Duration = Duration::from_secs(90);

struct Scenario {
    installation: Installation,
    gateway: Gateway,
    _origin: Origin,
}

impl Scenario {
    fn new(more: &str) -> Self {
        let origin = Origin::start();
        let open = Host { name: "open", port: origin.port(), tunnel: false };
        let private = format!(
            "\n[host.private]\nuri = \"http://127.0.0.1:{}\"\nidentity = true\n\n\
             [enroll]\nmode = \"automatic\"\nvalidity = 86400\n",
            origin.port()
        );
        let gateway = Gateway::start_with(&[open], &private);
        let installation =
            Installation::new(&gateway, &format!("\n[identity]\ncommon_name = \"Jan\"\n{more}"));
        Self { installation, gateway, _origin: origin }
    }

    fn session(&self) -> Session {
        Session::start(self.installation.home())
    }

    /// Starts the proxy and waits until `status` and `identity show` say `problem`; the proxy must
    /// answer requests by then.
    fn start_and_hear(&mut self, problem: &str) -> Value {
        let began = Instant::now();
        self.installation.start();
        let says = |it: &Value| it["key_problem"].as_str().is_some_and(|it| it.contains(problem));
        let (identity, _) = self.installation.wait_for_identity(problem, ENROLLED, says);
        let after = began.elapsed();
        println!("after {:.1} s: {}", after.as_secs_f64(), identity["key_problem"]);
        assert!(after < SAID_WITHIN, "{after:?}");
        let status = self.installation.run(&["status"]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.contains(problem), "{status}");
        assert_eq!(self.get("open"), 200);
        identity
    }

    fn enrolled(&self) -> Value {
        let identity = self.installation.wait_for_state("enrolled", ENROLLED);
        assert_eq!(self.get("private"), 200);
        identity
    }

    fn restart(&mut self) -> Value {
        self.installation.stop();
        self.installation.start();
        self.enrolled()
    }

    fn get(&self, host: &str) -> u16 {
        self.installation.get(&format!("http://{host}.seacat/echo"))
    }

    fn file(&self, name: &str) -> PathBuf {
        identity_folder(self.installation.home(), self.gateway.port()).join(name)
    }

    /// In the key store, and nowhere else.
    fn assert_stored(&self, session: &Session, identity: &Value) {
        // A key that was in a file moves once the proxy serves.
        let there =
            |it: &Value| it["key_place"] == "Secret Service" && !self.file("key.pk8").exists();
        let (now, _) = self.installation.wait_for_identity("the key in its place", ENROLLED, there);
        assert_eq!(now["key_problem"], Value::Null);
        assert_same(&now, identity);
        assert!(!self.file("key.pk8").exists());
        let key = session.stored_key().expect("the key store holds a key");
        let secrets = Secrets::new(&[("key", &key)], &[]);
        let found = secrets.below(self.installation.home());
        assert!(found.is_empty(), "the key is in no file: {found:?}");
        assert!(secrets.find(&key).is_some(), "what was searched with can find");
    }

    /// In a file, for the user alone.
    fn assert_in_file(&self, identity: &Value) {
        let file = self.file("key.pk8");
        assert_eq!(identity["key_place"], file.display().to_string());
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&self.file(""))), (0o600, 0o700));
    }
}

fn assert_same(before: &Value, after: &Value) {
    assert_eq!(before["client_id"], after["client_id"], "the same key");
    assert_eq!(before["serial"], after["serial"], "the same certificate");
}

#[test]
fn stored_found_after_a_restart_and_deleted_by_a_reset() {
    let mut scenario = Scenario::new("");
    let mut session = scenario.session();
    session.start_keyring();
    scenario.installation.start();
    let before = scenario.enrolled();
    scenario.assert_stored(&session, &before);
    let key = session.stored_key();

    assert_same(&before, &scenario.restart());
    assert_eq!(session.stored_key(), key);

    scenario.installation.expect(0, &["identity", "reset", "--yes"]);
    let (fresh, _) = scenario.installation.wait_for_identity("another key", ENROLLED, |it| {
        it["client_id"].is_string() && it["client_id"] != before["client_id"]
    });
    let other = session.stored_key();
    assert!(other.is_some() && other != key, "the old key is gone, the new one is there");
    println!("stored, found, deleted; then {}", fresh["sentence"]);

    // Unless another key is requested, nothing is left.
    scenario.installation.stop();
    let manual = ["--set", "identity.enroll=manual", "run"];
    let command = scenario.installation.command(&manual);
    let _running = seacat_tests::Process::start("manual", scenario.installation.home(), &command);
    wait_for("the proxy", ENROLLED, || {
        scenario.installation.run(&["identity", "reset", "--yes"]).status.success().then_some(())
    });
    assert_eq!(session.stored_key(), None, "a reset leaves nothing in the key store");
    let left: Vec<_> = fs::read_dir(scenario.file("")).unwrap().flatten().collect();
    assert!(left.is_empty(), "a reset leaves no file: {left:?}");
}

#[test]
fn without_a_key_store_a_file_and_the_key_moves_when_there_is_one() {
    let mut scenario = Scenario::new("");
    println!("no bus at all");
    scenario.start_and_hear("no session bus");
    let before = scenario.enrolled();
    scenario.assert_in_file(&before);

    scenario.installation.stop();
    println!("a bus without a key store");
    let mut session = scenario.session();
    let now = scenario.start_and_hear("no Secret Service is running");
    scenario.assert_in_file(&now);
    assert_same(&before, &scenario.enrolled());

    scenario.installation.stop();
    println!("a key store that does not answer");
    session.start_keyring();
    session.keyring().signal("STOP");
    let now = scenario.start_and_hear("did not answer");
    scenario.assert_in_file(&now);
    assert_same(&before, &scenario.enrolled());

    session.keyring().signal("CONT");
    let now = scenario.restart();
    println!("a key store that answers: the key is in {}", now["key_place"]);
    assert_same(&before, &now);
    scenario.assert_stored(&session, &now);
}

#[test]
fn locked_the_password_is_asked_for_once_and_unlocked_it_continues_automatically() {
    let mut scenario = Scenario::new("");
    let mut session = scenario.session();
    session.start_keyring();
    scenario.installation.start();
    let before = scenario.enrolled();

    scenario.installation.stop();
    session.kill_keyring();
    session.start_keyring_locked();
    println!("locked, and the prompt is not answered");
    let locked = scenario.start_and_hear("locked");
    assert_eq!(locked["state"], "locked");
    assert_eq!(scenario.get("private"), 403, "without its key it is anonymous");
    assert_eq!(session.dialogues(), 1);

    // It dies with the dialogue open, and comes back open.
    session.kill_keyring();
    session.start_keyring();
    let unlocked = Instant::now();
    let (after, _) = scenario
        .installation
        .wait_for_identity("the key", ASKED_AGAIN, |it| it["state"] == "enrolled");
    println!("enrolled again {:.0} s after it was unlocked", unlocked.elapsed().as_secs_f64());
    assert_same(&before, &after);
    wait_for("the identity's connection", ENROLLED, || {
        (scenario.get("private") == 200).then_some(())
    });
    scenario.assert_stored(&session, &after);
    assert_eq!(session.dialogues(), 1, "asked for once");
}

#[test]
fn locked_while_a_key_is_there_to_be_moved() {
    let mut scenario = Scenario::new("");
    scenario.installation.start();
    let before = scenario.enrolled();
    scenario.installation.stop();

    let mut session = scenario.session();
    session.start_keyring();
    session.kill_keyring();
    session.start_keyring_locked();
    let now = scenario.start_and_hear("locked");
    scenario.assert_in_file(&now);
    assert_same(&before, &scenario.enrolled());
    assert_eq!(session.dialogues(), 1);

    // Another key for the locked store: no second dialogue.
    let elsewhere = scratch();
    let make = "req -x509 -newkey rsa:2048 -nodes -keyout it.pem -out it.pem -days 2 -subj /CN=it";
    let made = clean_command("openssl", elsewhere.path()).args(make.split(' ')).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = elsewhere.path().join("it.pem");
    scenario.installation.expect(0, &["identity", "import", file.to_str().unwrap()]);
    let imported = scenario.installation.identity();
    assert_ne!(imported["client_id"], before["client_id"]);
    assert_eq!(imported["key_problem"], "the key store is locked");
    scenario.assert_in_file(&imported);
    assert_eq!(session.dialogues(), 1, "asked for once");
}

#[test]
fn killed_between_the_start_and_the_storing_and_while_it_runs() {
    // A long key takes long enough to kill the process while it is made.
    let mut scenario = Scenario::new("key_bits = 3072\n");
    let mut session = scenario.session();
    session.start_keyring();
    scenario.installation.start();
    wait_for("the note that a key is being made", ENROLLED, || {
        let note = fs::read_to_string(scenario.file("state.json")).ok()?;
        note.contains("making").then_some(())
    });
    session.kill_keyring();
    println!("killed while the key is made");
    let before = scenario.enrolled();
    assert!(before["key_problem"].as_str().unwrap().contains("no Secret Service"), "{before:#}");
    scenario.assert_in_file(&before);

    session.start_keyring();
    let moved = scenario.restart();
    assert_same(&before, &moved);
    scenario.assert_stored(&session, &moved);

    session.kill_keyring();
    println!("killed while the proxy runs");
    assert_eq!(scenario.get("private"), 200, "the key is in memory");
    assert_same(&before, &scenario.installation.identity());
    let refused = scenario.installation.expect(1, &["identity", "reset", "--yes"]);
    println!("reset: {}", refused.trim());
    assert!(refused.contains("no Secret Service is running"), "{refused}");
    assert_eq!(scenario.get("open"), 200);

    // A reset that failed has lost nothing.
    session.start_keyring();
    assert_same(&before, &scenario.restart());
}
