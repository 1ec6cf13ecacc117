//! The seam between the identity and the channel's driver.

use rustls::pki_types::CertificateDer;
use seacat_link::Link;
use seacat_proto::Control;
use tokio::sync::{mpsc, watch};

use super::lifecycle::LinkAuth;
use super::presenter::Shown;

/// What the channel's driver holds.
pub(crate) struct Port {
    pub(crate) wire: watch::Sender<Option<Wire>>,
    pub(crate) heard: mpsc::Sender<Heard>,
    pub(crate) shown: watch::Receiver<Shown>,
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
pub(crate) enum Heard {
    Frame(Control),
    /// A connection was refused because of this certificate, which it showed.
    Refused(CertificateDer<'static>),
}

/// Frames that wait for the runner, which is never busy for long. One that is lost comes again.
pub(crate) const HEARD: usize = 16;
