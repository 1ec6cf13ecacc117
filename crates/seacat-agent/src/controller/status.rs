//! What the engine tells about itself: to whoever watches, and to those who look into it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use seacat_channel::{Channel, NetworkConfig};
use seacat_gateway::Demo;

use super::Engine;
use super::start::gateways;
use crate::config::schema::Config;
use crate::config::{Sources, apply};
use crate::control::{Running, today};
use crate::identity_view::IdentityView;
use crate::reference;
use crate::status::{Local, MappedView, ReloadView, StatusView, Word, view};

impl Engine {
    pub(super) fn view(&self) -> StatusView {
        let status = self.channel.status();
        let status = status.borrow();
        let mut view = view(&status, self.channel.health(), &self.local, Instant::now());
        let here = self.channel.identity_here().map(|(group, _)| group);
        for (group, identity) in self.channel.identities() {
            let at = group.to_string();
            let identity = IdentityView::new(&at, &identity.status().borrow(), today());
            match here.as_ref() == Some(&group) {
                true => view.identity = Some(identity),
                false => view.other_identities.push(identity),
            }
        }
        view.reverse = self.channel.reverse().into_iter().map(Into::into).collect();
        view.reload = self.last_reload.as_ref().map(|(error, at)| ReloadView {
            error: error.clone(),
            age_ms: u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        view.reference = reference::letters(&view);
        view
    }

    pub(super) fn publish(&self) {
        let view = self.view();
        let connected = matches!(view.state, Word::Connected | Word::Draining);
        let code = view.failure.as_ref().map(|failure| failure.code.as_str());
        self.desk.history.note_connection(connected, code.filter(|_| !connected));
        self.views.send_replace(Arc::new(view));
    }

    pub(super) fn publish_running(&self) {
        let (config, channel, demo) = (&self.config, &self.channel, self.demo.as_ref());
        let now = running(config, channel, demo, &self.state_dir, &self.sources);
        self.running.send_replace(Arc::new(now));
    }
}

/// What is told to those who look into it.
pub(super) fn running(
    config: &Config,
    channel: &Channel,
    demo: Option<&Demo>,
    state_dir: &Path,
    sources: &Sources,
) -> Running {
    let network = match demo {
        Some(_) => NetworkConfig::default(),
        // The channel has it, so it can be had; without the credentials a probe says what is wrong.
        None => apply::network(config, state_dir, &sources.environment).unwrap_or_default(),
    };
    Running {
        config: config.clone(),
        gateways: gateways(config, demo),
        network,
        environment: sources.environment.clone(),
        channel: channel.clone(),
    }
}

/// The ports, as they came to be.
pub(super) fn local(addresses: &[SocketAddr], config: &Config) -> Local {
    let mapped = config.proxy.map.iter();
    Local {
        proxy: addresses.iter().copied().filter(|it| !is_mapped(it, config)).collect(),
        mapped: mapped.map(|it| MappedView { listen: it.listen, host: it.host.clone() }).collect(),
        ..Local::default()
    }
}

/// What people call the configured gateways.
pub(super) fn names(config: &Config) -> Vec<String> {
    config.gateways.iter().map(|gateway| apply::gateway(gateway).name).collect()
}

pub(super) fn is_mapped(address: &SocketAddr, config: &Config) -> bool {
    config.proxy.map.iter().any(|map| map.listen == *address)
}
