//! The steps on this computer: whose the port is, and whether the proxy answers on it.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use seacat_proxy::is_port_taken;
use tokio::time::timeout;

use super::evidence::Fact;
use super::report::Report;
use super::request::{self, OwnRequests};
use super::view::{FindingView, StepId};
use crate::config::schema::Config;
use crate::port_owner;
use crate::status::Local;

/// The proxy is on this computer and has nothing to wait for.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Whether the port is ours; `running` when a proxy runs.
pub(super) async fn port(
    config: &Config,
    running: Option<&Local>,
    report: &Report,
) -> Option<FindingView> {
    let step = report.begin(StepId::Port).await;
    if let Some(local) = running {
        let addresses: Vec<String> = local.proxy.iter().map(SocketAddr::to_string).collect();
        step.ok([Fact::Listens { pid: local.pid, addresses: addresses.join(", ") }]).await;
        return None;
    }
    let (port, listen) = (config.proxy.port, &config.proxy.listen);
    if port != 0 && listen.iter().any(|ip| is_taken(*ip, port)) {
        let owner = port_owner::find(port);
        let free = port_owner::free_port(listen, port);
        let finding = FindingView::port_taken(port, owner.as_ref(), free);
        step.fail([(&finding).into()], &finding).await;
        return Some(finding);
    }
    let finding = FindingView::not_running();
    let said = match port {
        0 => Fact::AnyPort,
        port => Fact::NobodyListens { port },
    };
    step.warn([said, (&finding).into()], &finding).await;
    Some(finding)
}

fn is_taken(ip: IpAddr, port: u16) -> bool {
    let bound = TcpListener::bind((ip, port));
    bound.is_err_and(|error| is_port_taken(&error))
}

/// Whether the proxy answers there.
pub(super) async fn loopback(
    running: Option<&Local>,
    own: Option<&OwnRequests>,
    report: &Report,
) -> Option<FindingView> {
    let Some(address) = running.and_then(|local| local.proxy.first()) else {
        report.skip(StepId::Loopback, Fact::NoProxy).await;
        return None;
    };
    let step = report.begin(StepId::Loopback).await;
    let why = match timeout(ANSWER_LIMIT, request::page(*address, own)).await {
        Ok(Ok(200)) => {
            step.ok([Fact::Answers { address: *address }]).await;
            return None;
        }
        Ok(Ok(status)) => format!("its page is answered {status}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing comes within {} s", ANSWER_LIMIT.as_secs()),
    };
    let finding = FindingView::local_silent(*address, &why);
    step.fail([(&finding).into()], &finding).await;
    Some(finding)
}
