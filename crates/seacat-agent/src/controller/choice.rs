//! Choosing one of the configured gateways: it is preferred from now on, and connected to at once.

use std::time::Duration;

use seacat_channel::{GatewayConfig, State};
use serde_json::Value;
use tokio::time::timeout;

use super::Engine;
use super::start::gateways;
use crate::control::Answer;
use crate::settings::{SettingsChange, gateways_of, prefer};

/// Longer than a gateway takes to be dialled and to answer; then the others may be tried again.
const DECIDED: Duration = Duration::from_secs(45);

impl Engine {
    /// Writes the preference to the file, and moves there. Running requests finish where they are.
    pub(super) async fn use_gateway(&mut self, name: &str) -> Answer {
        let mut list = gateways_of(&self.config);
        if !prefer(&mut list, name) {
            return Answer::Error { message: format!("no gateway is called \"{name}\"") };
        }
        let values = [("gateway".to_owned(), Value::Array(list))].into();
        let saved = self.save(&SettingsChange { values, autostart: None }).await;
        if let Answer::Saved { .. } = saved {
            self.switch_to(name);
            return Answer::Done;
        }
        match saved {
            Answer::Checked { problems, .. } => {
                let message = problems.into_iter().next().map(|note| note.message);
                Answer::Error { message: message.unwrap_or_default() }
            }
            other => other,
        }
    }

    /// The channel lets go of a gateway that is not in its list, and requests there may finish. So
    /// the list is the chosen one alone until that one has answered or failed.
    fn switch_to(&mut self, name: &str) {
        let all = gateways(&self.config, None);
        let chosen: Vec<GatewayConfig> = all.iter().filter(|it| it.name == name).cloned().collect();
        self.channel.set_gateways(chosen);
        self.channel.connect();
        let channel = self.channel.clone();
        let name = name.to_owned();
        self.stop_switching();
        self.switching = Some(tokio::spawn(async move {
            let mut status = channel.status();
            let decided = status.wait_for(|status| match &status.state {
                State::Connected { gateway, .. } => *gateway == name,
                State::Waiting { .. } | State::Stopped { .. } | State::Off => true,
                _ => false,
            });
            let _ = timeout(DECIDED, decided).await;
            channel.set_gateways(all);
        }));
    }

    /// Another list of gateways is in effect: the one that was to come back is out of date.
    pub(super) fn stop_switching(&mut self) {
        if let Some(task) = self.switching.take() {
            task.abort();
        }
    }
}
