//! What a step has seen: a fact with its values, so that a face can tell it in its own language. The
//! sentences here are those of the terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use seacat_channel::Failure;
use serde::{Deserialize, Serialize};

use super::view::FindingView;
use crate::identity_view::IdentityView;

/// One line of a step's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the sentences below say what each is and what its values are")]
pub enum Fact {
    // The local port.
    Listens {
        pid: u32,
        addresses: String,
    },
    NobodyListens {
        port: u16,
    },
    AnyPort,
    NoProxy,
    Answers {
        address: SocketAddr,
    },
    // The gateway's name.
    BuiltIn,
    Announced {
        host: String,
        port: u16,
        priority: u16,
        weight: u16,
    },
    Addresses {
        addresses: String,
    },
    NotLookedUp {
        addresses: String,
    },
    LookedUpProxy {
        proxy: String,
        addresses: String,
    },
    // Its address.
    Accepts {
        address: SocketAddr,
    },
    GatewayAnswers {
        address: SocketAddr,
    },
    Silent {
        address: SocketAddr,
    },
    Refused {
        address: SocketAddr,
    },
    Unreachable {
        address: SocketAddr,
    },
    // The proxy of this network.
    Named {
        proxy: String,
        variable: String,
    },
    LetsThrough {
        proxy: String,
        target: String,
    },
    // The gateway itself.
    Secured {
        host: String,
        port: u16,
        address: SocketAddr,
        version: String,
        suite: String,
    },
    Issued {
        issuer: String,
        until: String,
    },
    PingAnswered,
    Today {
        date: String,
    },
    // The identity.
    NoIdentity,
    NotKnown,
    Identity {
        state: String,
        sentence: String,
        valid_until: Option<String>,
    },
    // A request.
    NotSent,
    NoHost,
    Asked {
        host: String,
    },
    Answered {
        host: String,
        status: u16,
        bytes: u64,
    },
    /// What is wrong, by its code; the message is the sentence.
    Wrong {
        code: String,
        message: String,
        #[cfg_attr(test, ts(type = "{ [key: string]: string }"))]
        params: BTreeMap<String, String>,
    },
}

impl Fact {
    /// What became of a connection.
    pub(super) fn reached(address: SocketAddr, outcome: &Result<(), Failure>) -> Self {
        match outcome {
            Ok(()) => Self::Accepts { address },
            Err(Failure::TimedOut { .. }) => Self::Silent { address },
            Err(Failure::Refused { address }) => Self::Refused { address: *address },
            Err(Failure::Unreachable { address }) => Self::Unreachable { address: *address },
            Err(failure) => failure.into(),
        }
    }

    /// A text of several, one a line.
    pub(super) fn text(all: &[Self]) -> String {
        all.iter().map(Self::to_string).collect::<Vec<_>>().join("\n")
    }
}

impl From<&FindingView> for Fact {
    fn from(FindingView { code, message, params, .. }: &FindingView) -> Self {
        Self::Wrong { code: code.clone(), message: message.clone(), params: params.clone() }
    }
}

impl From<&Failure> for Fact {
    fn from(failure: &Failure) -> Self {
        (&FindingView::of(failure)).into()
    }
}

impl From<&IdentityView> for Fact {
    fn from(IdentityView { state, sentence, valid_until, .. }: &IdentityView) -> Self {
        let (state, sentence, valid_until) = (state.clone(), sentence.clone(), valid_until.clone());
        Self::Identity { state, sentence, valid_until }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listens { pid, addresses } => {
                write!(f, "this program (process {pid}) listens on {addresses}")
            }
            Self::NobodyListens { port } => write!(f, "nobody listens on port {port}"),
            Self::AnyPort => write!(f, "any free port will do"),
            Self::NoProxy => write!(f, "no proxy is running"),
            Self::Answers { address } => write!(f, "{address} answers"),
            Self::BuiltIn => write!(f, "no gateway is configured, so the proxy brings its own"),
            Self::Announced { host, port, priority, weight } => {
                write!(f, "{host} port {port}, priority {priority}, weight {weight}")
            }
            Self::Addresses { addresses } => write!(f, "{addresses}"),
            Self::NotLookedUp { addresses } => {
                write!(f, "not looked up: {addresses} is configured")
            }
            Self::LookedUpProxy { proxy, addresses } => {
                write!(f, "through the proxy {proxy}: {addresses}")
            }
            Self::Accepts { address } => write!(f, "{address} accepts"),
            Self::GatewayAnswers { address } => {
                write!(f, "{address} accepts, and a SeaCat gateway answers there")
            }
            Self::Silent { address } => write!(f, "{address} does not answer"),
            Self::Refused { address } => Failure::Refused { address: *address }.fmt(f),
            Self::Unreachable { address } => Failure::Unreachable { address: *address }.fmt(f),
            Self::Named { proxy, variable } => write!(f, "{variable} names {proxy}"),
            Self::LetsThrough { proxy, target } => {
                write!(f, "{proxy} lets us through to {target}")
            }
            Self::Secured { host, port, address, version, suite } => {
                write!(f, "{host}:{port} at {address} with {version}, {suite}")
            }
            Self::Issued { issuer, until } => {
                write!(f, "the certificate was issued by {issuer}, valid until {until}")
            }
            Self::PingAnswered => write!(f, "PING answered"),
            Self::Today { date } => write!(f, "today is {date}, as far as this computer knows"),
            Self::NoIdentity => write!(f, "this proxy uses no identity"),
            Self::NotKnown => write!(f, "only a running proxy knows"),
            Self::Identity { sentence, .. } => write!(f, "{sentence}"),
            Self::NotSent => write!(f, "not sent: the proxy is not connected"),
            Self::NoHost => write!(f, "no host behind the gateway is known yet"),
            Self::Asked { host } => write!(f, "{host} was asked"),
            Self::Answered { host, status, bytes } => {
                write!(f, "{host} answered {status}, {bytes} B")
            }
            Self::Wrong { message, .. } => write!(f, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_a_line_for_each_fact_and_json_has_their_values() {
        let address = SocketAddr::from(([192, 0, 2, 7], 443));
        let facts = [
            Fact::reached(address, &Ok(())),
            Fact::reached(address, &Err(Failure::Refused { address })),
            (&Failure::NotTls).into(),
        ];
        let refused = Failure::Refused { address }.to_string();
        let text = format!("192.0.2.7:443 accepts\n{refused}\n{}", Failure::NotTls);
        assert_eq!(Fact::text(&facts), text);
        let json = serde_json::to_value(&facts).unwrap();
        let refused = serde_json::json!({ "is": "refused", "address": "192.0.2.7:443" });
        assert_eq!((&json[1], &json[2]["code"]), (&refused, &"SC-NOT-TLS".into()));
        assert_eq!(serde_json::from_value::<Vec<Fact>>(json).unwrap(), facts);
    }
}
