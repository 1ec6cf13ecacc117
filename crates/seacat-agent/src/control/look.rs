//! Looking into what runs: the diagnosis, a gateway that is not saved yet, a request of our own.
//! These take seconds, so they are none of the engine's loop.

use std::path::Path;

use super::{Answer, Desk, Request};
use crate::config::apply;
use crate::diagnose::request::{Tested, Way, send};
use crate::diagnose::{FindingView, Report, Scene, diagnose as take_steps, way};
use crate::settings::read_gateway;
use crate::status::StatusView;

/// Why doesn't it work?
pub(super) async fn diagnose(desk: &mut Desk, host: Option<String>, report: Report) -> Answer {
    let status = match status(desk).await {
        Ok(status) => status,
        Err(stopping) => return stopping,
    };
    let way = way_of(desk, &status);
    let running = desk.running.borrow().clone();
    let scene = Scene {
        config: running.config.clone(),
        gateways: running.gateways.clone(),
        network: running.network.clone(),
        environment: running.environment.clone(),
        hosts: hosts(desk, &status, host),
        status: Some(status),
        way: way.ok(),
    };
    Answer::Finding { finding: take_steps(&scene, &report).await }
}

/// A gateway as typed.
pub(super) async fn test_gateway(desk: &Desk, typed: serde_json::Value, report: Report) -> Answer {
    let gateway = match read_gateway(&typed) {
        Ok(gateway) => gateway,
        Err(problems) => {
            let (advice, authorities) = (Vec::new(), Vec::new());
            return Answer::Checked { problems, advice, authorities };
        }
    };
    let running = desk.running.borrow().clone();
    let gone = way::go(&gateway, &running.network, &running.environment, &report).await;
    let finding = gone.err().unwrap_or_else(|| FindingView::well("the gateway answers"));
    let advice = (!finding.advice.is_empty()).then(|| finding.advice.clone());
    Answer::Finished { ok: finding.ok, advice, finding }
}

/// A request through our own proxy.
pub(super) async fn test_request(desk: &mut Desk, host: Option<String>) -> Answer {
    let status = match status(desk).await {
        Ok(status) => status,
        Err(stopping) => return stopping,
    };
    let Some(host) = hosts(desk, &status, host).into_iter().next() else {
        let message = "no host behind the gateway is known yet: name one".to_owned();
        return Answer::Error { message };
    };
    let sent = match way_of(desk, &status) {
        Ok(way) => send(&way, &host).await,
        Err(message) => return Answer::Error { message },
    };
    match sent {
        Ok(Tested { host, status, code, ms, bytes, .. }) => {
            Answer::Tested { host, status, code, ms, bytes }
        }
        Err(error) => Answer::Error { message: format!("our own proxy does not answer: {error}") },
    }
}

async fn status(desk: &mut Desk) -> Result<StatusView, Answer> {
    match desk.ask(Request::Status).await {
        Answer::Status { status } => Ok(*status),
        other => Err(other),
    }
}

fn way_of(desk: &Desk, status: &StatusView) -> Result<Way, String> {
    let proxy = status.local.proxy.first().ok_or("the proxy does not listen")?;
    let running = desk.running.borrow();
    let credentials = running.config.proxy.credentials_file.as_deref().map(read);
    let credentials = credentials.transpose()?;
    Ok(Way { proxy: *proxy, credentials, own: desk.own.clone() })
}

fn read(path: &Path) -> Result<seacat_proxy::Credentials, String> {
    apply::read_credentials(path).map_err(|error| error.to_string())
}

/// The hosts of the built-in gateway that anybody may ask.
const BUILTIN_HOST: &str = "hello";

/// Whom to ask: the one that was named, else the built-in gateway's, else those that applications
/// use: mapped ones, and the one that was asked for last.
fn hosts(desk: &Desk, status: &StatusView, named: Option<String>) -> Vec<String> {
    if let Some(host) = named.filter(|host| !host.trim().is_empty()) {
        return vec![host];
    }
    if status.local.demo {
        return vec![BUILTIN_HOST.to_owned()];
    }
    let (lines, _) = desk.access.follow();
    let through = |line: &&std::sync::Arc<seacat_proxy::AccessLine>| {
        line.route == seacat_proxy::Route::Gateway && line.error.is_none()
    };
    let last = lines.iter().rev().find(through).map(|line| line.host.clone());
    let mapped = status.local.mapped.iter().map(|map| map.host.clone());
    last.into_iter().chain(mapped).collect()
}
