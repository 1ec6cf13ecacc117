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

pub use evidence::Fact;
pub use report::Report;
pub use view::{FindingView, StepId, StepState, StepView};

use crate::config::schema::Config;
use crate::status::{StatusView, Word};
use request::{Tested, Way};

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
    /// The hosts that a request may be sent to, the best first.
    pub hosts: Vec<String>,
}

/// Takes every step, and says what it comes to.
pub async fn diagnose(scene: &Scene, report: &Report) -> FindingView {
    let status = scene.status.as_ref();
    let local = status.map(|status| &status.local);
    let port = local::port(&scene.config, local, report).await;
    let loopback = local::loopback(local, report).await;
    let here = match port.or(loopback) {
        Some(finding) if finding.code == "SC-NOT-RUNNING" => Here::NotRunning(finding),
        Some(finding) => Here::Broken(finding),
        None => Here::Well,
    };
    let gateway = gateways(scene, report).await;
    let identity = status.and_then(|status| status.identity.as_ref());
    let identity = identity::look(status.is_some(), identity, report).await;
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

/// The gateway answers, so neither the way nor the identity is to blame.
const HOST_UNKNOWN: &str = "SC-HOST-UNKNOWN";

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

/// A request to the first host that we know of; `None` when we know of none.
async fn request_step(scene: &Scene, report: &Report) -> Option<Result<(), FindingView>> {
    let Some(way) = &scene.way else {
        report.skip(StepId::Request, Fact::NoProxy).await;
        return None;
    };
    let Some(host) = scene.hosts.first() else {
        report.skip(StepId::Request, Fact::NoHost).await;
        return None;
    };
    let step = report.begin(StepId::Request).await;
    match request::send(way, host).await {
        Ok(tested) => match trouble(&tested) {
            None => {
                let Tested { host, status, bytes, .. } = tested;
                step.ok([Fact::Answered { host, status, bytes }]).await;
                Some(Ok(()))
            }
            Some(finding) => {
                let asked = Fact::Asked { host: host.clone() };
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

/// What an answer says is wrong. Whatever comes from the host itself has gone the whole way.
fn trouble(tested: &Tested) -> Option<FindingView> {
    let Tested { host, status, code, text, .. } = tested;
    if let Some(code) = code {
        let table = seacat_proxy::error_table();
        let row = table.iter().find(|row| row.code == code);
        let (title, meaning, advice) =
            row.map_or(("", "", ""), |it| (it.title, it.meaning, it.advice));
        return Some(FindingView::new(code, title, meaning, advice).with("host", host));
    }
    // As seacat-gateway says it.
    let begins = |with: &str| text.starts_with(with);
    if *status == 404 && begins("this gateway has no host named") {
        let finding = FindingView::new(
            HOST_UNKNOWN,
            format!("the gateway knows no host \"{host}\""),
            "The way to the gateway is well; it does not know where to pass this request.",
            "check the host's name, or ask the gateway's administrator to add it",
        );
        return Some(finding.with("host", host));
    }
    if *status == 403 && begins("this host is for enrolled clients") {
        let finding = FindingView::new(
            "SC-NOT-ENROLLED",
            format!("the host \"{host}\" is for enrolled computers alone"),
            "The gateway does not know this computer.",
            "ask for a certificate with `seacat-proxy enroll`",
        );
        return Some(finding.with("host", host));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_says_is_wrong() {
        let answer = |status, code: Option<&str>, text: &str| Tested {
            host: "erp".into(),
            status,
            code: code.map(str::to_owned),
            ms: 1.0,
            bytes: 0,
            text: text.into(),
        };
        let code = |tested: Tested| trouble(&tested).map(|it| it.code);
        assert_eq!(code(answer(200, None, "")), None);
        assert_eq!(code(answer(500, None, "the host's own")), None);
        assert_eq!(code(answer(404, None, "no such page")), None);
        let unknown = "this gateway has no host named \"erp\"\n";
        assert_eq!(code(answer(404, None, unknown)).as_deref(), Some("SC-HOST-UNKNOWN"));
        let enrolled = "this host is for enrolled clients: no certificate\n";
        assert_eq!(code(answer(403, None, enrolled)).as_deref(), Some("SC-NOT-ENROLLED"));
        let own = answer(503, Some("SC-NOT-CONNECTED"), "");
        assert_eq!(code(own).as_deref(), Some("SC-NOT-CONNECTED"));
    }
}
