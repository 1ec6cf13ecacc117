//! "Why doesn't it work?": the way of a request, step by step, with time, evidence and advice.
//!
//! ```text
//!   port ─► loopback ─► name ─► TCP (─► other ports) ─► proxy of the network ─► TLS ─► issuer ─►
//!   PING ─► clock ─► identity ─► a request
//!           local       way, trust                        identity      request
//! ```
//!
//! The steps are the same with a running proxy, which is asked over the control socket, and without
//! one. `gateway test` and the window's test of a gateway that is not saved yet take those of `way`.

mod answer;
mod evidence;
mod finding;
mod identity;
mod local;
mod report;
pub mod request;
mod trust;
mod view;
pub mod way;

use seacat_channel::{GatewayConfig, NetworkConfig};

pub(crate) use answer::trouble;
pub use evidence::Fact;
pub use report::Report;
pub use view::{FindingView, StepId, StepState, StepView};

use crate::config::schema::Config;
use crate::status::{StatusView, Word};
use answer::HOST_UNKNOWN;
use request::{Target, Tested, Way};

/// What is to be looked at.
pub struct Scene {
    /// The configuration.
    pub config: Config,
    /// The gateways in use.
    pub gateways: Vec<GatewayConfig>,
    /// How they are found and reached.
    pub network: NetworkConfig,
    /// The environment, which may name a proxy.
    pub environment: Vec<(String, String)>,
    /// How the running proxy is doing, if one runs.
    pub status: Option<StatusView>,
    /// How a request is sent through it.
    pub way: Option<Way>,
    /// What a request may ask for, the best first.
    pub targets: Vec<Target>,
}

/// Takes every step, and says what it comes to.
pub async fn diagnose(scene: &Scene, report: &Report) -> FindingView {
    let status = scene.status.as_ref();
    let local = status.map(|status| &status.local);
    let port = local::port(&scene.config, local, report).await;
    let loopback = local::loopback(local, scene.way.as_ref().map(|way| &way.own), report).await;
    let here = match port.or(loopback) {
        Some(finding) if finding.code == "SC-NOT-RUNNING" => Here::NotRunning(finding),
        Some(finding) => Here::Broken(finding),
        None => Here::Well,
    };
    let gateway = gateways(scene, report).await;
    let identity = status.and_then(|status| status.identity.as_ref());
    let identity = identity::look(status.is_some(), gateway.is_ok(), identity, report).await;
    let request = match status {
        // It would wait for the channel, and tell nothing new.
        Some(status) if gateway.is_err() && status.state != Word::Connected => {
            report.skip(StepId::Request, Fact::NotSent).await;
            None
        }
        _ => request_step(scene, report).await,
    };

    if let Here::Broken(finding) = here {
        return finding;
    }
    if let Some(finding) =
        status.filter(|status| status.state == Word::Off).map(|_| FindingView::off())
    {
        return finding;
    }
    if let Err(finding) = gateway {
        return finding;
    }
    if let Here::NotRunning(finding) = here {
        return finding;
    }
    match (request, identity) {
        // It works, whatever else there is to say.
        (Some(Ok(())), _) => FindingView::well("connected, and a request goes through"),
        (Some(Err(finding)), _) if finding.code == HOST_UNKNOWN => finding,
        (_, Some(finding)) => finding,
        (Some(Err(finding)), None) => not_connected(status).unwrap_or(finding),
        (None, None) => {
            not_connected(status).unwrap_or_else(|| FindingView::well("connected and well"))
        }
    }
}

/// How this computer's side stands.
enum Here {
    Well,
    NotRunning(FindingView),
    Broken(FindingView),
}

/// The first gateway that can be reached counts; when none can, the most preferred one's trouble.
async fn gateways(scene: &Scene, report: &Report) -> Result<(), FindingView> {
    if scene.gateways.is_empty() && scene.status.is_none() {
        report.skip(StepId::Dns, Fact::BuiltIn).await;
        return Ok(());
    }
    let in_use = scene.status.as_ref().and_then(|status| status.gateway.as_ref());
    let mut gateways: Vec<&GatewayConfig> = scene.gateways.iter().collect();
    gateways.sort_by_key(|it| (Some(&it.name) != in_use, it.priority, it.weight));
    let mut first = None;
    for gateway in gateways {
        match way::go(gateway, &scene.network, &scene.environment, report).await {
            Ok(()) => return Ok(()),
            Err(finding) => drop(first.get_or_insert(finding)),
        }
    }
    Err(first.unwrap_or_else(|| FindingView::of(&seacat_channel::Failure::NoGateway)))
}

/// What the proxy itself says when a probe gets through and it does not.
fn not_connected(status: Option<&StatusView>) -> Option<FindingView> {
    let status = status.filter(|status| matches!(status.state, Word::Waiting | Word::Stopped))?;
    let failure = status.failure.as_ref()?;
    let advice = status.advice.as_deref().unwrap_or_default();
    Some(FindingView::not_connected(&failure.code, &failure.message, advice))
}

/// The first request that we know of; `None` when we know of none.
async fn request_step(scene: &Scene, report: &Report) -> Option<Result<(), FindingView>> {
    let Some(way) = &scene.way else {
        report.skip(StepId::Request, Fact::NoProxy).await;
        return None;
    };
    let Some(target) = scene.targets.first() else {
        report.skip(StepId::Request, Fact::NoHost).await;
        return None;
    };
    let step = report.begin(StepId::Request).await;
    let identity = scene.status.as_ref().and_then(|status| status.identity.as_ref());
    match request::send(way, target).await {
        Ok(tested) => match trouble(&tested, identity) {
            None => {
                let Tested { host, status, bytes, .. } = tested;
                step.ok([Fact::Answered { host, status, bytes }]).await;
                Some(Ok(()))
            }
            Some(finding) => {
                let asked = Fact::Asked { host: target.to_string() };
                step.fail([asked, (&finding).into()], &finding).await;
                Some(Err(finding))
            }
        },
        Err(error) => {
            let finding = FindingView::local_silent(way.proxy, &error.to_string());
            step.fail([(&finding).into()], &finding).await;
            Some(Err(finding))
        }
    }
}
