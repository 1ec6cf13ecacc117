//! Enrolment over real TLS: how a machine gets its certificate, keeps it, and loses it.

#[cfg(unix)]
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    CertificateParams, DnType, Issuer, KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rustls::AlertDescription;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use seacat_gateway::builtin::Builtin;
use seacat_gateway::config::{Host, Limits, StateAt};
use seacat_gateway::enroll::{Mode, Policy, State, Store};
use seacat_gateway::{ClientId, Config, Demo, Gateway, pki};
use seacat_link::{Closed, IncomingEvent};
use seacat_proto::frame::{Cert, CertQuery, Characteristics, CharacteristicsAck, Csr, CsrReply};
use seacat_proto::{Bytes, Control};

use crate::support::*;

pub(crate) const STORED: u8 = CsrReply::STORED;
pub(crate) const APPROVED: u8 = CsrReply::STORED | CsrReply::APPROVED;
pub(crate) const REJECTED: u8 = CsrReply::REJECTED;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A machine with a key. Making RSA keys is slow, so the scenarios share a few.
pub(crate) struct Machine {
    key_pem: String,
    key: KeyPair,
}

impl Machine {
    const KEYS: usize = 2;

    pub(crate) fn number(number: usize) -> Self {
        static KEYS: [OnceLock<String>; Machine::KEYS] = [const { OnceLock::new() }; 2];
        let key_pem = KEYS[number].get_or_init(|| {
            let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
            key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
        });
        Self { key_pem: key_pem.clone(), key: KeyPair::from_pem(key_pem).unwrap() }
    }

    pub(crate) fn id(&self) -> ClientId {
        ClientId::of_key(self.key.public_key_raw())
    }

    pub(crate) fn csr(&self, name: &str) -> Vec<u8> {
        request_of(name, &self.key)
    }

    /// A connection that shows this certificate.
    async fn connect(&self, to: &Demo, certificate: &[u8]) -> Client {
        self.connect_to(to.addr, &to.ca_pem, certificate).await
    }

    pub(crate) async fn connect_to(
        &self,
        addr: std::net::SocketAddr,
        ca_pem: &str,
        certificate: &[u8],
    ) -> Client {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let chain = vec![CertificateDer::from(certificate.to_vec())];
        let config = identified(ca_pem, chain, key);
        let (tcp, session) = handshake(addr, config).await.unwrap();
        Client::over(tcp, session)
    }

    pub(crate) fn public_key(&self) -> Bytes {
        Bytes::copy_from_slice(self.key.public_key_raw())
    }
}

fn request_of(name: &str, key: &impl SigningKey) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key).unwrap().der().to_vec()
}

impl Client {
    async fn control(&mut self) -> Control {
        loop {
            match self.incoming.next().await {
                Some(IncomingEvent::Control(control)) => return control,
                Some(_) => {}
                None => panic!("the connection ended: {:?}", self.link.closed()),
            }
        }
    }

    fn send_csr(&self, der: impl Into<Bytes>) {
        let (flags, der) = (Csr::FLAGS, der.into());
        self.link.control(&Control::Csr(Csr { flags, der })).unwrap();
    }

    /// Sends a CSR; says the flags of the answer.
    pub(crate) async fn submit(&mut self, der: impl Into<Bytes>) -> u8 {
        self.send_csr(der);
        self.csr_reply().await
    }

    async fn csr_reply(&mut self) -> u8 {
        match self.control().await {
            Control::CsrReply(reply) => reply.flags,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a certificate; says the flags and the certificate.
    pub(crate) async fn query(&mut self, key: Bytes) -> (u8, Vec<u8>) {
        let query = CertQuery { id: 7, query: CertQuery::MINE, public_key: key };
        self.link.control(&Control::CertQuery(query)).unwrap();
        match self.control().await {
            Control::Cert(cert) => {
                assert_eq!(cert.id, 7);
                (cert.flags, cert.certificate.to_vec())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asks for a certificate that was rejected, which is answered by a CSR_REPLY: CERT cannot say it.
    async fn query_rejected(&mut self, key: Bytes) -> u8 {
        let query = CertQuery { id: 7, query: CertQuery::MINE, public_key: key };
        self.link.control(&Control::CertQuery(query)).unwrap();
        self.csr_reply().await
    }

    async fn send_characteristics(&mut self, serial: u32) {
        let facts = Characteristics::new(serial, &[("osh", "box"), ("oss", "Linux")]).unwrap();
        let frame = Control::Characteristics(facts);
        self.link.control(&frame).unwrap();
    }
}

const PENDING: (u8, Vec<u8>) = (0, Vec::new());
const NOT_FOUND: (u8, Vec<u8>) = (Cert::NOT_FOUND, Vec::new());

fn policy(mode: Mode) -> Policy {
    // The stories renew as soon as they can.
    Policy { mode, reissue_pause: Duration::ZERO, ..Policy::default() }
}

/// A gateway with `echo` for all and `inner` for those with an identity.
fn gateway(policy: Policy, state: StateAt) -> Demo {
    let inner = Host { identity: true, ..Host::new(Builtin::Echo.into()) };
    let hosts = [("echo".to_owned(), Host::new(Builtin::Echo.into())), ("inner".to_owned(), inner)];
    Demo::start_enrolling(hosts, Limits::default(), policy, state).unwrap()
}

fn in_memory(mode: Mode) -> Demo {
    gateway(policy(mode), StateAt::Memory)
}

fn state(demo: &Demo, machine: &Machine) -> Option<State> {
    let record = demo.clients.read(&machine.id()).unwrap();
    record.map(|it| it.state())
}

/// The connection's identity at the gateway: the response of `inner`, and the fields that back ends
/// receive.
async fn standing(client: &Client) -> (u16, String) {
    let inner = client.get("inner", "/").await.unwrap();
    let reported = client.get("echo", "/").await.unwrap().body;
    if inner.status == 403 {
        assert!(!reported.contains("x-seacat"), "{reported}");
        return (403, inner.body);
    }
    assert_eq!(reported, inner.body);
    (inner.status, reported)
}

/// The response for an identified client.
fn identity_response(machine: &Machine) -> (u16, String) {
    let (id, tag) = (machine.id(), machine.id().tag());
    let text = format!("GET /\nx-seacat-client-id: {id}\nx-seacat-client-tag: {tag}\n\n");
    (200, text)
}

fn refused(why: &str) -> (u16, String) {
    (403, format!("this host is for enrolled clients: {why}\n"))
}

#[test]
fn automatic_from_a_csr_to_an_identified_request() {
    scenario(async {
        let demo = in_memory(Mode::Automatic);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(standing(&client).await, refused("you have presented no certificate"));
        assert_eq!(client.query(machine.public_key()).await, NOT_FOUND);
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let (flags, certificate) = client.query(machine.public_key()).await;
        assert_eq!(flags, 0);
        assert_eq!(ClientId::of_certificate(&certificate), Some(machine.id()));

        let client = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        // Identity fields of the client are not forwarded.
        for name in ["X-SeaCat-Client-Id", "x_seacat_client_tag"] {
            let request = request("GET", "inner", "/", &[(name, "somebody else")]);
            assert_eq!(client.ask(request).await.unwrap().body, identity_response(&machine).1);
        }
    });
}

#[test]
fn an_administrator_approves() {
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let (machine, other) = (Machine::number(0), Machine::number(1));
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        assert_eq!(client.query(machine.public_key()).await, PENDING);
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        assert_eq!(client.query(other.public_key()).await, NOT_FOUND);

        demo.clients.approve(&machine.id()).unwrap();
        demo.clients.approve(&machine.id()).unwrap_err();
        // The same connection, without a restart. It may also ask with a CSR again.
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let (_, certificate) = client.query(machine.public_key()).await;
        assert_eq!(client.query(machine.public_key()).await.1, certificate);
        let client = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        // A certificate needs its key, and another gateway's is worth nothing here.
        let foreign = in_memory(Mode::Automatic);
        let client = machine.connect(&foreign, &certificate).await;
        let unknown = "this gateway has not issued your certificate, or has replaced it";
        assert_eq!(standing(&client).await, refused(unknown));
    });
}

#[test]
fn an_administrator_rejects() {
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        demo.clients.reject(&machine.id()).unwrap();
        assert_eq!(client.query_rejected(machine.public_key()).await, REJECTED);
        assert_eq!(client.submit(machine.csr("Anna")).await, REJECTED);
        // And changes their mind.
        demo.clients.approve(&machine.id()).unwrap();
        assert_eq!(client.query(machine.public_key()).await.0, 0);
        assert_eq!(state(&demo, &machine), Some(State::Issued));
        // Forgotten, it may begin again.
        demo.clients.forget(&machine.id()).unwrap();
        assert_eq!(client.query(machine.public_key()).await, NOT_FOUND);
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
    });
}

#[test]
fn new_clients_are_rejected_in_mode_reject() {
    scenario(async {
        let demo = in_memory(Mode::Reject);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, REJECTED);
        assert_eq!(client.query(machine.public_key()).await, NOT_FOUND);
        assert_eq!(state(&demo, &machine), None, "strangers leave no trace");
    });
}

#[test]
fn renewal_with_and_without_identity() {
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let machine = Machine::number(0);
        let mut anonymous = Client::connect(&demo).await;
        assert_eq!(anonymous.submit(machine.csr("Anna")).await, STORED);
        demo.clients.approve(&machine.id()).unwrap();
        let (_, first) = anonymous.query(machine.public_key()).await;

        // Without identity it has lost its certificate: here it is again, no other.
        assert_eq!(anonymous.submit(machine.csr("Anna")).await, APPROVED);
        assert_eq!(anonymous.query(machine.public_key()).await.1, first);

        // With identity the next one is made at once, and it asks without a key.
        let mut client = machine.connect(&demo, &first).await;
        assert_eq!(client.query(Bytes::new()).await.1, first);
        assert_eq!(client.submit(machine.csr("Queen")).await, APPROVED);
        let (_, second) = client.query(Bytes::new()).await;
        assert_ne!(second, first);
        let name = |der: &[u8]| der.windows(5).any(|it| it == b"Queen");
        assert!(!name(&second), "a name is not changed by renewing");
        // Old and new overlap: requests in flight may end.
        assert_eq!(standing(&client).await, identity_response(&machine));
        for certificate in [&first, &second] {
            let client = machine.connect(&demo, certificate).await;
            assert_eq!(standing(&client).await, identity_response(&machine));
        }
        // On an anonymous connection there is no "my certificate" without a key.
        assert_eq!(anonymous.query(Bytes::new()).await, NOT_FOUND);
    });
}

#[test]
fn without_automatic_renewal_an_administrator_decides_again() {
    scenario(async {
        let rules = Policy { auto_renew: false, ..policy(Mode::Pending) };
        let demo = gateway(rules, StateAt::Memory);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        demo.clients.approve(&machine.id()).unwrap();
        let (_, first) = client.query(machine.public_key()).await;
        let mut client = machine.connect(&demo, &first).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        assert_eq!(client.query(Bytes::new()).await, PENDING);
        assert_eq!(
            standing(&client).await,
            identity_response(&machine),
            "meanwhile the old one is good"
        );
        demo.clients.approve(&machine.id()).unwrap();
        assert_ne!(client.query(Bytes::new()).await.1, first);
    });
}

#[test]
fn a_certificate_expires_during_its_connection() {
    scenario(async {
        let rules = Policy { validity: Duration::from_secs(4), ..policy(Mode::Pending) };
        let demo = gateway(rules, StateAt::Memory);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        demo.clients.approve(&machine.id()).unwrap();
        let (_, certificate) = client.query(machine.public_key()).await;
        let mut client = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        let until = demo.clients.read(&machine.id()).unwrap().unwrap().until();
        while SystemTime::now() < until.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await; // the wall clock has no other way
        }
        // The connection goes on; the identity does not, here nor on the next one.
        let over = refused("your certificate has expired");
        assert_eq!(standing(&client).await, over);
        assert_eq!(standing(&machine.connect(&demo, &certificate).await).await, over);
        // "Submit again", and an administrator decides again.
        assert_eq!(client.query(Bytes::new()).await, NOT_FOUND);
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        assert_eq!(client.query(Bytes::new()).await, PENDING);
    });
}

#[test]
fn a_revoked_client_loses_its_connections_and_its_identity() {
    scenario(async {
        let demo = in_memory(Mode::Automatic);
        let (machine, other) = (Machine::number(0), Machine::number(1));
        let mut stranger = Client::connect(&demo).await;
        let mut connected = Vec::new();
        for machine in [&machine, &other] {
            assert_eq!(stranger.submit(machine.csr("Anna")).await, APPROVED);
            let (_, certificate) = stranger.query(machine.public_key()).await;
            let client = machine.connect(&demo, &certificate).await;
            assert_eq!(standing(&client).await, identity_response(machine));
            connected.push((client, certificate));
        }
        let [(revoked, certificate), (bystander, _)] = connected.try_into().ok().unwrap();
        let (_ask, mut streaming) = revoked.open(request("POST", "inner", "/", &[]));
        assert_eq!(streaming.reply().await.unwrap().status(), 200);

        let at = Instant::now();
        demo.clients.revoke(&machine.id()).unwrap();
        let closed = revoked.driver.await.unwrap();
        assert!(matches!(closed, Closed::Peer), "{closed}");
        assert!(at.elapsed() < Duration::from_secs(3), "{:?}", at.elapsed());
        assert_eq!(standing(&bystander).await, identity_response(&other));
        // Strangers stay, too.
        assert_eq!(stranger.get("echo", "/").await.unwrap().status, 200);

        // Its certificate is refused, with the reason.
        assert!(was_revoked(&machine, &demo, &certificate).await);
        // As an anonymous client it may ask again; it is not approved automatically.
        let key = machine.public_key();
        assert_eq!(stranger.query(key.clone()).await, NOT_FOUND);
        assert_eq!(stranger.submit(machine.csr("Anna")).await, STORED);
        assert_eq!(stranger.query(key.clone()).await, PENDING);
        assert_eq!(state(&demo, &machine), Some(State::Revoked));

        // An administrator may approve it again; its earlier certificates stay revoked.
        demo.clients.approve(&machine.id()).unwrap();
        let (_, new) = stranger.query(key.clone()).await;
        assert_eq!(
            standing(&machine.connect(&demo, &new).await).await,
            identity_response(&machine)
        );
        assert!(was_revoked(&machine, &demo, &certificate).await);

        // Or may be asked in vain.
        demo.clients.revoke(&machine.id()).unwrap();
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        demo.clients.reject(&machine.id()).unwrap();
        assert_eq!(client.query_rejected(key).await, REJECTED);
        assert_eq!(client.submit(machine.csr("Anna")).await, REJECTED);
        assert!(was_revoked(&machine, &demo, &new).await);
    });
}

/// A reference client presents its certificate for ever, is refused in the handshake, and so cannot ask.
#[test]
fn a_revoked_client_that_cannot_ask_is_approved_with_the_certificate_it_has() {
    scenario(async {
        let demo = in_memory(Mode::Automatic);
        let machine = Machine::number(0);
        let mut stranger = Client::connect(&demo).await;
        assert_eq!(stranger.submit(machine.csr("Anna")).await, APPROVED);
        let (_, certificate) = stranger.query(machine.public_key()).await;
        demo.clients.revoke(&machine.id()).unwrap();
        assert!(was_revoked(&machine, &demo, &certificate).await);

        demo.clients.approve(&machine.id()).unwrap();
        let client = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        assert_eq!(state(&demo, &machine), Some(State::Issued));
    });
}

/// Whether a connection that shows this certificate is refused for it.
async fn was_revoked(machine: &Machine, demo: &Demo, certificate: &[u8]) -> bool {
    is_revoked(&machine.connect(demo, certificate).await.driver.await.unwrap())
}

/// With TLS 1.3 the alert comes when the client's handshake is over.
pub(crate) fn is_revoked(closed: &Closed) -> bool {
    matches!(
        closed,
        Closed::Tls(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked))
    )
}

/// Another process revokes and forgets in the folder of a running gateway.
#[test]
fn what_is_revoked_beside_the_gateway_is_refused() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("state");
        let demo = gateway(policy(Mode::Automatic), StateAt::Folder(at.clone()));
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let (_, certificate) = client.query(machine.public_key()).await;
        let connected = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&connected).await, identity_response(&machine));

        let beside = Store::open(&at).unwrap();
        beside.revoke(&machine.id()).unwrap();
        let closed = connected.driver.await.unwrap();
        assert!(matches!(closed, Closed::Peer), "{closed}");
        assert!(was_revoked(&machine, &demo, &certificate).await);
        // So does the next gateway, from its first client on.
        demo.stop().await;
        let demo = gateway(policy(Mode::Automatic), StateAt::Folder(at));
        assert!(was_revoked(&machine, &demo, &certificate).await);

        // A client that is forgotten is a stranger, who is not refused.
        beside.forget(&machine.id()).unwrap();
        let unknown = refused("this gateway has not issued your certificate, or has replaced it");
        loop {
            let client = machine.connect(&demo, &certificate).await;
            match client.get("inner", "/").await {
                Ok(answer) => break assert_eq!((answer.status, answer.body), unknown),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
}

/// While the records cannot be read, a certificate may have been taken back unnoticed.
#[test]
fn while_records_cannot_be_read_no_certificate_counts() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("state");
        let demo = gateway(policy(Mode::Automatic), StateAt::Folder(at.clone()));
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let (_, certificate) = client.query(machine.public_key()).await;
        let connected = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&connected).await, identity_response(&machine));

        let (records, away) = (at.join("clients"), at.join("away"));
        let becomes = async |expected: (u16, String)| {
            while connected.get("inner", "/").await.unwrap().status != expected.0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(standing(&connected).await, expected);
        };
        std::fs::rename(&records, &away).unwrap();
        becomes(refused("your certificate could not be looked up")).await;
        std::fs::rename(&away, &records).unwrap();
        becomes(identity_response(&machine)).await;
    });
}

#[test]
fn a_gateway_that_starts_again_knows_its_clients() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let at = || StateAt::Folder(dir.path().join("state"));
        let machine = Machine::number(0);
        let demo = gateway(policy(Mode::Automatic), at());
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let (_, certificate) = client.query(machine.public_key()).await;
        demo.stop().await;

        let demo = gateway(policy(Mode::Pending), at());
        let mut client = machine.connect(&demo, &certificate).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        assert_eq!(client.query(Bytes::new()).await.1, certificate);

        // A file that is damaged gives no identity, and is not written over.
        let file = dir.path().join(format!("state/clients/{}.toml", machine.id()));
        let text = std::fs::read_to_string(&file).unwrap().replace("issued", "emperor");
        std::fs::write(&file, &text).unwrap();
        let mut client = machine.connect(&demo, &certificate).await;
        let not_now = refused("your certificate could not be looked up");
        assert_eq!(standing(&client).await, not_now);
        // What is said of another client is the next answer: there was none before.
        client.send_csr(machine.csr("Anna"));
        let query = CertQuery { id: 6, query: CertQuery::MINE, public_key: Bytes::new() };
        client.link.control(&Control::CertQuery(query)).unwrap();
        assert_eq!(client.query(Machine::number(1).public_key()).await, NOT_FOUND);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    });
}

#[test]
#[cfg(unix)]
fn client_records_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("state");
        let demo = gateway(policy(Mode::Automatic), StateAt::Folder(at.clone()));
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&at), 0o700);
        assert_eq!(mode(&at.join("clients")), 0o700);
        let file = at.join(format!("clients/{}.toml", machine.id()));
        assert_eq!(mode(&file), 0o600);
    });
}

#[test]
fn characteristics_are_acknowledged_when_they_are_stored() {
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let machine = Machine::number(0);
        let mut client = Client::connect(&demo).await;
        // Their client is not known before the CSR.
        client.send_characteristics(5).await;
        let csr = Csr { flags: Csr::FLAGS, der: machine.csr("Anna").into() };
        client.link.control(&Control::Csr(csr)).unwrap();
        let ack = |serial| Control::CharacteristicsAck(CharacteristicsAck { serial });
        assert_eq!(client.control().await, ack(5));
        let stored = Control::CsrReply(CsrReply { flags: STORED });
        assert_eq!(client.control().await, stored);
        let record = demo.clients.read(&machine.id()).unwrap().unwrap();
        let facts: Vec<_> = record.characteristics().collect();
        assert_eq!(facts, [("osh", "box"), ("oss", "Linux")]);
        // Now they are known on this connection.
        client.send_characteristics(6).await;
        assert_eq!(client.control().await, ack(6));
    });
}

#[test]
fn recorded_requests_of_the_reference_client_are_taken() {
    let file = include_str!("../../../seacat-proto/tests/golden/identity.json");
    let frames: serde_json::Value = serde_json::from_str(file).unwrap();
    let body = |name: &str| {
        let frame = frames.as_array().unwrap().iter().find(|it| it["name"] == name);
        let hex = frame.unwrap()["hex"].as_str().unwrap();
        Bytes::from(data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()).slice(8..)
    };
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let mut client = Client::connect(&demo).await;
        let recorded = [
            ("csr", "cert_query", "[6X44WDUMSC2PK46D]"),
            ("csr_with_subject", "cert_query_anonymous", "[DHB63WMKUJLQLBI6]"),
        ];
        for (csr, query, tag) in recorded {
            let key = body(query).slice(4..);
            assert_eq!(client.query(key.clone()).await, NOT_FOUND);
            assert_eq!(client.submit(body(csr)).await, STORED);
            assert_eq!(client.query(key.clone()).await, PENDING);
            let id = demo.clients.find(&tag.parse().unwrap()).unwrap();
            demo.clients.approve(&id).unwrap();
            let (flags, certificate) = client.query(key).await;
            assert_eq!(flags, 0);
            assert_eq!(ClientId::of_certificate(&certificate), Some(id));
        }
    });
}

/// A key that signs for another one.
struct Forger<'a> {
    claims: &'a KeyPair,
    signs: &'a KeyPair,
}

impl PublicKeyData for Forger<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.claims.der_bytes()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.claims.algorithm()
    }
}

impl SigningKey for Forger<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signs.sign(message)
    }
}

#[test]
fn bad_requests_are_rejected_and_leave_no_trace() {
    scenario(async {
        let (machine, other) = (Machine::number(0), Machine::number(1));
        let demo = in_memory(Mode::Automatic);
        let forger = Forger { claims: &machine.key, signs: &other.key };
        let elliptic = KeyPair::generate().unwrap();
        let mut long = machine.csr("Anna");
        long.push(0);
        let cases = [
            ("nothing", Vec::new()),
            ("garbage", vec![0x5A; 700]),
            ("a large one", vec![0x30; 16_000]),
            ("more than a request", long),
            ("another key's signature", request_of("Anna", &forger)),
            ("an elliptic key", request_of("Anna", &elliptic)),
        ];
        for (what, der) in cases {
            let mut client = Client::connect(&demo).await;
            assert_eq!(client.submit(der).await, REJECTED, "{what}");
            assert_eq!(client.get("echo", "/").await.unwrap().status, 200, "{what}");
        }
        assert!(demo.clients.ids().unwrap().is_empty());
    });
}

#[test]
fn a_flood_of_requests_does_not_affect_others() {
    const FLOOD: usize = 200;
    scenario(async {
        let demo = in_memory(Mode::Pending);
        let (machine, other) = (Machine::number(0), Machine::number(1));
        let mut flooding = Client::connect(&demo).await;
        let der = Bytes::from(machine.csr("Anna"));
        (0..FLOOD).for_each(|_| flooding.send_csr(der.clone()));
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(other.csr("Bob")).await, STORED);
        // The others are not answered: a client whose CSR is not answered sends it again.
        for _ in 0..4 {
            assert_eq!(flooding.csr_reply().await, STORED);
        }
        let key = machine.public_key();
        assert_eq!(flooding.query(key.clone()).await, PENDING);
        for id in 0..u16::try_from(FLOOD).unwrap() {
            let (query, public_key) = (CertQuery::MINE, key.clone());
            let query = CertQuery { id, query, public_key };
            flooding.link.control(&Control::CertQuery(query)).unwrap();
        }
        let answer = flooding.control().await;
        assert!(matches!(&answer, Control::Cert(cert) if cert.certificate.is_empty()));
        assert_eq!(flooding.get("echo", "/").await.unwrap().status, 200);
        assert_eq!(demo.clients.ids().unwrap().len(), 2);
    });
}

#[test]
fn the_number_of_clients_is_limited() {
    scenario(async {
        let (machine, other) = (Machine::number(0), Machine::number(1));
        let tight = Policy { max_pending: 1, ..policy(Mode::Pending) };
        let demo = gateway(tight, StateAt::Memory);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);
        // A reply without flags would end a reference client for good; silence makes it try again.
        client.send_csr(other.csr("Bob"));
        assert_eq!(client.query(other.public_key()).await, NOT_FOUND);
        // Who is known already is not kept out by newcomers.
        assert_eq!(client.submit(machine.csr("Anna")).await, STORED);

        let full = Policy { max_clients: 1, ..policy(Mode::Automatic) };
        let demo = gateway(full, StateAt::Memory);
        let mut client = Client::connect(&demo).await;
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
        client.send_csr(other.csr("Bob"));
        assert_eq!(client.query(other.public_key()).await, NOT_FOUND);
        assert_eq!(client.submit(machine.csr("Anna")).await, APPROVED);
    });
}

#[test]
fn a_ca_of_ones_own_gives_identities_too() {
    scenario(async {
        let dir = tempfile::tempdir().unwrap();
        let path = pki::init(dir.path(), &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace("[::]:8443", "127.0.0.1:0")
            .replace("# client_ca = \"your-ca.pem\"", "client_ca = \"own.pem\"")
            + "[host.inner]\nbuiltin = \"echo\"\nidentity = true\n\
             [host.echo]\nbuiltin = \"echo\"\n";
        std::fs::write(&path, text).unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let pem = ca.self_signed(&ca_key).unwrap().pem();
        std::fs::write(dir.path().join("own.pem"), pem).unwrap();
        let gateway = Gateway::bind(Config::load(&path).unwrap()).unwrap();
        let addr = gateway.local_addr();
        let _running = tokio::spawn(gateway.run(std::future::pending()));

        let machine = Machine::number(0);
        let certificate = CertificateParams::new(vec!["box".to_owned()])
            .unwrap()
            .signed_by(&machine.key, &Issuer::from_params(&ca, &ca_key))
            .unwrap();
        let ca_pem = std::fs::read_to_string(dir.path().join("ca.pem")).unwrap();
        let client = machine.connect_to(addr, &ca_pem, certificate.der()).await;
        assert_eq!(standing(&client).await, identity_response(&machine));
        let (tcp, session) = handshake(addr, anonymous(&ca_pem)).await.unwrap();
        let client = Client::over(tcp, session);
        assert_eq!(standing(&client).await, refused("you have presented no certificate"));
    });
}

#[test]
fn a_certificate_is_valid_for_a_year_by_default() {
    assert_eq!(Policy::default().validity, YEAR);
}
