//! Routing by host: ordered rules, the first match wins.

use std::str::FromStr;

use seacat_http1::syntax::{HOST, all};

use crate::policy::host::{gateway_name, is_seacat};

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Through the channel.
    #[default]
    Gateway,
    /// Straight to the network, so that a system-wide proxy setting does no harm.
    Direct,
    /// 403.
    Refuse,
}

/// Which hosts a rule is for, ignoring case: `*` (all), `*.example.com` (all below), or one
/// host or address. Made by [`str::parse`]; shown as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// The text is not a host pattern.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is neither `*`, `*.domain` nor a host name or address without a port")]
pub struct InvalidPattern(String);

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let valid = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => text == "*" || (!host.is_empty() && all(HOST, host.as_bytes())),
        };
        if valid { Ok(Pattern(text.to_owned())) } else { Err(InvalidPattern(text.to_owned())) }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    fn is_any(&self) -> bool {
        self.0 == "*"
    }

    fn fits(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host
                .len()
                .checked_sub(suffix.len())
                .filter(|&at| at > 0)
                .and_then(|at| host.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            None => self.0.eq_ignore_ascii_case(host),
        }
    }
}

/// The ordered rules. Without any, all requests are sent to the gateway.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<(Pattern, Action)>);

impl FromIterator<(Pattern, Action)> for Routes {
    fn from_iter<I: IntoIterator<Item = (Pattern, Action)>>(rules: I) -> Self {
        Routes(rules.into_iter().collect())
    }
}

/// What the rules say of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    /// A rule names this host (not just `*`): the operator means it, even if it is loopback.
    pub(crate) explicit: bool,
}

impl Routes {
    /// The rules in order.
    pub fn rules(&self) -> impl Iterator<Item = (&Pattern, Action)> {
        self.0.iter().map(|(pattern, action)| (pattern, *action))
    }

    /// Decides for a host as typed; rules may name it with or without `.seacat`. A `.seacat`
    /// name is never sent to DNS, so `direct` means the gateway for it.
    pub(crate) fn decide(&self, host: &str) -> Decision {
        let typed = host.strip_suffix('.').unwrap_or(host);
        let name = gateway_name(host).unwrap_or(typed);
        let rule = self.0.iter().find(|(pattern, _)| pattern.fits(typed) || pattern.fits(name));
        let Some((pattern, action)) = rule else {
            return Decision { action: Action::Gateway, explicit: false };
        };
        let action = match action {
            Action::Direct if is_seacat(host) => Action::Gateway,
            action => *action,
        };
        Decision { action, explicit: !pattern.is_any() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fitting_rule_decides() {
        let routes: Routes = [
            ("erp", Action::Gateway),
            ("bad.example.com", Action::Refuse),
            ("*.example.com", Action::Direct),
            ("[::1]", Action::Direct),
            ("wiki.seacat", Action::Refuse),
            ("*", Action::Direct),
        ]
        .into_iter()
        .map(|(pattern, action)| (pattern.parse().unwrap(), action))
        .collect();
        for (host, action, explicit) in [
            ("erp", Action::Gateway, true),
            ("ERP.seacat", Action::Gateway, true),
            ("bad.example.com.", Action::Refuse, true),
            ("a.b.EXAMPLE.com", Action::Direct, true),
            ("example.com", Action::Direct, false),
            ("[::1]", Action::Direct, true),
            ("wiki.seacat", Action::Refuse, true),
            ("wiki", Action::Direct, false),
            ("other.seacat", Action::Gateway, false),
        ] {
            assert_eq!(routes.decide(host), Decision { action, explicit }, "{host}");
        }
        let gateway = Decision { action: Action::Gateway, explicit: false };
        assert_eq!(Routes::default().decide("anything"), gateway);
    }

    #[test]
    fn patterns_are_checked() {
        for text in ["*", "*.a.b", "a", "127.0.0.1", "[::1]"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        for text in ["", "*.", "**", "a*", "*.*.a", "http://a", "a:80", "a/b", "a b", "[x]", "\""] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?}");
        }
    }
}
