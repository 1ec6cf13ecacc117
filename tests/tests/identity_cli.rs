//! The identity's command line against the real gateway: exit codes, the question before a reset,
//! requests and certificates as OpenSSL reads them, and key files as OpenSSL and Java write them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use seacat_tests::{
    Gateway, Host, Installation, Origin, Process, Terminal, clean_command, identity_folder, scratch,
};
use serde_json::Value;

/// A key is made, a request sent, and the certificate asked for every ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit codes of `seacat-proxy --help`.
const OK: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const CONFIG: i32 = 3;
const NOT_RUNNING: i32 = 4;

/// What a certificate can say about its owner.
const SUBJECT: &str = r#"
organization = "Kovárna Novák"
unit = "Účtárna"
country = "CZ"
email = "jana@example.com"
application = "fcb8e55c185661e4fbc087688c1bb717rst-test"
"#;

struct Scenario {
    installation: Installation,
    gateway: Gateway,
    _origin: Origin,
}

impl Scenario {
    /// Enrolment is manual, new clients wait, and the key is in a file.
    fn new(more: &str) -> Self {
        Self::at("pending", more)
    }

    /// The same at a gateway that enrols in this manner.
    fn at(mode: &str, more: &str) -> Self {
        let origin = Origin::start();
        let host = Host { name: "origin", port: origin.port(), tunnel: false };
        let gateway = Gateway::start_with(&[host], &format!("\n[enroll]\nmode = \"{mode}\"\n"));
        let settings = "\n[identity]\nenroll = \"manual\"\nkey_store = \"file\"\n";
        let installation = Installation::new(&gateway, &format!("{settings}{more}"));
        Self { installation, gateway, _origin: origin }
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.installation.expect(code, arguments);
        println!("{} -> {code}: {}", arguments.join(" "), said.lines().next().unwrap_or_default());
        said
    }

    /// `enroll --wait`, while the administrator thinks.
    fn enrolling(&self, name: &str) -> Process {
        let command = self.installation.command(&["enroll", "--cn", name, "--wait"]);
        Process::start("enroll", self.installation.home(), &command)
    }

    fn tag(&self) -> String {
        let waiting = self.installation.wait_for_state("waiting", PATIENCE);
        waiting["client_tag"].as_str().unwrap().to_owned()
    }
}

/// What OpenSSL makes of `input`.
fn openssl(arguments: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut command = clean_command("openssl", Path::new("/"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "openssl {arguments:?}: {said}");
    said
}

#[test]
fn from_a_request_to_a_certificate_and_a_reset() {
    let mut scenario = Scenario::new(SUBJECT);
    for command in [
        &["enroll"][..],
        &["identity", "show"],
        &["identity", "renew"],
        &["identity", "reset", "--yes"],
        &["identity", "export-csr"],
        &["identity", "export-cert"],
    ] {
        assert!(scenario.expect(NOT_RUNNING, command).contains("no proxy is running"));
    }
    scenario.installation.start();
    scenario.installation.wait_for_state("no_key", PATIENCE);
    assert!(scenario.expect(FAILED, &["identity", "renew"]).contains("no certificate yet"));
    assert!(scenario.expect(FAILED, &["identity", "export-csr"]).contains("there is no request"));
    assert!(scenario.expect(FAILED, &["identity", "export-cert"]).contains("no certificate yet"));
    let long = "a name that is longer than the 64 characters a certificate can hold";
    assert!(scenario.expect(FAILED, &["enroll", "--cn", long]).contains("64 characters"));

    let mut enrolling = scenario.enrolling("Jana Nováková");
    let tag = scenario.tag();
    let request = scenario.installation.expect(OK, &["identity", "export-csr"]);
    let text = openssl(
        &["req", "-verify", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus"],
        &request,
    );
    for expected in [
        "verify OK",
        "Version: 1 (0x0)",
        "Signature Algorithm: sha256WithRSAEncryption",
        "CN=Jana Nováková",
        "O=Kovárna Novák",
        "OU=Účtárna",
        "C=CZ",
        "X509v3 Key Usage: critical",
        "Digital Signature, Key Encipherment",
        "email:jana@example.com",
        "1.3.6.1.4.1.47278.1:",
        "fcb8e55c185661e4fbc087688c1bb717rst-test",
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    println!("export-csr: OpenSSL verifies it and reads all of it");
    assert!(enrolling.ended().is_none(), "it waits for the administrator");
    scenario.gateway.command(&["approve", &tag]);
    assert_eq!(enrolling.wait_to_end(PATIENCE).code(), Some(OK), "{}", enrolling.log());
    println!("enroll --wait said: {}", enrolling.log().trim().replace('\n', "; "));

    let shown = scenario.expect(OK, &["identity", "show"]);
    assert!(shown.contains(&tag) && shown.contains("enrolled until"), "{shown}");
    let json = scenario.installation.identity();
    assert_eq!((&json["state"], &json["client_tag"]), (&"enrolled".into(), &Value::from(tag)));
    let certificate = scenario.installation.expect(OK, &["identity", "export-cert"]);
    let text =
        openssl(&["x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus"], &certificate);
    assert!(text.contains("CN=Jana Nováková"), "{text}");
    let key = |kind: &str, pem: &str| openssl(&[kind, "-noout", "-pubkey"], pem);
    assert_eq!(key("x509", &certificate), key("req", &request), "the certificate is for our key");
    assert!(scenario.expect(FAILED, &["identity", "export-csr"]).contains("there is no request"));
    assert!(scenario.expect(OK, &["identity", "renew"]).contains("renewing"));
    scenario.installation.wait_for_state("renewing", PATIENCE);

    questions_before_a_reset(&scenario);
}

fn questions_before_a_reset(scenario: &Scenario) {
    let before = scenario.installation.identity()["client_id"].clone();
    let mut without = scenario.installation.command(&["identity", "reset"]);
    let without = without.stdin(Stdio::null()).output().unwrap();
    assert_eq!(without.status.code(), Some(USAGE));
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(said.contains("--yes"), "{said}");

    let reset = scenario.installation.command(&["identity", "reset"]);
    let mut terminal = Terminal::start(&reset);
    terminal.wait_for("Type yes:");
    terminal.type_line("y");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(FAILED), "{screen}");
    assert!(screen.contains("nothing deleted"), "{screen}");
    assert_eq!(scenario.installation.identity()["client_id"], before, "nothing was deleted");

    let mut terminal = Terminal::start(&reset);
    terminal.wait_for("Type yes:");
    terminal.type_line("yes");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(OK), "{screen}");
    let now = scenario.installation.identity();
    assert_eq!((&now["state"], &now["client_id"]), (&"no_key".into(), &Value::Null));
    println!("reset: without a terminal 2, asked and y 1, asked and yes 0");
    assert!(scenario.expect(OK, &["identity", "reset", "--yes"]).contains("deleted"));
}

#[test]
fn a_gateway_that_rejects() {
    let mut scenario = Scenario::at("reject", "");
    scenario.installation.start();
    let said = scenario.expect(FAILED, &["enroll", "--cn", "Jana", "--wait"]);
    assert!(said.contains("rejected"), "{said}");

    // Asked again, the old answer does not count.
    let mut again = scenario.enrolling("Jana");
    scenario.installation.wait_for_state("ready", PATIENCE);
    assert!(again.ended().is_none(), "{}", again.log());
    scenario.installation.stop();
    assert_eq!(again.wait_to_end(PATIENCE).code(), Some(NOT_RUNNING), "{}", again.log());
    println!("and again, until the proxy ends -> 4: {}", again.log().trim().replace('\n', "; "));
}

#[test]
fn without_an_identity() {
    let mut scenario = Scenario::new("");
    let config = scenario.installation.home().join("config.toml");
    let text = fs::read_to_string(&config).unwrap().replace("\"manual\"", "\"off\"");
    fs::write(&config, text).unwrap();
    scenario.installation.start();
    assert!(scenario.expect(CONFIG, &["identity", "show"]).contains("uses no identity"));
    assert!(scenario.expect(FAILED, &["enroll"]).contains("uses no identity"));
}

/// Key files, made by the programs that users make them with.
struct Workshop {
    folder: tempfile::TempDir,
}

/// An unusual password.
const PASSWORD: &str = "tajné heslo";
const ASCII: &str = "changeit";

/// Issued by the workshop's CA; X.509 version 3, as usual.
const BY_CA: &str = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile v3";

impl Workshop {
    fn open() -> Self {
        let it = Self { folder: scratch() };
        it.openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj /CN=CA",
        );
        it.openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out key.csr -subj /CN=imported");
        fs::write(it.path("v3"), "basicConstraints=CA:FALSE\n").unwrap();
        it.openssl(&format!("x509 -req -in key.csr {BY_CA} -out cert.pem"));
        for (name, password) in [("unicode", PASSWORD), ("ascii", ASCII), ("empty", "")] {
            fs::write(it.path(name), format!("{password}\n")).unwrap();
        }
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, arguments: &str) {
        let mut command: Command = clean_command(program, self.folder.path());
        let done = command.args(arguments.split_whitespace()).output().unwrap();
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{program} {arguments}: {said}");
    }

    fn openssl(&self, arguments: &str) {
        self.run("openssl", arguments);
    }

    fn keytool(&self, arguments: &str) {
        self.run("keytool", &format!("{arguments} -storetype PKCS12 -storepass {ASCII} -noprompt"));
    }

    /// `openssl pkcs12 -export`.
    fn p12(&self, name: &str, password: &str, arguments: &str) {
        let to = format!("-out {name} -passout file:{password}");
        self.openssl(&format!("pkcs12 -export {arguments} {to}"));
    }

    fn join(&self, name: &str, parts: &[&str]) {
        let whole: Vec<u8> = parts.iter().flat_map(|it| fs::read(self.path(it)).unwrap()).collect();
        fs::write(self.path(name), whole).unwrap();
    }

    /// Every file that can be imported, and the file of its password.
    fn good(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let both = "-inkey key.pem -in cert.pem";
        let weak = "-legacy -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1";
        self.p12("openssl3.p12", "unicode", both);
        self.p12("openssl11.p12", "unicode", &format!("-legacy {both}"));
        self.p12("3des.p12", "unicode", &format!("{weak} {both}"));
        self.p12("sha512.p12", "unicode", &format!("-macalg sha512 {both}"));
        self.p12("chain.p12", "ascii", &format!("{both} -certfile ca.pem -name me -caname ca"));
        self.p12("legacy-chain.p12", "ascii", &format!("-legacy {both} -certfile ca.pem"));
        self.p12("empty.p12", "empty", both);
        self.p12("legacy-empty.p12", "empty", &format!("-legacy {both}"));
        self.p12("open.p12", "ascii", &format!("-keypbe NONE -certpbe NONE {both}"));
        self.p12("no-mac.p12", "ascii", &format!("-nomac {both}"));
        let key = "-genkeypair -alias me -keyalg RSA -keysize 2048 -validity 9 -dname CN=imported";
        self.keytool(&format!("{key} -keystore java.p12"));
        self.keytool(&format!("{key} -keystore java-legacy.p12 -J-Dkeystore.pkcs12.legacy"));
        self.keytool(&format!("{key} -keystore java-chain.p12"));
        self.keytool("-certreq -alias me -keystore java-chain.p12 -file java.csr");
        self.openssl(&format!("x509 -req -in java.csr {BY_CA} -out java.pem"));
        self.keytool("-importcert -alias ca -file ca.pem -keystore java-chain.p12");
        self.keytool("-importcert -alias me -file java.pem -keystore java-chain.p12");
        self.join("pkcs8.pem", &["key.pem", "cert.pem"]);
        self.openssl("rsa -in key.pem -traditional -out pkcs1.key");
        self.join("pkcs1.pem", &["ca.pem", "cert.pem", "pkcs1.key"]);
        vec![
            ("openssl3.p12", Some("unicode")),
            ("openssl11.p12", Some("unicode")),
            ("3des.p12", Some("unicode")),
            ("sha512.p12", Some("unicode")),
            ("chain.p12", Some("ascii")),
            ("legacy-chain.p12", Some("ascii")),
            ("empty.p12", None),
            ("empty.p12", Some("empty")),
            ("legacy-empty.p12", None),
            ("open.p12", Some("ascii")),
            ("no-mac.p12", Some("ascii")),
            ("java.p12", Some("ascii")),
            ("java-legacy.p12", Some("ascii")),
            ("java-chain.p12", Some("ascii")),
            ("pkcs8.pem", None),
            ("pkcs1.pem", None),
        ]
    }

    /// Every file that cannot, the file of its password, the exit code and a part of the message.
    fn bad(&self) -> Vec<(&'static str, Option<&'static str>, i32, &'static str)> {
        let keytool = |name: &str, more: &str| {
            let key = "-genkeypair -alias me -dname CN=imported";
            self.keytool(&format!("{key} -keystore {name} {more}"));
        };
        self.p12("no-key.p12", "ascii", "-nokeys -in cert.pem");
        self.p12("no-cert.p12", "ascii", "-nocerts -inkey key.pem");
        self.keytool("-importcert -alias ca -file ca.pem -keystore java-trust.p12");
        keytool("expired.p12", "-keyalg RSA -keysize 2048 -startdate -10d -validity 1");
        keytool("ec.p12", "-keyalg EC -groupname secp256r1 -validity 9");
        keytool("short.p12", "-keyalg RSA -keysize 1024 -validity 9");
        self.join("mismatch.pem", &["key.pem", "ca.pem"]);
        self.openssl("pkcs8 -topk8 -in key.pem -out locked.key -passout file:ascii");
        self.join("locked.pem", &["locked.key", "cert.pem"]);
        let whole = fs::read(self.path("openssl3.p12")).unwrap();
        fs::write(self.path("cut.p12"), &whole[..whole.len() / 2]).unwrap();
        fs::write(self.path("large.p12"), vec![0; 65 * 1024]).unwrap();
        vec![
            ("openssl3.p12", Some("ascii"), FAILED, "the password is wrong"),
            ("openssl11.p12", Some("ascii"), FAILED, "the password is wrong"),
            ("no-mac.p12", Some("unicode"), FAILED, "the password is wrong"),
            ("java.p12", Some("unicode"), FAILED, "the password is wrong"),
            ("java-legacy.p12", Some("unicode"), FAILED, "the password is wrong"),
            ("openssl3.p12", None, USAGE, "needs a password: say --password-file"),
            ("java.p12", None, USAGE, "needs a password: say --password-file"),
            ("no-key.p12", Some("ascii"), FAILED, "no private key in the file"),
            ("java-trust.p12", Some("ascii"), FAILED, "no private key in the file"),
            ("cert.pem", None, FAILED, "no private key in the file"),
            ("no-cert.p12", Some("ascii"), FAILED, "no certificate in the file"),
            ("key.pem", None, FAILED, "no certificate in the file"),
            ("mismatch.pem", None, FAILED, "no certificate in the file is for the private key"),
            ("expired.p12", Some("ascii"), FAILED, "expired on 20"),
            ("ec.p12", Some("ascii"), FAILED, "not an RSA private key"),
            ("short.p12", Some("ascii"), FAILED, "2048 to 4096 bits"),
            ("locked.pem", None, FAILED, "export it as PKCS#12 instead"),
            ("cut.p12", Some("unicode"), FAILED, "neither a PKCS#12 file"),
            ("ascii", None, FAILED, "neither a PKCS#12 file"),
            ("large.p12", None, USAGE, "too large"),
            ("missing.p12", None, FAILED, "cannot read the file"),
            (".", None, FAILED, "cannot read the file"),
            ("openssl3.p12", Some("missing"), FAILED, "cannot read the file"),
        ]
    }
}

/// The arguments of `identity import`.
fn import(workshop: &Workshop, file: &str, password: Option<&str>) -> Vec<String> {
    let path = |name: &str| workshop.path(name).display().to_string();
    let mut words = vec!["identity".to_owned(), "import".to_owned(), path(file)];
    words.extend(password.into_iter().flat_map(|it| ["--password-file".to_owned(), path(it)]));
    words
}

#[test]
fn key_files_of_openssl_and_java() {
    let workshop = Workshop::open();
    let mut scenario = Scenario::new("");
    scenario.installation.start();
    let folder = identity_folder(scenario.installation.home(), scenario.gateway.port());
    let key_file = folder.join("key.pk8");
    for (file, password) in workshop.good() {
        let words = import(&workshop, file, password);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        scenario.installation.expect(OK, &words);
        let shown = scenario.installation.identity();
        assert_eq!(
            (&shown["state"], &shown["subject"]),
            (&"enrolled".into(), &"CN=imported".into())
        );
        let certificate = scenario.installation.expect(OK, &["identity", "export-cert"]);
        let for_key = openssl(&["x509", "-noout", "-pubkey"], &certificate);
        let key = key_file.to_str().unwrap();
        let own = openssl(&["pkey", "-inform", "DER", "-in", key, "-pubout"], "");
        assert_eq!(own, for_key, "{file}: key and certificate belong together");
        println!("{file} ({}) is imported", password.unwrap_or("no password"));
    }

    let before = scenario.installation.identity();
    for (file, password, code, message) in workshop.bad() {
        let words = import(&workshop, file, password);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = scenario.installation.command(&words);
        let done = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{file}: {said}");
        assert!(said.contains(message), "{file}: {said}");
        println!("{file} ({}): {}", password.unwrap_or("no password"), said.trim());
    }
    let after = scenario.installation.identity();
    assert_eq!(before["client_id"], after["client_id"], "what was refused changed nothing");

    // By hand: shown nowhere, wrong once, right then.
    let words = import(&workshop, "openssl3.p12", None);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = scenario.installation.command(&words);
    for (typed, code) in [("wrong", FAILED), (PASSWORD, OK)] {
        let mut terminal = Terminal::start(&command);
        terminal.wait_for("Password of the file:");
        terminal.wait_until_hidden();
        terminal.type_line(typed);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{screen}");
        assert!(!screen.contains(PASSWORD), "what is typed is not shown: {screen}");
    }
    println!("typed at a terminal: not shown, wrong 1, right 0");

    // From standard input.
    let mut words = import(&workshop, "chain.p12", None);
    words.extend(["--password-file".to_owned(), "-".to_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = scenario.installation.command(&words);
    let done = command.stdin(fs::File::open(workshop.path("ascii")).unwrap()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
