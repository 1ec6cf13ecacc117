//! The seam between an identity and the channel's driver.

use rustls::pki_types::CertificateDer;
use seacat_link::Link;
use seacat_proto::Control;
use tokio::sync::{mpsc, watch};

use super::lifecycle::LinkAuth;
use super::presenter::Presented;

/// What the channel's driver holds of one identity, which ends when this is dropped.
pub(crate) struct IdentityLink {
    pub(crate) wire: watch::Sender<Option<Wire>>,
    pub(crate) events: mpsc::Sender<IdentityEvent>,
    pub(crate) presented: watch::Receiver<Presented>,
}

/// The connection that frames may take.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) link: Link,
    pub(crate) generation: u64,
    /// What it has presented of us.
    pub(crate) auth: LinkAuth,
}

/// What the channel's driver passes on.
#[derive(Debug)]
pub(crate) enum IdentityEvent {
    Frame(Control),
    /// A connection was refused because of this certificate, which it presented.
    Refused(CertificateDer<'static>),
}

/// Events that wait for the runner, which is never busy for long. One that is lost comes again.
pub(crate) const EVENTS: usize = 16;
