//! The steps from here to a gateway: its name, TCP, the proxy of the network, TLS, the certificate,
//! PING, the clock. `gateway test` takes these alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use seacat_channel::identity::day;
use seacat_channel::probe::{CertificateSeen, Probe, REACH_LIMIT, Seen, look_at_roots, reach};
use seacat_channel::{Failure, GatewayConfig, NetworkConfig, Tls, Upstream, discover};
use tokio::task::JoinSet;

use super::evidence::Fact;
use super::report::Report;
use super::trust::{judge, judge_clock};
use super::view::{FindingView, StepId};

/// The ports that are tried where the gateway's own does not answer, the most open ones first.
const OTHER_PORTS: [u16; 4] = [443, 80, 8443, 8080];

/// A port that is open answers at once.
const OTHER_LIMIT: Duration = Duration::from_secs(3);

/// Addresses that are tried at all: more than a gateway has, and few enough to read.
const ADDRESSES: usize = 64;

/// Goes the way to one gateway.
///
/// # Errors
/// What is wrong.
pub async fn go(
    gateway: &GatewayConfig,
    network: &NetworkConfig,
    environment: &[(String, String)],
    report: &Report,
) -> Result<(), FindingView> {
    let direct = match find(gateway, network, report).await {
        Ok(places) => connect(gateway, places, report).await,
        Err(failure) => Err((failure.clone(), FindingView::of(&failure))),
    };
    let reached = match direct {
        Ok(reached) => reached,
        Err((failure, finding)) => {
            return Err(needed_proxy(gateway, network, &failure, environment, report)
                .await
                .unwrap_or(finding));
        }
    };
    let mut last = None;
    // As the channel does: the next address, when one does not lead there.
    for (probe, address) in reached {
        match secure(&probe, address, report).await {
            Ok(()) => return Ok(()),
            Err(finding) => last = Some(finding),
        }
    }
    Err(last.unwrap_or_else(|| FindingView::of(&Failure::NoGateway)))
}

/// A way, and an address at its beginning.
type Place = (Probe, SocketAddr);

/// From names to addresses.
async fn find(
    gateway: &GatewayConfig,
    network: &NetworkConfig,
    report: &Report,
) -> Result<Vec<Place>, Failure> {
    let step = report.begin(StepId::Dns).await;
    let mut said = Vec::new();
    let found: Result<Vec<Place>, Failure> = async {
        let probes = match &gateway.discover {
            None => vec![Probe::new(gateway.clone(), network)],
            Some(discovery) => {
                let targets = discover(discovery, &network.dns_servers).await?;
                said.extend(targets.iter().map(|it| Fact::Announced {
                    host: it.host.clone(),
                    port: it.port,
                    priority: it.priority,
                    weight: it.weight,
                }));
                targets.iter().map(|it| Probe::to_target(gateway, it, network)).collect()
            }
        };
        let mut places: Vec<Place> = Vec::new();
        for probe in probes {
            let found = probe.addresses().await?;
            let shown: Vec<String> = found.iter().map(|it| it.ip().to_string()).collect();
            let addresses = shown.join(", ");
            match (probe.upstream(), probe.asks_resolver()) {
                (Some(proxy), _) => {
                    said.push(Fact::LookedUpProxy { proxy: proxy.to_string(), addresses });
                }
                (None, true) => said.push(Fact::Addresses { addresses }),
                (None, false) if gateway.discover.is_none() => {
                    said.push(Fact::NotLookedUp { addresses });
                }
                (None, false) => {}
            }
            places.extend(found.into_iter().map(|address| (probe.clone(), address)));
        }
        places.truncate(ADDRESSES);
        Ok(places)
    }
    .await;
    match &found {
        Ok(_) => {
            said.dedup();
            step.ok(said).await;
        }
        Err(failure) => step.fail([failure.into()], &FindingView::of(failure)).await,
    }
    found
}

/// Which of the addresses take a connection.
async fn connect(
    gateway: &GatewayConfig,
    places: Vec<Place>,
    report: &Report,
) -> Result<Vec<Place>, (Failure, FindingView)> {
    let step = report.begin(StepId::Tcp).await;
    let addresses: Vec<SocketAddr> = places.iter().map(|(_, address)| *address).collect();
    let outcomes = reach_all(&addresses, REACH_LIMIT).await;
    let tried = addresses.iter().zip(&outcomes);
    let said: Vec<Fact> = tried.map(|(address, it)| Fact::reached(*address, it)).collect();
    let is_there = |nth: usize| outcomes[nth].is_ok();
    let upstream = places.first().and_then(|(probe, _)| probe.upstream()).map(Upstream::to_string);
    let open: Vec<Place> =
        places.into_iter().enumerate().filter(|(nth, _)| is_there(*nth)).map(|it| it.1).collect();
    if !open.is_empty() {
        step.ok(said).await;
        return Ok(open);
    }
    let nobody = || Failure::NoSuchHost { host: gateway.host.clone() };
    let failure =
        outcomes.into_iter().filter_map(Result::err).max_by_key(telling).unwrap_or_else(nobody);
    if let Some(proxy) = upstream {
        let failure = Failure::ProxyUnreachable { proxy, why: failure.to_string() };
        let finding = FindingView::of(&failure);
        step.fail(said, &finding).await;
        return Err((failure, finding));
    }
    let finding = match failure {
        Failure::Unreachable { .. } if !has_route() => FindingView::no_network(),
        _ => FindingView::of(&failure),
    };
    step.fail(said, &finding).await;
    if matches!(failure, Failure::Unreachable { .. }) {
        return Err((failure, finding));
    }
    let open = other_ports(gateway, &addresses, &finding, report).await;
    let finding = match failure {
        Failure::TimedOut { .. } => {
            FindingView::filtered(&title(gateway), addresses[0].port(), open)
        }
        _ => finding,
    };
    Err((failure, finding))
}

/// Of several failures, the one that says most.
fn telling(failure: &Failure) -> u8 {
    match failure {
        Failure::Refused { .. } => 3,
        Failure::TimedOut { .. } => 2,
        Failure::Unreachable { .. } => 1,
        _ => 0,
    }
}

/// Whether there is a way out of this computer at all. Connecting a datagram socket asks the routing
/// table and sends nothing; the addresses are those of documentation (RFC 5737, RFC 3849).
fn has_route() -> bool {
    let way = |from: &str, to: &str| {
        std::net::UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok()
    };
    way("0.0.0.0:0", "192.0.2.1:9") || way("[::]:0", "[2001:db8::1]:9")
}

/// Every address at the same time.
async fn reach_all(addresses: &[SocketAddr], limit: Duration) -> Vec<Result<(), Failure>> {
    let mut tasks = JoinSet::new();
    for (nth, &address) in addresses.iter().enumerate() {
        tasks.spawn(async move { (nth, reach(address, limit).await.map(drop)) });
    }
    let mut outcomes: Vec<_> =
        addresses.iter().map(|&address| Err(Failure::Unreachable { address })).collect();
    while let Some(done) = tasks.join_next().await {
        if let Ok((nth, outcome)) = done {
            outcomes[nth] = outcome;
        }
    }
    outcomes
}

/// Which other port of the same computer takes a connection; first one at which a gateway answers.
async fn other_ports(
    gateway: &GatewayConfig,
    tried: &[SocketAddr],
    finding: &FindingView,
    report: &Report,
) -> Option<u16> {
    let step = report.begin(StepId::OtherPorts).await;
    let hosts: BTreeSet<IpAddr> = tried.iter().map(SocketAddr::ip).take(4).collect();
    let others: Vec<SocketAddr> = OTHER_PORTS
        .iter()
        .flat_map(|port| hosts.iter().map(|ip| SocketAddr::new(*ip, *port)))
        .filter(|address| !tried.contains(address))
        .collect();
    let outcomes = reach_all(&others, OTHER_LIMIT).await;
    let (mut said, mut open, mut answers) = (Vec::new(), None, None);
    for (address, outcome) in others.iter().zip(outcomes) {
        if outcome.is_ok() {
            open.get_or_insert(address.port());
            if is_gateway(gateway, *address).await {
                answers.get_or_insert(address.port());
                said.push(Fact::GatewayAnswers { address: *address });
                continue;
            }
        }
        said.push(Fact::reached(*address, &outcome));
    }
    match answers.or(open) {
        Some(_) => step.ok(said).await,
        None => step.fail(said, finding).await,
    }
    answers.or(open)
}

async fn is_gateway(gateway: &GatewayConfig, address: SocketAddr) -> bool {
    let network = NetworkConfig::default();
    let there = GatewayConfig {
        address: Some(address.ip()),
        port: address.port(),
        discover: None,
        ..gateway.clone()
    };
    let Ok(tcp) = reach(address, OTHER_LIMIT).await else {
        return false;
    };
    match Probe::new(there, &network).secure(tcp).await {
        Ok(seen) => seen.ping().await.is_ok(),
        Err(_) => false,
    }
}

/// Where the direct way fails: whether the proxy that the environment names would lead there.
async fn needed_proxy(
    gateway: &GatewayConfig,
    network: &NetworkConfig,
    failure: &Failure,
    environment: &[(String, String)],
    report: &Report,
) -> Option<FindingView> {
    const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    if network.upstream.is_some() || matches!(failure, Failure::NoService { .. }) {
        return None;
    }
    let (variable, upstream) = VARIABLES.iter().find_map(|name| {
        let (_, url) = environment.iter().find(|(it, url)| it == name && !url.trim().is_empty())?;
        Some((*name, url.trim().parse::<Upstream>().ok()?))
    })?;
    let step = report.begin(StepId::Upstream).await;
    let proxy = upstream.to_string();
    let probe = Probe::new(
        GatewayConfig { discover: None, ..gateway.clone() },
        &NetworkConfig { upstream: Some(upstream), ..network.clone() },
    );
    let asked = async {
        let address = probe.addresses().await?.into_iter().next();
        let nobody = || Failure::NoSuchHost { host: proxy.clone() };
        let mut tcp = reach(address.ok_or_else(nobody)?, REACH_LIMIT).await?;
        probe.pass_upstream(&mut tcp).await
    };
    let named = Fact::Named { proxy: proxy.clone(), variable: variable.to_owned() };
    let (wants, said) = match asked.await {
        Ok(target) => (None, lets_through(&proxy, target)),
        Err(failure @ Failure::ProxyAuth { .. }) => {
            let said = Fact::from(&failure);
            (Some(failure), said)
        }
        Err(failure) => {
            step.fail([named, (&failure).into()], &FindingView::of(&failure)).await;
            return None;
        }
    };
    let finding = FindingView::proxy_needed(&proxy, variable, wants.as_ref());
    step.warn([named, said], &finding).await;
    Some(finding)
}

/// `target` is what the proxy was asked for.
fn lets_through(proxy: &impl ToString, target: Option<String>) -> Fact {
    Fact::LetsThrough { proxy: proxy.to_string(), target: target.unwrap_or_default() }
}

/// From a connection to an answered PING.
async fn secure(probe: &Probe, address: SocketAddr, report: &Report) -> Result<(), FindingView> {
    let mut tcp = reach(address, REACH_LIMIT).await.map_err(|failure| FindingView::of(&failure))?;
    if let Some(proxy) = probe.upstream() {
        let step = report.begin(StepId::Upstream).await;
        match probe.pass_upstream(&mut tcp).await {
            Ok(target) => step.ok([lets_through(proxy, target)]).await,
            Err(failure) => {
                let finding = FindingView::of(&failure);
                step.fail([(&finding).into()], &finding).await;
                return Err(finding);
            }
        }
    }
    let step = report.begin(StepId::Tls).await;
    let gateway = probe.gateway();
    let seen = match probe.secure(tcp).await {
        Ok(seen) => seen,
        Err(failure) => {
            let mut finding = FindingView::of(&failure).with("host", &gateway.host);
            if let (Failure::NoCommonSuite, Some(works)) =
                (&failure, compat_works(probe, address).await)
            {
                finding.advice = format!("set tls = \"compat\" for this gateway: with it, {works}");
            }
            step.fail([(&finding).into()], &finding).await;
            return Err(finding);
        }
    };
    let tls = seen.tls();
    step.ok([Fact::Secured {
        host: gateway.host.clone(),
        port: gateway.port,
        address,
        version: tls.version.to_owned(),
        suite: tls.suite.to_owned(),
    }])
    .await;
    believe(gateway, seen, report).await
}

/// What `tls = "compat"` would come to, if it can be had and works.
async fn compat_works(probe: &Probe, address: SocketAddr) -> Option<String> {
    let other = GatewayConfig { tls: Tls::Compat, ..probe.gateway().clone() };
    if !cfg!(feature = "compat") || probe.gateway().tls == Tls::Compat || probe.upstream().is_some()
    {
        return None;
    }
    let tcp = reach(address, REACH_LIMIT).await.ok()?;
    let seen = Probe::new(other, &NetworkConfig::default()).secure(tcp).await.ok()?;
    Some(format!("it speaks {}, {}", seen.tls().version, seen.tls().suite))
}

/// The certificate, and who is behind it.
async fn believe(gateway: &GatewayConfig, seen: Seen, report: &Report) -> Result<(), FindingView> {
    let certificate = seen.certificate.clone();
    let (verdict, until) = (seen.verdict.clone(), day(certificate.not_after));
    let step = report.begin(StepId::Issuer).await;
    let said = Fact::Issued { issuer: certificate.issuer.clone(), until };
    let answered = match &verdict {
        Ok(()) => {
            step.ok([said]).await;
            let step = report.begin(StepId::Seacat).await;
            match seen.ping().await {
                Ok(rtt) => step.took(rtt).ok([Fact::PingAnswered]).await,
                Err(failure) => {
                    let finding = FindingView::of(&failure).with("host", &gateway.host);
                    step.fail([(&finding).into()], &finding).await;
                    return Err(finding);
                }
            }
            Ok(())
        }
        Err(failure) => {
            // A PING gives nothing away, and tells a gateway of somebody else's from a web server.
            let answer = seen.ping().await;
            let ours = look_at_roots(&gateway.trust.roots).ok().flatten().map(|it| it.0);
            let finding = judge(gateway, failure, &certificate, ours.as_ref(), &answer);
            step.fail([said, failure.into()], &finding).await;
            Err(finding)
        }
    };
    clock(gateway, &certificate, answered, report).await
}

async fn clock(
    gateway: &GatewayConfig,
    certificate: &CertificateSeen,
    verdict: Result<(), FindingView>,
    report: &Report,
) -> Result<(), FindingView> {
    let step = report.begin(StepId::Clock).await;
    let now = crate::control::today();
    let ours = look_at_roots(&gateway.trust.roots).ok().flatten().map(|it| it.0);
    match judge_clock(certificate, ours.as_ref(), now) {
        Some(finding) => {
            step.fail([(&finding).into()], &finding).await;
            Err(finding)
        }
        None => {
            step.ok([Fact::Today { date: day(now) }]).await;
            verdict
        }
    }
}

/// What a gateway is called in messages.
fn title(gateway: &GatewayConfig) -> String {
    if gateway.host.is_empty() { gateway.name.clone() } else { gateway.host.clone() }
}
