//! What the identity says about itself.

use super::client_id::ClientId;
use super::lifecycle::{Lifecycle, Now, Step};

/// The identity at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatus {
    /// Where it stands.
    pub phase: Phase,
    /// What the gateway calls our key, when there is one.
    pub client_id: Option<ClientId>,
    /// The certificate we have, expired or not.
    pub certificate: Option<CertificateInfo>,
    /// When the gateway last said that this certificate is ours, in seconds since 1970; none when it
    /// has not said so since this program started.
    pub confirmed: Option<i64>,
    /// Where the key is: the name of a key store, or a path.
    pub key_place: Option<String>,
    /// Why the key is not in the key store, or cannot be read.
    pub key_problem: Option<String>,
    /// What failed last on this computer, until it works.
    pub problem: Option<String>,
    /// What the gateway is told about this computer.
    pub facts: Vec<(String, String)>,
}

/// Where an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Key store and files are being looked at.
    Opening,
    /// There is a key, and the key store does not hand it out.
    Locked,
    /// There is none, and nobody has asked for one.
    NoKey,
    /// One is being made.
    MakingKey,
    /// There is a key and no certificate, and nobody has asked for one.
    NotEnrolled,
    /// The request waits for a connection or its turn.
    Ready,
    /// The request is on its way, or the certificate is.
    Sent,
    /// The gateway's administrator must approve it.
    Waiting,
    /// The certificate is being checked and stored.
    Installing,
    /// All is well.
    Enrolled,
    /// All is well, and the next certificate is being asked for.
    Renewing,
    /// The time of the certificate is over; the next is about to be asked for.
    Expired,
    /// The gateway knows nothing of us; we ask again.
    Forgotten,
    /// The gateway does not accept our certificate any more; we have asked, or are about to ask,
    /// for another, which the gateway's administrator must approve.
    Revoked,
    /// The gateway's administrator said no.
    Rejected,
    /// Everything is being deleted.
    Resetting,
}

impl Phase {
    /// The life cycle in the words of people.
    pub(super) fn of(machine: &Lifecycle, now: Now) -> Self {
        let accepted = machine.is_accepted(now);
        match machine.step() {
            Step::Opening => Self::Opening,
            Step::Locked { .. } => Self::Locked,
            Step::NoKey { .. } => Self::NoKey,
            Step::Making => Self::MakingKey,
            Step::Rejected => Self::Rejected,
            Step::Deleting => Self::Resetting,
            Step::Idle { .. } | Step::Confirming { .. } if accepted => Self::Enrolled,
            _ if accepted => Self::Renewing,
            _ if machine.is_refused() => Self::Revoked,
            Step::Waiting { .. } | Step::Asked { .. } if machine.awaits_approval() => Self::Waiting,
            _ if machine.is_forgotten() => Self::Forgotten,
            Step::Idle { .. } | Step::Confirming { .. } | Step::Writing
                if machine.has_expired(now) =>
            {
                Self::Expired
            }
            Step::Idle { .. } | Step::Confirming { .. } if !machine.has_certificate() => {
                Self::NotEnrolled
            }
            Step::Idle { .. } | Step::Confirming { .. } | Step::Writing | Step::Ready => {
                Self::Ready
            }
            Step::Sent { .. } | Step::Waiting { .. } | Step::Asked { .. } => Self::Sent,
            Step::Installing => Self::Installing,
        }
    }
}

/// A certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whom it is for.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its number, hexadecimal.
    pub serial: String,
    /// First second, since 1970.
    pub not_before: i64,
    /// Last second, since 1970.
    pub not_after: i64,
    /// When the next one is asked for, in seconds since 1970.
    pub renew_at: i64,
}
