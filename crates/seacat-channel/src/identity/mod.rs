//! Who we are towards the gateway: a key of our own and the certificate that the gateway's
//! administrator approved for it (wire specification, sections 3.6 to 3.10 and 5).
//!
//! ```text
//!   Identity ──wishes──► Runner ──inputs──► Lifecycle (pure: lifecycle/)
//!      ▲                  │ ▲ ◄──actions──────┘
//!      └── status ────────┤ ├── Jobs: one after the other ──► Store (key store and files)
//!                         │ ├── Line: CSR, CERT_QUERY, CHARACTERISTICS and their answers
//!         the channel's ◄─┤ └── IdentityEvent: frames, a refused certificate
//!         driver          └──── Presented: what connections present, and when to move to a new one
//! ```

mod certificate;
mod client_id;
mod csr;
mod facts;
mod group;
mod import;
mod jobs;
mod key;
mod lifecycle;
mod line;
mod link;
mod presenter;
mod runner;
mod set;
mod silent_rejection;
mod status;
mod store;
#[cfg(test)]
pub(crate) mod testing;

use std::path::PathBuf;

use seacat_proto::ReplyHead;
use tokio::sync::{mpsc, oneshot, watch};
use x509_parser::time::ASN1Time;

pub use certificate::CertificateFault;
pub use client_id::ClientId;
pub use csr::{CsrError, Subject, SubjectError};
pub use facts::{APPLICATION_FACTS, FACTS, gather as gather_facts};
pub use group::Group;
pub use import::{ImportError, Imported};
pub use key::{Key, KeyError, KeySize, PrivateKey, RsaKey, SignError};
pub(crate) use lifecycle::LinkAuth;
pub(crate) use link::{EVENTS, IdentityEvent, IdentityLink, Wire};
pub(crate) use presenter::{Certified, Presented, Presenter};
pub(crate) use set::{Identities, IdentityUpdate, Setup};
pub(crate) use silent_rejection::{Evidence, SilentRejection};
pub use status::{CertificateInfo, IdentityStatus, Phase};
pub(crate) use store::Disk;
pub use store::{KeyringError, RecordError, StoreError};

use crate::discovery::Discovery;
use runner::{Ends, Runner, Wish};
use store::Store;

/// Everything an identity is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Where the folders of the groups of gateways are; made when it is missing, for the owner alone.
    pub folder: PathBuf,
    /// Where the files are of the time when one identity served all gateways. What is there becomes
    /// the identity at the preferred gateway.
    pub legacy: Option<PathBuf>,
    /// Whether the key goes to the operating system's key store, where there is one.
    pub keyring: bool,
    /// The bits of a key that is made.
    pub size: KeySize,
    /// Whether to enrol without being asked. What was enrolled once is renewed either way.
    pub automatic: bool,
    /// Whom the certificate shall be for.
    pub subject: Subject,
    /// What the gateway is told about this computer, key and value.
    pub facts: Vec<(String, String)>,
    /// Which of [`APPLICATION_FACTS`] gateways are told that are discovered by them.
    pub application_facts: Vec<String>,
}

impl IdentityConfig {
    /// Identities in `folder` with the defaults: RSA-2048 in the key store, enrolled without
    /// being asked, nothing told about the computer.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            legacy: None,
            keyring: true,
            size: KeySize::default(),
            automatic: true,
            subject: Subject::default(),
            facts: Vec::new(),
            application_facts: Vec::new(),
        }
    }

    /// The same for gateways that are discovered: what DNS is asked for says which application this
    /// is, to the CA (in the CSR) and to the gateway.
    pub(crate) fn of_application(mut self, discovery: &Discovery) -> Self {
        self.subject.application = self.subject.application.or_else(|| discovery.label().ok());
        let facts = facts::of_application(discovery, &self.application_facts);
        self.facts.retain(|(key, _)| !facts.iter().any(|(it, _)| it == key));
        self.facts.extend(facts);
        self.facts.sort();
        self
    }
}

/// Why a wish for the identity was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// This channel has none.
    #[error("this proxy uses no identity")]
    Off,
    /// Something that must end first is under way.
    #[error("the identity is being worked on: try again in a moment")]
    Busy,
    /// There is no certificate.
    #[error("there is no certificate yet")]
    NotEnrolled,
    /// There is no request.
    #[error("there is no request: one is made by `enroll`")]
    NoRequest,
    /// A certificate cannot say this.
    #[error(transparent)]
    Subject(SubjectError),
    /// This computer failed.
    #[error("{0}")]
    Store(String),
}

/// A handle of a channel's identity.
#[derive(Clone)]
pub struct Identity {
    wishes: mpsc::Sender<Wish>,
    status: watch::Receiver<IdentityStatus>,
}

/// The code in `Proxy-Status` of our gateway's 403 for a request without an identity.
const DENIAL: &[u8] = b"code=\"SC-GW-IDENTITY\"";

/// Whether a gateway has denied a request because it has no identity.
pub(crate) fn is_denial(head: &ReplyHead) -> bool {
    let marked = |value: &[u8]| value.windows(DENIAL.len()).any(|it| it == DENIAL);
    head.status() == 403
        && head
            .fields()
            .any(|(name, value)| name.eq_ignore_ascii_case(b"proxy-status") && marked(value))
}

/// Wishes that may wait; each is taken at once.
const WISHES: usize = 4;

impl Identity {
    /// Starts the identity's task; the link is for the channel's driver.
    pub(crate) fn start_on(
        config: IdentityConfig,
        store: Store,
        setup: Setup,
    ) -> (Self, IdentityLink) {
        let Setup { former, preferred, changed } = setup;
        let (wire_sender, wire) = watch::channel(None);
        let (event_sender, events) = mpsc::channel(EVENTS);
        let (wish_sender, wishes) = mpsc::channel(WISHES);
        let (presented_sender, presented) = watch::channel(Presented::default());
        let first = IdentityStatus {
            phase: Phase::Opening,
            client_id: None,
            certificate: None,
            confirmed: None,
            key_place: None,
            key_problem: None,
            problem: None,
            facts: config.facts.clone(),
        };
        let (status_sender, status) = watch::channel(first);
        let ends = Ends {
            wire,
            events,
            wishes,
            presented: presented_sender,
            changed,
            status: status_sender,
        };
        let runner = Runner::new(config, store, preferred, ends);
        tokio::spawn(async move {
            if let Some(Self { wishes, .. }) = former {
                wishes.closed().await;
            }
            runner.run().await;
        });
        let link = IdentityLink { wire: wire_sender, events: event_sender, presented };
        (Self { wishes: wish_sender, status }, link)
    }

    /// Whether its task has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.wishes.is_closed()
    }

    /// Where it stands, and a way to wait until that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<IdentityStatus> {
        self.status.clone()
    }

    /// Asks the gateway for a certificate with a new request: makes a key first if there is none,
    /// tries again after a rejection. The name is remembered for renewals.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn enroll(&self, common_name: Option<String>) -> Result<(), IdentityError> {
        self.wish(|reply| Wish::Enroll { common_name, reply }).await
    }

    /// Renews the certificate before its time.
    ///
    /// # Errors
    /// When there is none.
    pub async fn renew(&self) -> Result<(), IdentityError> {
        self.wish(|reply| Wish::Renew { reply }).await
    }

    /// The gateway has denied a request for want of an identity: it is asked whether it knows us.
    pub(crate) fn denied(&self) {
        // Lost when the identity is busy, it comes with the next request.
        let _ = self.wishes.try_send(Wish::Denied);
    }

    /// Deletes key, request and certificate.
    ///
    /// # Errors
    /// When something could not be deleted.
    pub async fn reset(&self) -> Result<(), IdentityError> {
        self.wish(|reply| Wish::Reset { reply }).await
    }

    /// Replaces key and certificate.
    ///
    /// # Errors
    /// When they could not be stored; the old ones stay.
    pub async fn import(&self, imported: Imported) -> Result<(), IdentityError> {
        let imported = Box::new(imported);
        self.wish(|reply| Wish::Import { imported, reply }).await
    }

    /// The request that is under way, PKCS#10 in DER.
    ///
    /// # Errors
    /// When there is none.
    pub async fn request(&self) -> Result<Vec<u8>, IdentityError> {
        self.wish(|reply| Wish::Request { reply }).await
    }

    /// The certificate, X.509 in DER.
    ///
    /// # Errors
    /// When there is none.
    pub async fn certificate(&self) -> Result<Vec<u8>, IdentityError> {
        self.wish(|reply| Wish::Certificate { reply }).await
    }

    async fn wish<T>(
        &self,
        wish: impl FnOnce(oneshot::Sender<Result<T, IdentityError>>) -> Wish,
    ) -> Result<T, IdentityError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.wishes.send(wish(reply)).await;
        sent.map_err(|_| IdentityError::Off)?;
        answer.await.unwrap_or(Err(IdentityError::Busy))
    }
}

/// The day of a moment in seconds since 1970, `YYYY-MM-DD` in UTC.
#[must_use]
pub fn day(seconds: i64) -> String {
    match ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let it = time.to_datetime();
            format!("{:04}-{:02}-{:02}", it.year(), u8::from(it.month()), it.day())
        }
        Err(_) => "an unknown day".to_owned(),
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;

#[cfg(test)]
mod denial_tests {
    use super::{ReplyHead, is_denial};

    /// The fields are those that `seacat-gateway` sends.
    #[test]
    fn a_denial_of_our_gateway_is_recognised() {
        let head = |status, value: &str| {
            let mut head = ReplyHead::new(status);
            head.push(b"Proxy-Status", value.as_bytes()).unwrap();
            head
        };
        let identity = "seacat-gateway; error=http_request_denied; code=\"SC-GW-IDENTITY\"; \
                        details=\"this host is for enrolled clients: you have presented no certificate\"";
        let connect = "seacat-gateway; error=http_request_denied; code=\"SC-GW-CONNECT\"; \
                       details=\"CONNECT is not open for this host: its `connect` is not set\"";
        assert!(is_denial(&head(403, identity)));
        assert!(!is_denial(&head(403, connect)));
        assert!(!is_denial(&head(404, identity)));
        assert!(!is_denial(&ReplyHead::new(403)));
    }
}
