//! The status in words: a plain value computed from what the channel says about itself.
//!
//! [`view`] is a pure function, so every state has a test and no face takes decisions of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::identity_view::IdentityView;
use seacat_channel::{Failure, Health, ReversePort, ReverseStatus, State, Status};
use serde::{Deserialize, Serialize};

/// What a face shows, and what `status --json` prints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StatusView {
    /// The state in one word.
    pub state: Word,
    /// The state in a sentence for people.
    pub sentence: String,
    /// What a person can do about it, if anything.
    pub advice: Option<String>,
    /// The gateway connected or connecting to.
    pub gateway: Option<String>,
    /// The address connected to: the gateway's, or the upstream proxy's.
    pub address: Option<SocketAddr>,
    /// The gateway that DNS named, `HOST:PORT`, if it was asked for one.
    #[serde(default)]
    pub target: Option<String>,
    /// The upstream proxy on the way, `HOST:PORT`, if there is one.
    #[serde(default)]
    pub through: Option<String>,
    /// How the connection is secured.
    pub tls: Option<TlsView>,
    /// For how long it has been connected, in milliseconds.
    pub connected_ms: Option<u64>,
    /// The last round trip, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// How long ago the gateway last answered a PING, in milliseconds.
    pub pong_age_ms: Option<u64>,
    /// Until the next attempt, in milliseconds.
    pub next_attempt_ms: Option<u64>,
    /// What is wrong now.
    pub failure: Option<FailureView>,
    /// What went wrong last, even when all is well again.
    pub last_failure: Option<FailureView>,
    /// How long ago that was, in milliseconds.
    #[serde(default)]
    pub last_failure_age_ms: Option<u64>,
    /// How the last attempt to put a changed configuration in effect ended, since the start.
    #[serde(default)]
    pub reload: Option<ReloadView>,
    /// Requests in flight.
    pub streams: usize,
    /// Bytes from the gateway on this connection.
    pub bytes_in: u64,
    /// Bytes to the gateway on this connection.
    pub bytes_out: u64,
    /// Who this computer is towards the gateway, unless it is anonymous.
    #[serde(default)]
    pub identity: Option<IdentityView>,
    /// Who it is towards other gateways, those that are tried first at the beginning.
    #[serde(default)]
    pub other_identities: Vec<IdentityView>,
    /// The reverse ports.
    #[serde(default)]
    pub reverse: Vec<ReverseView>,
    /// The state as the reference client's support reads it, see [`crate::reference`].
    #[serde(default)]
    pub reference: String,
    /// The local side.
    #[serde(flatten)]
    pub local: Local,
}

impl StatusView {
    /// Whether something must change before another attempt can help: a setting, the network, the
    /// gateway. A person had better know at once.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let code = self.failure.as_ref().map_or("", |failure| failure.code.as_str());
        let named = matches!(
            code,
            "SC-CAPTIVE-PORTAL"
                | "SC-NOT-TLS"
                | "SC-HTTPS-SERVER"
                | "SC-TLS-SUITE"
                | "SC-TLS-VERSION"
                | "SC-CLIENT-CERT"
                | "SC-GATEWAY-CONFIG"
        );
        match self.state {
            Word::Stopped => true,
            Word::Waiting => named || code.starts_with("SC-CERT-"),
            _ => false,
        }
    }
}

/// The state in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Nobody wants a connection.
    #[default]
    Off,
    /// An attempt is under way.
    Connecting,
    /// The gateway answers.
    Connected,
    /// The next attempt comes by itself.
    Waiting,
    /// A person must change something.
    Stopped,
    /// What runs may finish, nothing new is taken.
    Draining,
}

/// How an attempt to put a changed configuration in effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ReloadView {
    /// Why it was refused; the configuration from before is in effect then.
    pub error: Option<String>,
    /// How long ago, in milliseconds.
    pub age_ms: u64,
}

/// How the connection is secured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TlsView {
    /// "TLS 1.3" or "TLS 1.2".
    pub version: String,
    /// The cipher suite.
    pub suite: String,
    /// Who issued the gateway's certificate.
    pub issuer: String,
}

/// Something that went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FailureView {
    /// The stable code, `SC-…`.
    pub code: String,
    /// In a few words, without names.
    #[serde(default)]
    pub title: String,
    /// In words.
    pub message: String,
    /// Whether trying again is useless until a person has changed something.
    pub permanent: bool,
    /// The values in the message: `host`, `address`, `issuer`, `proxy`….
    #[serde(default)]
    #[cfg_attr(test, ts(type = "{ [key: string]: string }"))]
    pub params: BTreeMap<String, String>,
}

/// What does not come from the channel: this process and its listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Local {
    /// The version of the program.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Where the proxy listens.
    pub proxy: Vec<SocketAddr>,
    /// The mapped ports.
    pub mapped: Vec<MappedView>,
    /// Whether the gateway is the built-in one.
    pub demo: bool,
    /// It was told to stop, and finishes running requests.
    #[serde(default)]
    pub quitting: bool,
    /// What people call the configured gateways.
    #[serde(default)]
    pub gateways: Vec<String>,
}

/// A local port that stands for one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MappedView {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The host it stands for.
    pub host: String,
}

/// A port of this computer that the gateway may connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ReverseView {
    /// The number the gateway asks for.
    pub port: u16,
    /// Where its connections go.
    pub target: String,
    /// Connections open now.
    pub open: usize,
}

impl From<ReverseStatus> for ReverseView {
    fn from(status: ReverseStatus) -> Self {
        let ReverseStatus { port: ReversePort { port, target }, open } = status;
        Self { port, target, open }
    }
}

/// The view at the time `now`. `health` is fresher than the one in `status` when given.
#[must_use]
pub fn view(status: &Status, health: Option<Health>, local: &Local, now: Instant) -> StatusView {
    let health = health.or(status.health).unwrap_or_default();
    let mut view = StatusView {
        last_failure: status.last_failure.as_ref().map(|(why, _)| failure_view(why)),
        last_failure_age_ms: status
            .last_failure
            .as_ref()
            .map(|(_, at)| millis(now.saturating_duration_since(*at))),
        rtt_ms: health.rtt.map(tenths),
        pong_age_ms: health.last_pong.map(|at| millis(now.saturating_duration_since(at))),
        streams: health.streams,
        bytes_in: health.bytes_in,
        bytes_out: health.bytes_out,
        local: local.clone(),
        ..StatusView::default()
    };
    match &status.state {
        State::Off => {
            view.sentence = "disconnected".to_owned();
            view.advice = Some("connect with `seacat-proxy connect`".to_owned());
        }
        State::Connecting { gateway, attempt } => {
            view.state = Word::Connecting;
            view.gateway = Some(gateway.clone());
            view.sentence = match attempt {
                0 | 1 => format!("connecting to {gateway}"),
                n => format!("connecting to {gateway}, attempt {n}"),
            };
        }
        State::Connected { gateway, address, road, tls, since } => {
            view.state = Word::Connected;
            view.gateway = Some(gateway.clone());
            view.address = Some(*address);
            view.target = road.target.clone();
            view.through = road.through.clone();
            view.tls = Some(TlsView {
                version: tls.version.to_owned(),
                suite: tls.suite.to_owned(),
                issuer: tls.issuer.clone(),
            });
            view.connected_ms = Some(millis(now.saturating_duration_since(*since)));
            view.sentence = format!("connected to {gateway}");
            if let Some(proxy) = &road.through {
                let _ = write!(view.sentence, " through {proxy}");
            }
            if let Some(rtt) = view.rtt_ms {
                let _ = write!(view.sentence, ", round trip {rtt} ms");
            }
        }
        State::Waiting { until, why } => {
            let rest = until.saturating_duration_since(now);
            view.state = Word::Waiting;
            view.next_attempt_ms = Some(millis(rest));
            view.sentence = format!("not connected: {why}; next attempt in {}", seconds(rest));
            view.failure = Some(failure_view(why));
            view.advice = Some(why.advice().to_owned());
        }
        State::Stopped { why } => {
            view.state = Word::Stopped;
            view.sentence = format!("stopped: {why}");
            view.failure = Some(failure_view(why));
            view.advice = Some(why.advice().to_owned());
        }
        State::Draining => {
            view.state = Word::Draining;
            view.sentence = "finishing what runs".to_owned();
        }
        State::Ended => view.sentence = "ended".to_owned(),
    }
    view
}

fn failure_view(failure: &Failure) -> FailureView {
    FailureView {
        code: failure.code().to_owned(),
        title: failure.title().to_owned(),
        message: failure.to_string(),
        permanent: failure.is_permanent(),
        params: params(failure),
    }
}

/// The values in a failure's message, by name.
pub(crate) fn params(failure: &Failure) -> BTreeMap<String, String> {
    let named = match failure {
        Failure::NoSuchHost { host } => vec![("host", host.clone())],
        Failure::Unresolvable { host, detail } => {
            vec![("host", host.clone()), ("detail", detail.clone())]
        }
        Failure::Refused { address } | Failure::Unreachable { address } => {
            vec![("address", address.to_string()), ("port", address.port().to_string())]
        }
        Failure::NoService { name } => vec![("name", name.clone())],
        Failure::ProxyUnreachable { proxy, why } => {
            vec![("proxy", proxy.clone()), ("why", why.clone())]
        }
        Failure::ProxyAuth { proxy, offered, .. } => {
            vec![("proxy", proxy.clone()), ("offered", offered.join(", "))]
        }
        Failure::ProxyRefused { proxy, status, reason } => vec![
            ("proxy", proxy.clone()),
            ("status", status.to_string()),
            ("reason", reason.clone()),
        ],
        Failure::ProxyAnswer { proxy, what } => {
            vec![("proxy", proxy.clone()), ("what", what.clone())]
        }
        Failure::TimedOut { stage, limit } => {
            vec![("stage", stage.to_string()), ("limit", limit.as_secs().to_string())]
        }
        Failure::WrongName { expected, found } => {
            vec![("host", expected.clone()), ("names", found.join(", "))]
        }
        Failure::UnknownCa { issuer } => vec![("issuer", issuer.clone())],
        Failure::Portal { host } => host.iter().map(|host| ("host", host.clone())).collect(),
        Failure::Expired { not_after } => vec![("date", not_after.clone())],
        Failure::NotYetValid { not_before } => vec![("date", not_before.clone())],
        Failure::PinMismatch { found } => vec![("found", found.clone())],
        Failure::ClientCertRefused { alert } => vec![("alert", alert.clone())],
        Failure::Silent(limit) => vec![("limit", limit.as_secs().to_string())],
        Failure::BadConfig(detail)
        | Failure::Tls(detail)
        | Failure::BadCertificate(detail)
        | Failure::Other(detail) => vec![("detail", detail.clone())],
        Failure::Interrupted(closed) => vec![("detail", closed.to_string())],
        Failure::NoGateway
        | Failure::HungUp
        | Failure::NotTls
        | Failure::NoCommonSuite
        | Failure::TlsVersion
        | Failure::GoingAway
        | Failure::HttpsServer => vec![],
    };
    named.into_iter().map(|(name, value): (&str, String)| (name.to_owned(), value)).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with one decimal: a round trip on one machine is below one.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// "12 s" or "4 min"; a started second counts, so that nothing is "in 0 s".
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_millis().div_ceil(1000) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// An identity towards another gateway than the one in use.
pub(crate) fn elsewhere(identity: &IdentityView) -> String {
    let gateway = identity.gateway.as_deref().unwrap_or("another gateway");
    format!("{gateway}: {}", identity.sentence)
}

/// The status for a terminal.
#[must_use]
pub fn text(view: &StatusView) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<12} {value}");
    };
    line("state", &view.sentence);
    if let Some(advice) = &view.advice {
        line("do", advice);
    }
    if let Some(identity) = &view.identity {
        line("identity", &identity.sentence);
        if let Some(advice) = &identity.advice {
            line("do", advice);
        }
        if let Some(problem) = &identity.key_problem {
            line("key", problem);
        }
    }
    for other in &view.other_identities {
        line("elsewhere", &elsewhere(other));
    }
    if let Some(target) = &view.target {
        line("target", &format!("{target}, named by DNS"));
    }
    match (view.address, &view.through) {
        (Some(address), Some(proxy)) => line("through", &format!("{proxy} ({address})")),
        (Some(address), None) => line("address", &address.to_string()),
        (None, _) => {}
    }
    if let Some(tls) = &view.tls {
        line("tls", &format!("{}, {}", tls.version, tls.suite));
        line("issued by", &tls.issuer);
    }
    if let Some(connected) = view.connected_ms {
        line("connected", &format!("for {}", seconds(Duration::from_millis(connected))));
    }
    if let Some(age) = view.pong_age_ms {
        line("last answer", &format!("{} ago", seconds(Duration::from_millis(age))));
    }
    if let Some(failure) = &view.last_failure {
        let age = view.last_failure_age_ms.unwrap_or_default();
        let age = seconds(Duration::from_millis(age));
        line("last failure", &format!("{} ({}), {age} ago", failure.message, failure.code));
    }
    if let Some(ReloadView { error: Some(error), age_ms }) = &view.reload {
        let age = seconds(Duration::from_millis(*age_ms));
        let error = error.trim_end().replace('\n', "; ");
        line("configuration", &format!("the change {age} ago was refused: {error}"));
    }
    for address in &view.local.proxy {
        line("proxy", &format!("http://{address}"));
    }
    for map in &view.local.mapped {
        line("mapped", &format!("http://{} -> {}", map.listen, map.host));
    }
    for ReverseView { port, target, open } in &view.reverse {
        line("reverse", &format!("port {port} -> {target}, {open} open"));
    }
    if view.local.demo {
        line("gateway", "the built-in one (demo)");
    }
    line(
        "traffic",
        &format!(
            "{} requests in flight, {} B in, {} B out",
            view.streams, view.bytes_in, view.bytes_out
        ),
    );
    line("process", &view.local.pid.to_string());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use seacat_channel::{Road, TlsInfo};

    fn status(state: State) -> Status {
        Status { state, health: None, last_failure: None }
    }

    /// Every state: its word, its sentence, and whether there is advice.
    #[test]
    fn every_state_in_words() {
        let now = Instant::now();
        let refused = || Failure::Refused { address: ([192, 0, 2, 1], 443).into() };
        let tls = TlsInfo {
            version: "TLS 1.3",
            suite: "TLS13_AES_128_GCM_SHA256",
            issuer: "CN=ca".into(),
        };
        let gateway = || "gw.example.com".to_owned();
        let table = [
            (State::Off, Word::Off, "disconnected", true),
            (
                State::Connecting { gateway: gateway(), attempt: 1 },
                Word::Connecting,
                "connecting to gw.example.com",
                false,
            ),
            (
                State::Connecting { gateway: gateway(), attempt: 3 },
                Word::Connecting,
                "connecting to gw.example.com, attempt 3",
                false,
            ),
            (
                State::Connected {
                    gateway: gateway(),
                    address: ([192, 0, 2, 1], 443).into(),
                    road: Road::default(),
                    tls: tls.clone(),
                    since: now,
                },
                Word::Connected,
                "connected to gw.example.com",
                false,
            ),
            (
                State::Connected {
                    gateway: gateway(),
                    address: ([192, 0, 2, 1], 3128).into(),
                    road: Road { target: None, through: Some("proxy.corp:3128".into()) },
                    tls,
                    since: now,
                },
                Word::Connected,
                "connected to gw.example.com through proxy.corp:3128",
                false,
            ),
            (
                State::Waiting { until: now + Duration::from_millis(11_500), why: refused() },
                Word::Waiting,
                "not connected: 192.0.2.1:443 refused the connection; next attempt in 12 s",
                true,
            ),
            (
                State::Stopped { why: Failure::NoCommonSuite },
                Word::Stopped,
                "stopped: the gateway and this client have no TLS cipher suite in common",
                true,
            ),
            (State::Draining, Word::Draining, "finishing what runs", false),
            (State::Ended, Word::Off, "ended", false),
        ];
        for (state, word, sentence, advised) in table {
            let view = view(&status(state), None, &Local::default(), now);
            assert_eq!(
                (view.state, view.sentence.as_str(), view.advice.is_some()),
                (word, sentence, advised)
            );
            assert!(text(&view).contains(sentence));
        }
    }

    #[test]
    fn ages_are_counted_from_the_moment_of_the_question() {
        let then = Instant::now();
        let now = then + Duration::from_secs(65);
        let health = Health {
            last_frame: None,
            rtt: Some(Duration::from_micros(12_340)),
            last_pong: Some(then + Duration::from_secs(60)),
            streams: 3,
            bytes_in: 7,
            bytes_out: 8,
        };
        let tls = TlsInfo { version: "TLS 1.2", suite: "S", issuer: "I".into() };
        let state = State::Connected {
            gateway: "gw".into(),
            address: ([127, 0, 0, 1], 1).into(),
            road: Road::default(),
            tls,
            since: then,
        };
        let stale = Status {
            state,
            health: Some(Health::default()),
            last_failure: Some((Failure::HungUp, then)),
        };
        let view = view(&stale, Some(health), &Local::default(), now);
        assert_eq!(view.sentence, "connected to gw, round trip 12.3 ms");
        assert_eq!((view.connected_ms, view.pong_age_ms), (Some(65_000), Some(5_000)));
        assert_eq!((view.streams, view.bytes_in, view.bytes_out), (3, 7, 8));
        assert_eq!(view.last_failure.as_ref().unwrap().code, "SC-TLS-HUNG-UP");
        assert_eq!(view.last_failure_age_ms, Some(65_000));
        assert!(text(&view).contains("(SC-TLS-HUNG-UP), 65 s ago"), "{}", text(&view));
        assert_eq!(view.failure, None, "all is well now");
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["state"], "connected");
        assert_eq!(serde_json::from_value::<StatusView>(json).unwrap(), view);
    }
}
