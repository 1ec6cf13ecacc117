//! `gateway test`: reach a gateway step by step, each with its time.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use seacat_channel::{Channel, ChannelConfig, GatewayConfig, State, Status, Tls};
use tokio::time::timeout;

use super::{CliError, Here, runtime};
use crate::config::apply;
use crate::config::elements::{TLS, parse_gateway};
use crate::config::schema::Gateway;
use crate::config::settings::word_of;
use crate::exit::Exit;
use crate::status::advice;

/// The name look-up and each TCP connection get this long.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// TLS and the first answered PING: longer than the channel's own limits, so that its verdict is
/// heard.
const CHANNEL_LIMIT: Duration = Duration::from_secs(40);

pub(super) fn test(
    here: &Here,
    wanted: Option<&str>,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let gateways = choose(here.load()?.config.gateways, wanted)?;
    runtime()?.block_on(async {
        let mut exit = Exit::Ok;
        for gateway in gateways {
            if !test_one(&apply::gateway(&gateway), out).await? {
                exit = Exit::NotConnected;
            }
        }
        Ok(exit)
    })
}

/// The named gateway, with the trust that is configured for it; all of them when none is named.
fn choose(configured: Vec<Gateway>, wanted: Option<&str>) -> Result<Vec<Gateway>, CliError> {
    let Some(wanted) = wanted else {
        return match configured.is_empty() {
            true => Err(CliError::Config(
                "no gateway is configured: name one, `seacat-proxy gateway test HOST`".to_owned(),
            )),
            false => Ok(configured),
        };
    };
    let named = parse_gateway(wanted).map_err(CliError::Usage)?;
    let is_named =
        |g: &&Gateway| g.host == named.host && (g.port == named.port || !wanted.contains(':'));
    match configured.iter().find(is_named) {
        Some(configured) => Ok(vec![configured.clone()]),
        None => Ok(vec![named]),
    }
}

/// Whether every step went well.
async fn test_one(gateway: &GatewayConfig, out: &mut dyn Write) -> Result<bool, CliError> {
    writeln!(out, "{} port {}", gateway.host, gateway.port)?;
    let Some(addresses) = resolve(gateway, out).await? else {
        return Ok(false);
    };
    let mut reached = false;
    for address in addresses {
        reached |= reach(address, out).await?;
    }
    if !reached {
        return Ok(false);
    }
    let connected = connect(gateway, out).await?;
    try_the_other(gateway, connected, out).await?;
    Ok(connected)
}

async fn resolve(
    gateway: &GatewayConfig,
    out: &mut dyn Write,
) -> Result<Option<Vec<SocketAddr>>, CliError> {
    if let Some(ip) = gateway.address {
        step(out, "name", None, &format!("not looked up: {ip} is configured"))?;
        return Ok(Some(vec![(ip, gateway.port).into()]));
    }
    let start = Instant::now();
    let looked_up =
        timeout(STEP_LIMIT, tokio::net::lookup_host((gateway.host.as_str(), gateway.port))).await;
    let time = Some(start.elapsed());
    match looked_up {
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = found.collect();
            addresses.dedup();
            let shown: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
            step(out, "name", time, &shown.join(", "))?;
            Ok(Some(addresses))
        }
        Ok(Err(error)) => step(out, "name", time, &format!("FAILED: {error}")).map(|()| None),
        Err(_) => step(out, "name", time, "FAILED: the resolver does not answer").map(|()| None),
    }
}

async fn reach(address: SocketAddr, out: &mut dyn Write) -> Result<bool, CliError> {
    let start = Instant::now();
    let outcome = timeout(STEP_LIMIT, tokio::net::TcpStream::connect(address)).await;
    let time = Some(start.elapsed());
    let said = match &outcome {
        Ok(Ok(_)) => format!("{address} accepts"),
        Ok(Err(error)) => format!("FAILED: {address}: {error}"),
        Err(_) => format!("FAILED: {address} does not answer"),
    };
    step(out, "TCP", time, &said)?;
    Ok(matches!(outcome, Ok(Ok(_))))
}

/// The rest by a real channel, so that the test cannot differ from the real thing.
async fn connect(gateway: &GatewayConfig, out: &mut dyn Write) -> Result<bool, CliError> {
    let start = Instant::now();
    let decided = verdict(gateway).await;
    let time = Some(start.elapsed());
    match decided.as_ref().map(|status| &status.state) {
        Some(State::Connected { address, tls, .. }) => {
            let rtt = decided.as_ref().and_then(|status| status.health).and_then(|h| h.rtt);
            step(out, "TLS", None, &format!("{} with {}, {}", address, tls.version, tls.suite))?;
            step(out, "issuer", None, &format!("the certificate was issued by {}", tls.issuer))?;
            step(out, "SeaCat", rtt, "PING answered")?;
            step(out, "all", time, "connected")?;
            Ok(true)
        }
        Some(State::Waiting { why, .. } | State::Stopped { why }) => {
            step(out, "channel", time, &format!("FAILED: {why} ({})", why.code()))?;
            step(out, "", None, &format!("-> {}", advice(why)))?;
            Ok(false)
        }
        _ => step(out, "channel", time, "FAILED: no verdict in time").map(|()| false),
    }
}

/// What a channel to this gateway comes to; `None` when it does not decide in time.
async fn verdict(gateway: &GatewayConfig) -> Option<Status> {
    let channel = Channel::start(ChannelConfig::new(vec![gateway.clone()]));
    let mut status = channel.status();
    let decided = status.wait_for(|status| {
        matches!(
            status.state,
            State::Connected { .. } | State::Waiting { .. } | State::Stopped { .. }
        )
    });
    Some(timeout(CHANNEL_LIMIT, decided).await.ok()?.ok()?.clone())
}

/// What the other setting of `tls` would come to, for whoever has to choose. It changes nothing,
/// and decides nothing about the outcome.
async fn try_the_other(
    gateway: &GatewayConfig,
    connected: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let tls = match gateway.tls {
        Tls::Modern => Tls::Compat,
        Tls::Compat => Tls::Modern,
    };
    let word = word_of(&TLS, &tls);
    if tls == Tls::Compat && !cfg!(feature = "compat") {
        return step(out, word, None, "not tried: this build has no OpenSSL");
    }
    let start = Instant::now();
    let decided = verdict(&GatewayConfig { tls, ..gateway.clone() }).await;
    let time = Some(start.elapsed());
    match decided.map(|status| status.state) {
        Some(State::Connected { tls, .. }) => {
            let said = format!("tls = \"{word}\" works too: {}, {}", tls.version, tls.suite);
            if connected {
                return step(out, word, time, &said);
            }
            step(out, word, time, &said.replace("works too", "works"))?;
            step(out, "", None, &format!("-> set tls = \"{word}\" for this gateway"))
        }
        Some(State::Waiting { why, .. } | State::Stopped { why }) => {
            let said = format!("tls = \"{word}\" would fail: {why} ({})", why.code());
            step(out, word, time, &said)
        }
        _ => step(out, word, time, &format!("tls = \"{word}\": no verdict in time")),
    }
}

fn step(
    out: &mut dyn Write,
    name: &str,
    time: Option<Duration>,
    said: &str,
) -> Result<(), CliError> {
    let time = time.map_or(String::new(), |t| format!("{:.1} ms", t.as_secs_f64() * 1000.0));
    writeln!(out, "  {name:<8} {time:>10}  {said}")?;
    Ok(out.flush()?)
}
