//! `gateway`: which there are, another one, and whether one can be reached.

use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use seacat_channel::{Channel, ChannelConfig, GatewayConfig, NetworkConfig, State, Status, Tls};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{CliError, Here, config, control, runtime};
use crate::config::apply;
use crate::config::edit;
use crate::config::elements::{TLS, parse_gateway};
use crate::config::schema::Gateway;
use crate::config::settings::word_of;
use crate::config::{Sources, load::load};
use crate::control::{Answer, ClientError, Request};
use crate::diagnose::{Report, StepView, way};
use crate::exit::Exit;
use crate::settings::{self, Checked, SettingsChange};

/// TLS and the first answered PING: longer than the channel's own limits, so that its verdict is
/// heard.
const CHANNEL_LIMIT: Duration = Duration::from_secs(40);

pub(super) fn test(
    here: &Here,
    wanted: Option<&str>,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let config = here.load()?.config;
    let network = here.network(&config)?;
    let gateways = choose(config.gateways, wanted)?;
    let environment = &here.sources.environment;
    runtime()?.block_on(async {
        let mut exit = Exit::Ok;
        for gateway in gateways {
            if !test_one(&apply::gateway(&gateway), &network, environment, out).await? {
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
                "no gateway is configured; name one: `seacat-proxy gateway test HOST`".to_owned(),
            )),
            false => Ok(configured),
        };
    };
    if let Some(called) = configured.iter().find(|g| g.name.as_deref() == Some(wanted)) {
        return Ok(vec![called.clone()]);
    }
    let named = parse_gateway(wanted).map_err(CliError::Usage)?;
    let is_named =
        |g: &&Gateway| g.host == named.host && (g.port == named.port || !wanted.contains(':'));
    match configured.iter().find(is_named) {
        Some(configured) => Ok(vec![configured.clone()]),
        None => Ok(vec![named]),
    }
}

/// Whether every step went well.
async fn test_one(
    gateway: &GatewayConfig,
    network: &NetworkConfig,
    environment: &[(String, String)],
    out: &mut dyn Write,
) -> Result<bool, CliError> {
    match gateway.discover {
        Some(_) => writeln!(out, "{}", gateway.name)?,
        None => writeln!(out, "{} port {}", gateway.host, gateway.port)?,
    }
    let (report, steps) = Report::channel();
    let gone = way::go(gateway, network, environment, &report);
    let gone = follow(steps, gone, |step| print(step, out)).await?;
    let met = match &gone {
        Ok(()) => true,
        Err(finding) => {
            write!(out, "{}", finding.text())?;
            finding.code.starts_with("SC-TLS") || finding.code.starts_with("SC-CERT")
        }
    };
    if met {
        try_the_other(gateway, network, gone.is_ok(), out).await?;
    }
    Ok(gone.is_ok())
}

/// Works, and shows each step as it comes.
pub(super) async fn follow<T>(
    mut steps: mpsc::Receiver<StepView>,
    work: impl Future<Output = T>,
    mut show: impl FnMut(&StepView) -> Result<(), CliError>,
) -> Result<T, CliError> {
    let mut work = pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            Some(step) = steps.recv() => show(&step)?,
            done = &mut work => break done,
        }
    };
    while let Ok(step) = steps.try_recv() {
        show(&step)?;
    }
    Ok(done)
}

/// One step on a terminal.
pub(super) fn print(step: &StepView, out: &mut dyn Write) -> Result<(), CliError> {
    write!(out, "{}", step.text())?;
    Ok(out.flush()?)
}

/// What a channel to this gateway comes to; `None` when it does not decide in time.
async fn verdict(gateway: &GatewayConfig, network: &NetworkConfig) -> Option<Status> {
    let mut config = ChannelConfig::new(vec![gateway.clone()]);
    config.network = network.clone();
    let channel = Channel::start(config);
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
    network: &NetworkConfig,
    connected: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let tls = match gateway.tls {
        Tls::Modern => Tls::Compat,
        Tls::Compat => Tls::Modern,
    };
    let word = word_of(&TLS, &tls);
    if tls == Tls::Compat && !cfg!(feature = "compat") {
        return step(out, word, None, "not tested: this build has no OpenSSL");
    }
    let start = Instant::now();
    let decided = verdict(&GatewayConfig { tls, ..gateway.clone() }, network).await;
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
        _ => step(out, word, time, &format!("tls = \"{word}\": no result within the time limit")),
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

/// A gateway that is added.
pub(super) struct Addition {
    pub(super) gateway: String,
    pub(super) name: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) tls: Option<String>,
}

pub(super) fn list(here: &Here, json: bool, out: &mut dyn Write) -> Result<Exit, CliError> {
    let loaded = here.load()?;
    let view = settings::view(&loaded, &here.places.config_file, None);
    if json {
        let text = serde_json::to_string_pretty(&view.values["gateway"].value);
        writeln!(out, "{}", text.map_err(std::io::Error::from)?)?;
        return Ok(Exit::Ok);
    }
    for (gateway, authority) in loaded.config.gateways.iter().zip(&view.authorities) {
        let told = apply::gateway(gateway);
        let place = match gateway.discover {
            Some(_) => "discovered by DNS".to_owned(),
            None => format!("{} port {}", gateway.host, gateway.port),
        };
        let ca = match authority {
            None => "public CAs".to_owned(),
            Some(it) => it.problem.clone().unwrap_or_else(|| format!("CA {}", it.subject)),
        };
        writeln!(out, "{:<24} {place}, {ca}, tls {}", told.name, word_of(&TLS, &told.tls))?;
    }
    if loaded.config.gateways.is_empty() {
        writeln!(out, "no gateway is configured")?;
    }
    Ok(Exit::Ok)
}

/// Puts one more at the end of the file's list.
pub(super) fn add(here: &Here, addition: &Addition, out: &mut dyn Write) -> Result<Exit, CliError> {
    let named = parse_gateway(&addition.gateway).map_err(CliError::Usage)?;
    let ca_file = addition.ca_file.as_deref().map(std::path::absolute).transpose();
    let ca_file =
        ca_file.map_err(|source| CliError::System { doing: "find the current folder", source })?;
    let mut gateways = in_file(here)?;
    gateways.push(json!({
        "host": named.host, "port": named.port, "name": addition.name, "ca_file": ca_file,
        "tls": addition.tls,
    }));
    save(here, gateways, out)
}

/// The gateways of the user's file alone.
fn in_file(here: &Here) -> Result<Vec<Json>, CliError> {
    let file = here.places.config_file.clone();
    let loaded = load(&Sources { file, ..Sources::default() })?;
    Ok(settings::gateways_of(&loaded.config))
}

/// Writes another list to the file, and has it put in effect.
fn save(here: &Here, gateways: Vec<Json>, out: &mut dyn Write) -> Result<Exit, CliError> {
    let file = &here.places.config_file;
    let values = [("gateway".to_owned(), Json::Array(gateways))].into();
    let change = SettingsChange { values, autostart: None };
    let Checked { problems, advice, steps, .. } =
        settings::check(file, &here.load()?, &change, &[]);
    if !problems.is_empty() {
        let said: Vec<String> =
            problems.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
        return Err(CliError::Config(said.join("\n")));
    }
    edit::apply(file, steps)?;
    if let Some(last) = advice.last() {
        writeln!(out, "{}", last.message)?;
    }
    config::tell_running(here, out)?;
    Ok(Exit::Ok)
}

fn unknown(name: &str) -> CliError {
    CliError::Config(format!("no gateway is called \"{name}\": see `seacat-proxy gateway list`"))
}

/// Gives a gateway the first place, and has the running proxy move to it.
pub(super) fn choose_one(here: &Here, name: &str, out: &mut dyn Write) -> Result<Exit, CliError> {
    let request = Request::UseGateway { name: name.to_owned() };
    match runtime()?.block_on(async { control::client(here).await?.ask(request).await }) {
        Ok(Answer::Done) => {
            writeln!(out, "saved; connecting to {name}")?;
            Ok(Exit::Ok)
        }
        Ok(other) => Err(CliError::Unexpected(Box::new(other))),
        Err(ClientError::Refused(message)) => Err(CliError::Config(message)),
        Err(ClientError::NotRunning) => {
            let mut gateways = in_file(here)?;
            match settings::prefer(&mut gateways, name) {
                true => save(here, gateways, out),
                false => Err(unknown(name)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a gateway out of the file's list.
pub(super) fn remove(here: &Here, name: &str, out: &mut dyn Write) -> Result<Exit, CliError> {
    let mut gateways = in_file(here)?;
    let before = gateways.len();
    gateways.retain(|it| settings::called(it) != name);
    if gateways.len() == before {
        return Err(unknown(name));
    }
    save(here, gateways, out)
}
