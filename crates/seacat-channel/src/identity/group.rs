//! Which gateways share an identity.

use std::fmt;

use ring::digest::{SHA256, digest};

use crate::config::GatewayConfig;

/// Gateways that share a client CA and know the same clients, and so one identity of ours: a key, a
/// certificate and where its life stands. Another company's gateway is never presented it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// Shared by several gateways because the configuration says so.
    shared: bool,
    name: String,
}

/// Longer folder names are replaced by their SHA-256. Every file system takes 255 bytes.
const LONGEST: usize = 200;

impl Group {
    /// The group of a gateway: the one that is configured for it, else the gateway alone, whose name
    /// and port (443 left out) or question to DNS identifies it.
    #[must_use]
    pub fn of(gateway: &GatewayConfig) -> Self {
        if let Some(name) = &gateway.group {
            return Self { shared: true, name: name.clone() };
        }
        let question = gateway.discover.as_ref().and_then(|it| it.question().ok());
        Self { shared: false, name: question.unwrap_or_else(|| gateway.authority()) }
    }

    /// The groups of these gateways, each once, those that are tried first at the beginning.
    pub(crate) fn all(gateways: &[GatewayConfig]) -> Vec<Self> {
        let mut sorted: Vec<&GatewayConfig> = gateways.iter().collect();
        sorted.sort_by_key(|it| it.priority);
        let mut groups = Vec::new();
        for group in sorted.into_iter().map(Self::of) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// A name for its folder, different for each group: what could mean something to a file system is
    /// written as `%` and two hexadecimal digits.
    pub(crate) fn folder_name(&self) -> String {
        let mut folder = if self.shared { "group,".to_owned() } else { String::new() };
        for byte in self.name.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => folder.push(byte.into()),
                b'.' if !folder.is_empty() => folder.push('.'),
                // The port.
                b':' if !self.shared && !self.name.starts_with('[') => folder.push(','),
                _ => folder.push_str(&format!("%{byte:02x}")),
            }
        }
        if folder.len() <= LONGEST {
            return folder;
        }
        let digest = digest(&SHA256, folder.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn gateway(host: &str, port: u16, group: Option<&str>) -> GatewayConfig {
        GatewayConfig { port, group: group.map(Into::into), ..GatewayConfig::new(host) }
    }

    #[test]
    fn each_group_has_a_folder_of_its_own() {
        let cases = [
            (gateway("gw.example.com", 443, None), "gw.example.com"),
            (gateway("GW.example.com", 443, None), "gw.example.com"),
            (gateway("gw.example.com", 8443, None), "gw.example.com,8443"),
            (gateway("192.0.2.1", 443, None), "192.0.2.1"),
            (gateway("2001:db8::1", 443, None), "%5b2001%3adb8%3a%3a1%5d"),
            (gateway("one", 443, Some("gw.example.com")), "group,gw.example.com"),
            (gateway("two", 443, Some("Účtárna / 1")), "group,%c3%9a%c4%8dt%c3%a1rna%20%2f%201"),
            (gateway("x", 443, Some("..")), "group,.."),
        ];
        for (gateway, folder) in &cases {
            assert_eq!(Group::of(gateway).folder_name(), *folder);
        }
        let different: HashSet<_> = cases.iter().map(|(it, _)| Group::of(it)).collect();
        assert_eq!(different.len(), cases.len() - 1, "the case of a host name does not matter");
        let long = gateway("x", 443, Some(&"ž".repeat(64)));
        assert_eq!(Group::of(&long).folder_name().len(), 64);
    }

    #[test]
    fn the_preferred_group_is_first_and_each_is_there_once() {
        let gateways = [
            GatewayConfig { priority: 2, ..gateway("c", 443, None) },
            GatewayConfig { priority: 1, ..gateway("b", 443, Some("ours")) },
            gateway("a", 443, Some("ours")),
        ];
        let names: Vec<_> = Group::all(&gateways).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["ours", "c"]);
    }
}
