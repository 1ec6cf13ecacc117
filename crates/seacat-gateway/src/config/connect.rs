//! `connect`: the target of CONNECT for each port that a client may request.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::Endpoint;

/// The port of `https://`, which CONNECT is for.
const TLS_PORT: u16 = 443;

/// The targets of CONNECT by the port that the client names. They are fixed by the configuration,
/// so a client cannot choose an address in the gateway's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect(BTreeMap<u16, Endpoint>);

impl Connect {
    /// The target for this port.
    pub fn target(&self, port: u16) -> Option<&Endpoint> {
        self.0.get(&port)
    }
}

impl From<Endpoint> for Connect {
    /// One target: for port 443 and for the target's own port.
    fn from(target: Endpoint) -> Self {
        Self(BTreeMap::from([(target.port, target.clone()), (TLS_PORT, target)]))
    }
}

impl FromStr for Connect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Endpoint::from_str(text).map(Self::from)
    }
}

/// `port 443 and port 8443`
impl fmt::Display for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, port) in self.0.keys().enumerate() {
            f.write_str(if number == 0 { "" } else { " and " })?;
            write!(f, "port {port}")?;
        }
        Ok(())
    }
}

/// `"127.0.0.1:8443"`, or `{ 443 = "127.0.0.1:8443", 22 = "127.0.0.1:22" }`.
impl<'de> Deserialize<'de> for Connect {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ConnectVisitor)
    }
}

struct ConnectVisitor;

impl<'de> Visitor<'de> for ConnectVisitor {
    type Value = Connect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target such as \"127.0.0.1:8443\", or a table with a target for each port")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Connect, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Connect, A::Error> {
        let mut targets = BTreeMap::new();
        while let Some((port, target)) = map.next_entry::<String, String>()? {
            let number = port.parse::<u16>().ok().filter(|number| *number != 0);
            let number = number.ok_or_else(|| {
                de::Error::custom(format!("`{port}` is not a port: write {{ 443 = \"…\" }}"))
            })?;
            targets.insert(number, target.parse().map_err(de::Error::custom)?);
        }
        match targets.is_empty() {
            true => Err(de::Error::custom("no port has a target: leave `connect` out")),
            false => Ok(Connect(targets)),
        }
    }
}
