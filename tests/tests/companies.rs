//! An identity belongs to a gateway, and is what that gateway says: two companies' gateways with
//! failover and back, one that forgets or is restored from a backup, and a clock that is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a scenario fails where it cannot go on, and says what it measured"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use seacat_tests::{Gateway, Host, Origin, Proxy, identity_folder, scratch, wait_for};
use serde_json::Value;

/// A key is made and a certificate fetched; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is not so heals in this time after its cause is gone (docs/identity.md). A busy machine gets
/// as much again.
const HEALED: Duration = Duration::from_secs(20);

const IDENTITY: &str = "\n[identity]\nenroll = \"auto\"\nkey_store = \"file\"\n";

struct Company {
    gateway: Gateway,
    _origin: Origin,
}

impl Company {
    fn found() -> Self {
        let origin = Origin::start();
        let host = Host { name: "erp", port: origin.port(), tunnel: false };
        let gateway = Gateway::enrolling(&[host], "mode = \"automatic\"").started();
        Self { gateway, _origin: origin }
    }

    /// The gateway in the status.
    fn name(&self) -> String {
        format!("localhost:{}", self.gateway.port())
    }

    /// The tags of those that it knows.
    fn clients(&self) -> Vec<String> {
        let known = self.gateway.command(&["clients"]);
        let tags = known.lines().filter(|line| line.starts_with('['));
        tags.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    }

    fn certificate(&self, proxy: &Proxy) -> Vec<u8> {
        let folder = identity_folder(&proxy.home(), self.gateway.port());
        fs::read(folder.join("certificate.der")).unwrap()
    }

    fn as_second(&self) -> String {
        format!(
            "\n[[gateway]]\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\npriority = 1\n",
            self.gateway.port(),
            self.gateway.ca().display()
        )
    }
}

fn get(proxy: &Proxy) -> u16 {
    proxy.client().get("http://erp.seacat/echo").map_or(0, |answer| answer.status)
}

/// Waits until the host for the enrolled answers; the status then, which must say that we are.
fn served(proxy: &Proxy, by: &Company, limit: Duration) -> Value {
    let began = Instant::now();
    wait_for("an answer of the host for the enrolled", limit, || {
        thread::sleep(Duration::from_millis(50));
        (get(proxy) == 200).then_some(())
    });
    println!("{} answers after {:.1} s", by.name(), began.elapsed().as_secs_f64());
    wait_for("a status that is true and says enrolled", limit, || {
        let status = proxy.status();
        let identity = &status["identity"];
        let confirmed = identity["gateway"] == by.name() && identity["confirmed"].is_i64();
        // After a connect the gateway is asked once more: "renewing" for a moment.
        (confirmed && identity["state"] == "enrolled").then_some(status)
    })
}

#[test]
fn two_companies_have_an_identity_each() {
    let (mut ours, mut theirs) = (Company::found(), Company::found());
    let more = theirs.as_second() + IDENTITY;
    let proxy = Proxy::start_with(ours.gateway.port(), &ours.gateway.ca(), "erp", &more);
    let here = served(&proxy, &ours, PATIENCE);
    assert!(theirs.clients().is_empty(), "nothing is asked of a gateway that is not needed");
    assert_eq!(here["other_identities"][0]["state"], "no_key", "{here}");

    ours.gateway.process().kill();
    let there = served(&proxy, &theirs, PATIENCE);
    let first = ours.certificate(&proxy);
    assert_ne!(
        here["identity"]["client_tag"], there["identity"]["client_tag"],
        "a key of its own for each company"
    );
    assert_eq!(there["other_identities"][0]["client_tag"], here["identity"]["client_tag"]);

    ours.gateway.restart();
    theirs.gateway.process().kill();
    let back = served(&proxy, &ours, PATIENCE);
    assert_eq!(back["identity"]["serial"], here["identity"]["serial"], "the same certificate");
    assert_eq!(ours.certificate(&proxy), first, "and it was not overwritten");
    theirs.gateway.restart();
    ours.gateway.process().kill();
    let again = served(&proxy, &theirs, PATIENCE);
    assert_eq!(again["identity"]["serial"], there["identity"]["serial"]);
    assert_eq!(theirs.clients().len(), 1, "one request at each");
}

#[test]
fn gateways_of_one_group_share_an_identity() {
    let (mut one, mut other) = (Company::found(), Company::found());
    let text = other.as_second() + "group = \"ours\"\n" + IDENTITY;
    // The first gateway's table is still open.
    let more = format!("\ngroup = \"ours\"\n{text}");
    let proxy = Proxy::start_with(one.gateway.port(), &one.gateway.ca(), "erp", &more);
    let tag = |company: &Company| {
        wait_for("an answer", PATIENCE, || {
            thread::sleep(Duration::from_millis(50));
            (get(&proxy) == 200).then_some(())
        });
        company.clients()
    };
    let first = tag(&one);
    one.gateway.process().kill();
    // It keeps records of its own and does not know us: asked with the same key.
    assert_eq!(tag(&other), first);
    one.gateway.restart();
    other.gateway.process().kill();
    assert_eq!(tag(&one), first);
    let status = proxy.status();
    assert_eq!(status["identity"]["gateway"], "ours");
    assert_eq!(status["other_identities"], Value::Array(Vec::new()));
}

/// Gives the gateway a certificate of another CA.
fn certify_by(gateway: &mut Gateway, ca: &Gateway) {
    gateway.process().kill();
    for file in ["server.pem", "server.key"] {
        fs::copy(ca.folder().join(file), gateway.folder().join(file)).unwrap();
    }
    gateway.restart();
}

#[test]
fn a_new_ca_is_taken_from_the_file_without_a_command() {
    let mut company = Company::found();
    let (next, last) = (Gateway::prepared(&[]), Gateway::prepared(&[]));
    let folder = scratch();
    let ca = folder.path().join("ca.pem");
    fs::copy(company.gateway.ca(), &ca).unwrap();
    let proxy = Proxy::start_with(company.gateway.port(), &ca, "erp", IDENTITY);
    served(&proxy, &company, PATIENCE);

    // Planned: the new one is in the file before the gateway uses it.
    let both = [fs::read(&ca).unwrap(), fs::read(next.ca()).unwrap()].concat();
    fs::write(&ca, both).unwrap();
    certify_by(&mut company.gateway, &next);
    served(&proxy, &company, HEALED);

    // Not planned: the file comes later.
    certify_by(&mut company.gateway, &last);
    wait_for("a refusal", PATIENCE, || {
        let _ = get(&proxy);
        (proxy.status()["failure"]["code"] == "SC-CERT-CA").then_some(())
    });
    fs::copy(last.ca(), &ca).unwrap();
    served(&proxy, &company, HEALED);
    assert_eq!(company.clients().len(), 1, "and the same identity");
}

#[test]
fn a_gateway_that_has_lost_its_records_is_asked_again() {
    let mut company = Company::found();
    let proxy = Proxy::start_with(company.gateway.port(), &company.gateway.ca(), "erp", IDENTITY);
    served(&proxy, &company, PATIENCE);
    let known = company.clients();

    company.gateway.command(&["forget", known[0].trim_matches(['[', ']'])]);
    let began = Instant::now();
    wait_for("the same client again", HEALED, || {
        thread::sleep(Duration::from_millis(100));
        (company.clients() == known).then_some(())
    });
    served(&proxy, &company, HEALED);
    println!("forgotten, and healed after {:.1} s", began.elapsed().as_secs_f64());

    // Restored from a backup that is older than this client.
    company.gateway.process().kill();
    fs::remove_dir_all(company.gateway.folder().join("state")).unwrap();
    company.gateway.restart();
    let began = Instant::now();
    served(&proxy, &company, HEALED);
    println!("restored, and healed after {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(company.clients(), known);
}

/// Debian's libfaketime, for the architecture of this machine.
fn faketime() -> PathBuf {
    let library = |entry: fs::DirEntry| entry.path().join("faketime/libfaketime.so.1");
    let libraries = fs::read_dir("/usr/lib").unwrap().flatten().map(library);
    libraries.into_iter().find(|it| it.exists()).expect("the package libfaketime")
}

fn set_clock(file: &Path, offset: &str) {
    let new = file.with_extension("new");
    fs::write(&new, offset).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn a_clock_that_was_wrong_leaves_no_client_anonymous() {
    let company = Company::found();
    let (port, ca) = (company.gateway.port(), company.gateway.ca());
    let mut proxy = Proxy::start_with(port, &ca, "erp", IDENTITY);
    served(&proxy, &company, PATIENCE);
    proxy.process().kill();

    let clock = proxy.home().join("clock");
    set_clock(&clock, "+500d");
    proxy.launch(&[
        ("LD_PRELOAD", faketime().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]);
    proxy.wait_until_ready();
    // The certificate seems to have expired; the gateway says otherwise.
    served(&proxy, &company, HEALED);
    set_clock(&clock, "+0");
    served(&proxy, &company, HEALED);
    // And the next connection.
    proxy.process().kill();
    proxy.launch(&[]);
    proxy.wait_until_ready();
    served(&proxy, &company, HEALED);
    assert_eq!(company.clients().len(), 1);
}
