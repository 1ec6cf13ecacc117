//! What the channel says about itself, to be looked at at any time.

use std::net::SocketAddr;
use std::time::Instant;

use seacat_link::Health;

use crate::failure::Failure;

/// The channel at one moment. A new one is published whenever the state changes and whenever a
/// PING is answered.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where the channel is.
    pub state: State,
    /// The connection's pulse when this was published, while there is one;
    /// [`Channel::health`](crate::Channel::health) has the present one.
    pub health: Option<Health>,
    /// What went wrong last, and when, if anything ever did. It stays when the channel has recovered.
    pub last_failure: Option<(Failure, Instant)>,
}

/// Where the channel is.
#[derive(Clone, Debug)]
pub enum State {
    /// Nobody wants a connection.
    Off,
    /// A gateway is being dialled, or has been reached and not yet answered a PING.
    Connecting {
        /// The gateway's name.
        gateway: String,
        /// Which attempt this is since the channel was last well, from 1.
        attempt: u32,
    },
    /// The gateway answers.
    Connected {
        /// The gateway's name.
        gateway: String,
        /// What we are connected to: the gateway's address, or the upstream proxy's.
        address: SocketAddr,
        /// How it was found and reached.
        road: Road,
        /// How the connection is secured.
        tls: TlsInfo,
        /// Since when it answers.
        since: Instant,
    },
    /// Every gateway has failed; another try follows by itself.
    Waiting {
        /// When.
        until: Instant,
        /// What went wrong.
        why: Failure,
    },
    /// Every gateway has failed for good: a human must change something, then
    /// [`Channel::connect`](crate::Channel::connect).
    Stopped {
        /// What went wrong.
        why: Failure,
    },
    /// What runs may finish, nothing new is taken.
    Draining,
    /// The channel is over.
    Ended,
}

/// What lies between the configuration and the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Road {
    /// `HOST:PORT` of the gateway that DNS named, if it was asked for one.
    pub target: Option<String>,
    /// `HOST:PORT` of the upstream proxy, if there is one on the way.
    pub through: Option<String>,
}

/// How a connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// "TLS 1.3" or "TLS 1.2".
    pub version: &'static str,
    /// The cipher suite's IANA name.
    pub suite: &'static str,
    /// Who issued the gateway's certificate.
    pub issuer: String,
}
