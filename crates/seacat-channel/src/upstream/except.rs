//! Whom `no_proxy` excepts. There is no standard; this is what curl and Go agree on.

use std::net::IpAddr;

use ipnet::IpNet;

/// The hosts that are reached without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// An IP address, or many. No name is looked up to see whether it has one of them.
    Net(IpNet),
    /// A domain and everything in it, lower case.
    Domain(String),
}

impl Except {
    /// Domains, IP addresses and networks, each with a port if it is for that port alone, with
    /// commas or spaces between them; `*` for everything. The variable is there for many programs,
    /// and what only others understand is left to them.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let parts = text.split([',', ' ', '\t']).filter(|part| !part.is_empty());
        Self(parts.filter_map(rule).collect())
    }

    /// Whether `host` is to be reached without a proxy.
    #[must_use]
    pub fn contains(&self, host: &str, port: u16) -> bool {
        let ip = host.parse::<IpAddr>().ok();
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|rule| {
            let hosts = match &rule.hosts {
                Hosts::All => true,
                Hosts::Net(net) => ip.is_some_and(|ip| net.contains(&ip)),
                Hosts::Domain(domain) => name
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            };
            hosts && rule.port.is_none_or(|only| only == port)
        })
    }
}

fn rule(part: &str) -> Option<Rule> {
    if let Some(hosts) = net(part) {
        return Some(Rule { hosts, port: None });
    }
    let (host, port) = match part.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (part, None),
    };
    if host == "*" {
        return Some(Rule { hosts: Hosts::All, port });
    }
    if let Some(hosts) = net(host) {
        return Some(Rule { hosts, port });
    }
    let domain = host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_domain = !domain.is_empty() && domain.bytes().all(is_name);
    is_domain.then_some(Rule { hosts: Hosts::Domain(domain), port })
}

fn net(text: &str) -> Option<Hosts> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let net = bare.parse::<IpNet>().or_else(|_| bare.parse::<IpAddr>().map(IpNet::from));
    net.ok().map(Hosts::Net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_excepted() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("", &[], &["gw.corp", "10.0.0.1"]),
            ("*", &["gw.corp", "10.0.0.1", "::1"], &[]),
            ("corp", &["corp", "gw.corp", "GW.Corp", "gw.corp."], &["xcorp", "corp.com"]),
            (".corp", &["corp", "gw.corp"], &["xcorp"]),
            ("*.corp", &["gw.corp"], &["xcorp"]),
            ("a.com, b.com c.com", &["a.com", "x.b.com", "c.com"], &["d.com"]),
            ("10.0.0.1", &["10.0.0.1"], &["10.0.0.10", "10.0.0.1.example"]),
            ("10.0.0.0/8", &["10.255.0.1"], &["11.0.0.1", "ten.corp"]),
            ("2001:db8::/32,[::1]", &["2001:db8::5", "::1"], &["2001:db9::5"]),
            ("gw.corp:443,[::1]:443,10.0.0.1:443", &["gw.corp", "::1", "10.0.0.1"], &["corp"]),
            ("gw.corp:444", &[], &["gw.corp"]),
        ];
        for (text, with, without) in cases {
            let except = Except::parse(text);
            for host in *with {
                assert!(except.contains(host, 443), "{text} has {host}");
            }
            for host in *without {
                assert!(!except.contains(host, 443), "{text} has not {host}");
            }
        }
        for text in ["a/b", ":443", "gw:x", "10.0.0.0/33", "http://gw", "<local>"] {
            assert_eq!(Except::parse(text), Except::default(), "{text}");
        }
    }
}
