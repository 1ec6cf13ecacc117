//! The inputs and actions of the life cycle.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::held::Validity;

/// Where the last run ended, as far as it matters to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// Nothing was under way.
    #[default]
    Idle,
    /// There is a CSR, and the gateway does not have it for certain.
    Ready,
    /// The gateway has stored it.
    Waiting,
    /// The gateway has rejected it.
    Rejected,
}

/// What the last run left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// A key, perhaps with a certificate.
    Found {
        certificate: Option<Validity>,
        mark: Mark,
        /// When a CSR was sent last, if that was within [`PACE`].
        last_try: Option<Instant>,
    },
    /// No key.
    Missing,
    /// A key that cannot be read now.
    Locked,
}

/// What became of a certificate that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is ours, and stored.
    Installed(Validity),
    /// It is the one we have.
    Same(Validity),
    /// It is not for our key, or not a certificate.
    Wrong,
    /// It could not be stored.
    NotStored,
}

/// What a connection has presented to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkAuth {
    /// Our certificate.
    Certificate,
    /// Nothing: there was no certificate to present when it was dialled.
    Nothing,
    /// Nothing, and another connection would not either: the gateway did not ask for a certificate
    /// or names other CAs, or the certificate is withheld to find out whether it is refused.
    Declined,
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Opened(Opened),
    Made(bool),
    Written(bool),
    /// There is a connection to the gateway.
    LinkUp(LinkAuth),
    LinkDown,
    /// The gateway has refused a request because it does not know who we are.
    Denied,
    /// CSR_REPLY with these flags.
    Reply(u8),
    /// CERT with a certificate in it.
    Certificate,
    /// CERT without one: the gateway is still at it.
    NotYet,
    /// CERT without one: the gateway knows nothing of us.
    NotFound,
    Checked(Verdict),
    /// The gateway refused a connection because of our certificate.
    Refused,
    /// A human asks for a (new) certificate.
    Enroll,
    /// A human brought key and certificate along; they are stored.
    Imported(Validity),
    /// A human wants to forget it all.
    Reset,
    Deleted(bool),
    /// [`Lifecycle::deadline`] has passed.
    Timer,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Look at the key store and the files; answered by [`Input::Opened`].
    Open,
    /// Make a key and store it; answered by [`Input::Made`].
    MakeKey,
    /// Make a CSR and store it; answered by [`Input::Written`].
    WriteCsr,
    SendCsr,
    /// Ask for the certificate.
    Query,
    /// Check the certificate that came, and store it; answered by [`Input::Checked`].
    Install,
    /// Delete everything; answered by [`Input::Deleted`].
    Delete,
    /// Note on disk how far we are.
    Remember(Mark),
    /// What connections present has changed: move to a new one.
    Reconnect,
}
