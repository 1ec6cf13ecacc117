//! Looking into what runs: the diagnosis, a gateway that is not saved yet, a request of our own.
//! These take seconds, so they are none of the engine's loop.

use std::path::Path;
use std::sync::Arc;

use seacat_proxy::{AccessLine, Code, Route};

use super::{Answer, Desk, Request};
use crate::config::apply;
use crate::diagnose::request::{OwnRequests, Target, Tested, Way, send};
use crate::diagnose::{FindingView, Report, Scene, diagnose as take_steps, trouble, way};
use crate::settings::read_gateway;
use crate::status::StatusView;

/// What a person wants to be asked for.
pub(super) struct Named {
    pub(super) host: Option<String>,
    pub(super) path: Option<String>,
}

/// Why doesn't it work?
pub(super) async fn diagnose(desk: &mut Desk, named: Named, report: Report) -> Answer {
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
        targets: targets(desk, &status, named),
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
    let named = Named { host, path: None };
    let Some(target) = targets(desk, &status, named).into_iter().next() else {
        let message = "no host behind the gateway is known yet: name one".to_owned();
        return Answer::Error { message };
    };
    // A person sends it, as an application would: it belongs in the list, and may be the first one.
    let sent = match way_of(desk, &status) {
        Ok(way) => send(&Way { own: OwnRequests::default(), ..way }, &target).await,
        Err(message) => return Answer::Error { message },
    };
    match sent {
        Ok(tested) => {
            let finding = trouble(&tested, status.identity.as_ref());
            let Tested { host, status, code, ms, bytes, .. } = tested;
            Answer::Tested { host, status, code, ms, bytes, finding }
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

/// What to ask for: the host that was named, else what applications ask for: the request that failed
/// last, the host that was asked for last, then the built-in gateway's host, and mapped ones. A
/// request that changes something is not repeated; its host is asked for its first page.
fn targets(desk: &Desk, status: &StatusView, named: Named) -> Vec<Target> {
    let (lines, _) = desk.access.follow();
    let applications = || {
        let lines = lines.iter().rev();
        lines.filter(|line| {
            line.route == Route::Gateway && !desk.own.contains(line.client, line.time)
        })
    };
    let as_target = |line: &Arc<AccessLine>| {
        let repeatable =
            matches!(line.method.as_str(), "GET" | "HEAD") && line.path.starts_with('/');
        let path = if repeatable { line.path.clone() } else { "/".to_owned() };
        Target { host: line.host.clone(), path }
    };
    let failed = |host: Option<&str>| {
        let is_it = |line: &&Arc<AccessLine>| {
            // An application may well ask for what is not there, a host (`wpad`) too; that alone is no
            // trouble.
            let counts = |code| host.is_some() || code != Code::GatewayHost;
            let is_bad = line.error.is_some_and(counts) || line.status >= 500;
            is_bad && host.is_none_or(|host| line.host == host)
        };
        applications().take(RECENT).find(is_it).map(as_target)
    };
    if let Some(host) = named.host.filter(|host| !host.trim().is_empty()) {
        if let Some(path) = named.path.filter(|path| is_path(path)) {
            return vec![Target { host, path }];
        }
        return vec![failed(Some(&host)).unwrap_or_else(|| Target::root(host))];
    }
    let answered = |line: &&Arc<AccessLine>| matches!(line.error, None | Some(Code::GatewayHost));
    let last = applications().find(answered).map(|line| match line.status {
        400.. => as_target(line),
        _ => Target::root(line.host.clone()),
    });
    let builtin = status.local.demo.then(|| Target::root(BUILTIN_HOST));
    let mapped = status.local.mapped.iter().map(|map| Target::root(map.host.clone()));
    failed(None).into_iter().chain(last).chain(builtin).chain(mapped).collect()
}

/// Whether it can stand in a request line.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}

/// How far back a failed request is worth repeating: what fails now fails among the latest.
const RECENT: usize = 20;
