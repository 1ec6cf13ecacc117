//! A gateway inside another program: for evaluation without a configuration, and for tests.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::builtin::Builtin;
use crate::config::{Backend, Config, Enroll, Host, Identities, Limits, StateAt};
use crate::enroll::{ClientCa, Mode, Policy, Revoked, Store};
use crate::identity::IdentityFields;
use crate::pki::{Pki, PkiError};
use crate::server::{Gateway, Stats, Stopped};

/// A running gateway with the hosts `hello`, `echo` and `download`, on a free loopback port, with
/// CAs that exist in memory alone. Every client that asks is enrolled. Dropped, it drains in the
/// background.
pub struct Demo {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The CA that issued its certificate, PEM.
    pub ca_pem: String,
    /// Its counters.
    pub stats: Arc<Stats>,
    /// The clients that have enrolled.
    pub clients: Arc<Store>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Stopped>,
}

/// Why the demo gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// No free port, or the clients' records cannot be stored.
    #[error("the gateway cannot start: {0}")]
    Bind(#[from] std::io::Error),
}

impl Demo {
    /// The name in its certificate.
    pub const SERVER_NAME: &'static str = "localhost";

    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// [`DemoError`] when no certificate can be made or no port bound.
    pub fn start() -> Result<Self, DemoError> {
        let hosts = Builtin::ALL.map(|(name, it)| (name.to_owned(), Host::new(it.into())));
        Self::start_with(hosts, Limits::default())
    }

    /// Starts it with other hosts and limits.
    ///
    /// # Errors
    /// As [`Demo::start`].
    pub fn start_with(
        hosts: impl IntoIterator<Item = (String, Host)>,
        limits: Limits,
    ) -> Result<Self, DemoError> {
        let policy = Policy { mode: Mode::Automatic, ..Policy::default() };
        Self::start_enrolling(hosts, limits, policy, StateAt::Memory)
    }

    /// Starts it with other rules of enrolment, too. In a folder, clients stay enrolled when it
    /// is started again.
    ///
    /// # Errors
    /// As [`Demo::start`].
    pub fn start_enrolling(
        hosts: impl IntoIterator<Item = (String, Host)>,
        limits: Limits,
        policy: Policy,
        state: StateAt,
    ) -> Result<Self, DemoError> {
        let pki = Pki::generate(&[])?;
        let revoked = Revoked::default();
        let config = Config {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: pki.server_config(revoked.clone())?.into(),
            identities: Identities::Enroll(Enroll {
                policy,
                state,
                ca: Arc::new(ClientCa::generate()?),
                revoked,
            }),
            identity_fields: IdentityFields::default(),
            hosts: hosts.into_iter().collect(),
            reverse: BTreeMap::new(),
            limits,
            threads: 1,
        };
        let gateway = Gateway::bind(config)?;
        let (addr, stats) = (gateway.local_addr(), gateway.stats());
        let clients = gateway.clients().expect("enrolment is configured");
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(gateway.run(async {
            // A dropped sender means the same.
            let _ = stopped.await;
        }));
        Ok(Self { addr, ca_pem: pki.ca_pem, stats, clients, stop, running })
    }

    /// Stops it gracefully and waits for its end.
    pub async fn stop(self) -> Stopped {
        // It may have ended with its runtime.
        let _ = self.stop.send(());
        self.running.await.unwrap_or(Stopped { cut: 0 })
    }
}

impl From<Builtin> for Backend {
    fn from(builtin: Builtin) -> Self {
        Self::Builtin(builtin)
    }
}
