//! Nothing that is written, said or left in memory holds a private key or a password: every file
//! below the home, the log at TRACE, every command's output, every answer of the control socket,
//! the memory of `status`. Only the key store has the key.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seacat_tests::{
    Gateway, Host, Installation, Origin, Process, Secrets, Session, Terminal, identity_folder,
    scratch, wait_for,
};

/// A key is made, a request sent, and the certificate asked for.
const ENROLLED: Duration = Duration::from_secs(60);

/// Long enough not to occur by chance, and not ASCII, as real passwords may be.
const PASSWORD: &str = "Příliš žluťoučký kůň 4711";

/// What a user meets, all of it written down.
struct Scenario {
    installation: Installation,
    gateway: Gateway,
    _origin: Origin,
    /// All that was said on terminals and sockets.
    said: Vec<u8>,
}

impl Scenario {
    fn new(more: &str) -> Self {
        let origin = Origin::start();
        let host = Host { name: "origin", port: origin.port(), tunnel: false };
        let gateway = Gateway::start_with(&[host], "\n[enroll]\nmode = \"automatic\"\n");
        let more =
            format!("\n[log]\nlevel = \"trace\"\n\n[identity]\ncommon_name = \"Jan\"\n{more}");
        let installation = Installation::new(&gateway, &more);
        Self { installation, gateway, _origin: origin, said: Vec::new() }
    }

    /// Runs a command; what it says goes on record.
    fn record(&mut self, arguments: &[&str]) {
        let done = self.installation.run(arguments);
        for said in [done.stdout, done.stderr] {
            self.said.extend(said);
        }
    }

    fn identity_file(&self, name: &str) -> PathBuf {
        identity_folder(self.installation.home(), self.gateway.port()).join(name)
    }

    fn enrolled(&self) {
        self.installation.wait_for_state("enrolled", ENROLLED);
        assert_eq!(self.installation.get("http://origin.seacat/echo"), 200);
    }

    fn log(&self) -> PathBuf {
        self.installation.home().join("state/seacat-proxy/seacat-proxy.log")
    }

    /// Everything that shows anything.
    fn look_at_everything(&mut self) {
        for command in [
            &["status"][..],
            &["status", "--json"],
            &["identity", "show"],
            &["identity", "show", "--json"],
            &["identity", "export-csr"],
            &["identity", "export-cert"],
            &["config", "show"],
            &["config", "show", "--json"],
            &["config", "check"],
            &["config", "path"],
            &["env"],
        ] {
            self.record(command);
        }
        let base64 = STANDARD.encode(PASSWORD);
        for request in [
            r#"{"v":1,"do":"status"}"#,
            r#"{"v":1,"do":"watch"}"#,
            r#"{"v":1,"do":"access"}"#,
            r#"{"v":1,"do":"reload"}"#,
            r#"{"v":1,"do":"export_request"}"#,
            r#"{"v":1,"do":"export_certificate"}"#,
            &format!(r#"{{"v":1,"do":"import_identity","file":"aGVsbG8=","password":"{base64}"}}"#),
            // Cut off behind the password, or not as it should be: what is complained about must not be repeated.
            &format!(r#"{{"v":1,"do":"import_identity","password":"{base64}","file":7}}"#),
            &format!(r#"{{"v":1,"do":"import_identity","file":"","password":"{PASSWORD}"}}"#),
            &format!(r#"{{"v":1,"do":"{PASSWORD}"#),
        ] {
            let answer = self.ask(request);
            self.said.extend(answer);
        }
    }

    /// One line to the control socket; the first line of the answer.
    fn ask(&self, request: &str) -> Vec<u8> {
        let socket = self.installation.home().join("runtime/seacat-proxy/control.sock");
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(ENROLLED)).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = Vec::new();
        BufReader::new(stream).read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty(), "an answer to {request}");
        line
    }

    /// The memory of `status --json` while it watches.
    fn memory_of_status(&self) -> Vec<u8> {
        let mut command = self.installation.command(&["status", "--json", "--watch"]);
        command.env("PLANTED", "a word that its memory holds for certain");
        let home = scratch();
        let mut status = Process::start("status", home.path(), &command);
        status.wait_until("the status", |it| it.log().contains("\"state\"").then_some(()));
        let memory = status.memory();
        let planted = Secrets::new(&[], &[("planted", "a word that its memory holds for certain")]);
        assert!(planted.find(&memory).is_some(), "its memory was read");
        memory
    }

    /// Only `store` may hold any of these.
    fn assert_kept(&self, secrets: &Secrets, store: &[PathBuf]) {
        assert_eq!(secrets.find(&self.said), None, "in what was said");
        assert_eq!(secrets.find(&self.memory_of_status()), None, "in the memory of status");
        let found = secrets.below(self.gateway.folder());
        assert!(found.is_empty(), "at the gateway: {found:?}");
        let found = secrets.below(self.installation.home());
        let found: Vec<&PathBuf> = found.iter().map(|(path, _)| path).collect();
        assert_eq!(found, store.iter().collect::<Vec<_>>());
        let log = fs::read_to_string(self.log()).unwrap();
        println!("looked through {} KiB of log", log.len() / 1024);
    }
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A key, and `it.p12` with it and its certificate under [`PASSWORD`].
fn pkcs12(folder: &Path) -> Vec<u8> {
    openssl(
        folder,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=imported",
        ],
    );
    let password = format!("pass:{PASSWORD}");
    let from = ["-inkey", "key.pem", "-in", "cert.pem"];
    let to = ["-out", "it.p12", "-passout", &password];
    openssl(folder, &[&["pkcs12", "-export"][..], &from, &to].concat());
    openssl(
        folder,
        &["pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER", "-out", "key.der"],
    );
    fs::read(folder.join("key.der")).unwrap()
}

#[test]
fn with_the_key_in_a_file() {
    let mut scenario = Scenario::new("key_store = \"file\"\n");
    let elsewhere = scratch();
    let theirs = pkcs12(elsewhere.path());
    let file = elsewhere.path().join("it.p12");
    let file = file.to_str().unwrap();
    scenario.installation.start();
    scenario.record(&["identity", "export-csr"]);
    scenario.enrolled();
    scenario.look_at_everything();
    let key_file = scenario.identity_file("key.pk8");
    let ours = fs::read(&key_file).unwrap();
    let secrets =
        Secrets::new(&[("our key", &ours), ("imported key", &theirs)], &[("password", PASSWORD)]);
    scenario.assert_kept(&secrets, std::slice::from_ref(&key_file));
    println!("enrolled: the key is in its file alone");
    assert_no_copies(&mut scenario, &secrets, "our key", "enrolled");

    scenario.installation.stop();
    scenario.installation.start();
    scenario.enrolled();
    assert_no_copies(&mut scenario, &secrets, "our key", "started with a key");

    // Imported: with a wrong password, by hand, and from a file.
    let mut wrong = Terminal::start(&scenario.installation.command(&["identity", "import", file]));
    wrong.wait_for("Password");
    wrong.wait_until_hidden();
    wrong.type_line("not the password");
    let (status, screen) = wrong.end();
    assert!(!status.success() && screen.contains("wrong"), "{screen}");
    let mut typed = Terminal::start(&scenario.installation.command(&["identity", "import", file]));
    typed.wait_for("Password");
    typed.wait_until_hidden();
    typed.type_line(PASSWORD);
    let (status, screen) = typed.end();
    assert!(status.success(), "{screen}");
    scenario.said.extend(screen.into_bytes());
    scenario.said.extend(wrong_password(&scenario, elsewhere.path(), file));
    assert_eq!(fs::read(&key_file).unwrap(), theirs, "the imported key is ours now");
    scenario.look_at_everything();
    scenario.assert_kept(&secrets, std::slice::from_ref(&key_file));
    println!("imported: the key is in its file alone, the password nowhere");
    assert_no_copies(&mut scenario, &secrets, "imported key", "imported");

    scenario.installation.expect(0, &["identity", "reset", "--yes"]);
    let gone = || fs::read(&key_file).ok().is_none_or(|key| key != theirs).then_some(());
    wait_for("the end of the imported key", ENROLLED, gone);
    scenario.look_at_everything();
    scenario.assert_kept(&secrets, &[]);
    println!("reset: the keys are nowhere");

    // And it would have been seen.
    let mut log = fs::OpenOptions::new().append(true).open(scenario.log()).unwrap();
    write!(log, "{{\"message\":\"key {:?}\"}}", &theirs[1000..1100]).unwrap();
    let found = secrets.below(scenario.installation.home());
    println!("planted in the log, found as: {found:?}");
    assert_eq!(found.len(), 1);
}

fn wrong_password(scenario: &Scenario, elsewhere: &Path, file: &str) -> Vec<u8> {
    let password = elsewhere.join("password");
    fs::write(&password, "also wrong\n").unwrap();
    let password = password.to_str().unwrap();
    let said =
        scenario.installation.expect(1, &["identity", "import", file, "--password-file", password]);
    assert!(said.contains("the password is wrong"), "{said}");
    said.into_bytes()
}

/// The running proxy needs its `key`: as numbers in the machine's order (backwards) for rustls, and
/// as it is for OpenSSL, which takes nothing else. Copies in any other form have been wiped.
fn assert_no_copies(scenario: &mut Scenario, secrets: &Secrets, key: &str, when: &str) {
    let memory = scenario.installation.process().memory();
    let found = secrets.find_all(&memory);
    println!("in {} MiB of the proxy's memory, {when}: {found:?}", memory.len() >> 20);
    let needed = |form: &str| form == format!("{key}, as it is") || form.ends_with("backwards");
    assert!(found.iter().all(|form| needed(form)), "{found:?}");
}

#[test]
fn with_the_key_in_the_key_store() {
    let mut scenario = Scenario::new("");
    let mut session = Session::start(scenario.installation.home());
    session.start_keyring();
    scenario.installation.start();
    scenario.enrolled();
    let ours = session.stored_key().unwrap();
    let elsewhere = scratch();
    let theirs = pkcs12(elsewhere.path());
    let secrets =
        Secrets::new(&[("our key", &ours), ("imported key", &theirs)], &[("password", PASSWORD)]);
    scenario.look_at_everything();
    scenario.assert_kept(&secrets, &[]);

    scenario.installation.stop();
    scenario.installation.start();
    scenario.enrolled();
    let (file, password) = (elsewhere.path().join("it.p12"), elsewhere.path().join("password"));
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let arguments = ["identity", "import", file.to_str().unwrap(), "--password-file"];
    scenario.record(&[&arguments[..], &[password.to_str().unwrap()]].concat());
    assert_eq!(session.stored_key().as_deref(), Some(&theirs[..]), "the imported key is stored");
    scenario.look_at_everything();
    scenario.assert_kept(&secrets, &[]);
    // Of all that is compiled in, the bus writes the most at TRACE.
    let log = fs::read_to_string(scenario.log()).unwrap();
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("zbus"), "the log is at TRACE");
    println!("the key is in the key store alone");
}
