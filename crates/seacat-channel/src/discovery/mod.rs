//! Finding gateways by DNS: one SRV question whose name is made from an application id (wire
//! specification, sections 1.6 and 5.1), an answer that counts for its TTL, and the last good one
//! on disk for a start without DNS.
//!
//! The reference client ignores priorities, dials one address of one target and asks public name
//! servers when the system's fail. We do none of this.

mod ask;
mod memory;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};
use rustls::pki_types::DnsName;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, NetworkConfig};
use crate::driver::now;
use crate::failure::Failure;
use crate::order::Rank;

use memory::Memory;

/// The domain of the published clients (wire specification, section 1.6).
pub const DEFAULT_DOMAIN: &str = "s.seacat.mobi";

/// An answer is not asked for again sooner, whatever its TTL, and counts no longer than a day
/// (wire specification, section 1.6).
const TTL_MIN: Duration = Duration::from_secs(60);
const TTL_MAX: Duration = Duration::from_secs(86_400);

/// What stands before the application id when it is hashed (wire specification, section 5.1).
const HASHED_FIRST: &[u8] = b"Valenti&Prince";

/// Under which name an application's gateways are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The application id, or `##` and its hash in 32 hexadecimal digits.
    pub app_id: String,
    /// The platform's code: three letters or digits.
    pub platform: String,
    /// Tells installations of one application apart: up to eight letters, digits or hyphens.
    pub suffix: Option<String>,
    /// The domain of the announcement.
    pub domain: String,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            app_id: String::new(),
            platform: String::new(),
            suffix: None,
            domain: DEFAULT_DOMAIN.to_owned(),
        }
    }
}

impl Discovery {
    /// The name of the SRV question.
    ///
    /// # Errors
    /// The first part that cannot be part of such a name.
    pub fn question(&self) -> Result<String, ConfigError> {
        let label = self.label()?;
        let domain = self.domain.trim_end_matches('.').to_ascii_lowercase();
        let question = format!("_seacat._tcp.{label}.{domain}");
        match DnsName::try_from(question.as_str()) {
            Ok(_) if !domain.is_empty() => Ok(question),
            _ => Err(wrong(format!("\"{}\" is not a domain", self.domain))),
        }
    }

    /// The application's own label in that name.
    pub(crate) fn label(&self) -> Result<String, ConfigError> {
        let hash = match self.app_id.strip_prefix("##") {
            _ if self.app_id.is_empty() => return Err(wrong("the app_id is missing")),
            Some(hex) if hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                hex.to_ascii_lowercase()
            }
            Some(_) => return Err(wrong("an app_id with ## needs 32 hexadecimal digits")),
            None => {
                let digest = Md5::new().chain_update(HASHED_FIRST).chain_update(&self.app_id);
                digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
        };
        let simple = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if self.platform.len() != 3 || !simple(&self.platform) || self.platform.contains('-') {
            return Err(wrong("the platform must be three letters or digits, such as py3"));
        }
        let suffix = match self.suffix.as_deref() {
            None => String::new(),
            Some(text) if (1..=8).contains(&text.len()) && simple(text) && !text.ends_with('-') => {
                format!("-{text}")
            }
            Some(_) => return Err(wrong("the suffix must be 1 to 8 letters, digits or hyphens")),
        };
        Ok(format!("{hash}{}{suffix}", self.platform).to_ascii_lowercase())
    }
}

fn wrong(what: impl Into<String>) -> ConfigError {
    ConfigError::Discover(what.into())
}

/// One of the gateways that were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name, which its certificate must carry.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Lower is tried first.
    pub priority: u16,
    /// The share among targets of equal priority.
    pub weight: u16,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
}

/// What DNS said, and for how long it counts.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) targets: Vec<Target>,
    failed: Vec<usize>,
    asked: Instant,
    until: Instant,
}

impl Answer {
    fn new(targets: Vec<Target>, ttl: Duration) -> Self {
        let asked = now();
        Self { targets, failed: Vec::new(), asked, until: asked + ttl.clamp(TTL_MIN, TTL_MAX) }
    }

    fn counts(&self) -> bool {
        now() < self.until
    }

    /// A target could not be reached. When that is so of all, DNS may know better: it is asked
    /// again before the TTL is over, but no more often than once a minute.
    pub(crate) fn failed(&mut self, target: usize) {
        if !self.failed.contains(&target) {
            self.failed.push(target);
        }
        if self.failed.len() >= self.targets.len() {
            self.until = self.until.min(self.asked + TTL_MIN);
        }
    }

    pub(crate) fn ranks(&self) -> Vec<Rank> {
        let rank = |it: &Target| Rank { priority: it.priority, weight: it.weight };
        self.targets.iter().map(rank).collect()
    }
}

/// Asks DNS, unless what is `known` still counts. Where DNS cannot be asked, the last good answer
/// is given; where it says that there are no gateways, it is believed.
pub(crate) async fn find(
    discovery: &Discovery,
    network: &NetworkConfig,
    known: Option<Answer>,
) -> Result<Answer, Failure> {
    if let Some(known) = known.as_ref().filter(|known| known.counts()) {
        return Ok(known.clone());
    }
    let question = discovery.question().map_err(|error| Failure::BadConfig(error.to_string()))?;
    let memory = network.discovery_folder.clone().map(|folder| Memory::new(folder, &question));
    match ask::ask(&question, &network.dns_servers).await {
        Ok((targets, ttl)) => {
            tracing::debug!(question, ?targets, ?ttl, "gateways were found");
            if let Some(memory) = memory {
                memory.keep(targets.clone()).await;
            }
            Ok(Answer::new(targets, ttl))
        }
        Err(failure @ Failure::Unresolvable { .. }) => {
            let last = match (known, memory) {
                (Some(known), _) => Some(known.targets),
                (None, Some(memory)) => memory.recall().await,
                (None, None) => None,
            };
            let Some(targets) = last else {
                return Err(failure);
            };
            tracing::warn!(%failure, "dialling what DNS said last time");
            Ok(Answer::new(targets, TTL_MIN))
        }
        Err(failure) => Err(failure),
    }
}

/// Asks DNS once, for those who want to see what it says.
///
/// # Errors
/// As the channel would fail.
pub async fn discover(
    discovery: &Discovery,
    dns_servers: &[std::net::SocketAddr],
) -> Result<Vec<Target>, Failure> {
    let question = discovery.question().map_err(|error| Failure::BadConfig(error.to_string()))?;
    ask::ask(&question, dns_servers).await.map(|(targets, _)| targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(app_id: &str, platform: &str, suffix: Option<&str>, domain: &str) -> Discovery {
        Discovery {
            app_id: app_id.into(),
            platform: platform.into(),
            suffix: suffix.map(Into::into),
            domain: domain.into(),
        }
    }

    #[test]
    fn questions() {
        // As the reference client asks (golden/dns.json, wire specification 1.6).
        let hash = "fcb8e55c185661e4fbc087688c1bb717";
        let app = "com.example.test";
        let cases = [
            (discovery(app, "py3", None, DEFAULT_DOMAIN), format!("{hash}py3.s.seacat.mobi")),
            (
                discovery(app, "py3", Some("tst1"), "s.seacat.io"),
                format!("{hash}py3-tst1.s.seacat.io"),
            ),
            (
                discovery(&format!("##{}", hash.to_uppercase()), "py3", None, "S.seacat.io."),
                format!("{hash}py3.s.seacat.io"),
            ),
        ];
        let golden = include_str!("../../../seacat-proto/tests/golden/dns.json");
        for (discovery, expected) in &cases {
            assert_eq!(discovery.question(), Ok(format!("_seacat._tcp.{expected}")));
        }
        for (_, expected) in &cases[..2] {
            let qname = format!("\"qname\": \"_seacat._tcp.{expected}\"");
            assert!(golden.contains(&qname), "{qname}");
        }
    }

    #[test]
    fn what_cannot_be_asked() {
        let long = "a.".repeat(120);
        let cases = [
            (discovery("", "py3", None, "s.io"), "the app_id is missing"),
            (discovery("##12", "py3", None, "s.io"), "32 hexadecimal digits"),
            (discovery(&format!("##{}", "g".repeat(32)), "py3", None, "s.io"), "32 hexadecimal"),
            (discovery("a", "", None, "s.io"), "three letters"),
            (discovery("a", "linux", None, "s.io"), "three letters"),
            (discovery("a", "p-3", None, "s.io"), "three letters"),
            (discovery("a", "py3", Some(""), "s.io"), "1 to 8"),
            (discovery("a", "py3", Some("ninechars"), "s.io"), "1 to 8"),
            (discovery("a", "py3", Some("a.b"), "s.io"), "1 to 8"),
            (discovery("a", "py3", None, ""), "not a domain"),
            (discovery("a", "py3", None, "two words"), "not a domain"),
            (discovery("a", "py3", None, &long), "not a domain"),
        ];
        for (discovery, expected) in cases {
            let error = discovery.question().unwrap_err().to_string();
            assert!(error.contains(expected), "{discovery:?}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_from_a_minute_to_a_day_and_less_when_in_doubt() {
        let seconds = Duration::from_secs;
        for (ttl, counts) in [(0, 60), (59, 60), (300, 300), (86_400, 86_400), (1 << 31, 86_400)] {
            let answer = Answer::new(Vec::new(), seconds(ttl));
            tokio::time::advance(seconds(counts - 1)).await;
            assert!(answer.counts(), "{ttl}");
            tokio::time::advance(seconds(1)).await;
            assert!(!answer.counts(), "{ttl}");
        }
        let line = || Target {
            host: "gw.s.io".into(),
            port: 443,
            priority: 0,
            weight: 0,
            addresses: Vec::new(),
        };
        let mut answer = Answer::new(vec![line(), line()], seconds(86_400));
        answer.failed(1);
        answer.failed(1);
        tokio::time::advance(seconds(60)).await;
        assert!(answer.counts(), "the other one may work");
        let mut answer = Answer::new(vec![line(), line()], seconds(86_400));
        answer.failed(1);
        answer.failed(0);
        assert!(answer.counts(), "but no more often than once a minute");
        tokio::time::advance(seconds(60)).await;
        assert!(!answer.counts());
    }

    /// A name server that never answers, and one that is not there.
    #[tokio::test(start_paused = true)]
    async fn without_dns_the_last_answer_counts() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let network = NetworkConfig {
            dns_servers: vec![silent.local_addr().unwrap()],
            discovery_folder: Some(folder.path().to_owned()),
            ..NetworkConfig::default()
        };
        let asked = discovery("a", "py3", None, "s.io");
        let first = find(&asked, &network, None).await.unwrap_err();
        assert_eq!(first.code(), "SC-DNS", "{first}");

        let target = Target {
            host: "gw.s.io".into(),
            port: 443,
            priority: 1,
            weight: 2,
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        let memory = Memory::new(folder.path().to_owned(), &asked.question().unwrap());
        memory.keep(vec![target.clone()]).await;
        assert_eq!(find(&asked, &network, None).await.unwrap().targets, [target]);
    }
}
