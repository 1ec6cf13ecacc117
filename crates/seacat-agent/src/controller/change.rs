//! A new configuration, read again or typed into a form, and putting it in effect while requests run.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use seacat_channel::NetworkConfig;
use seacat_gateway::Demo;
use seacat_proxy::ProxyConfig;
use serde_json::Value;

use super::Engine;
use super::start::{StartError, gateways};
use super::status::{local, names};
use crate::config::apply::{self, NetworkError};
use crate::config::load::load;
use crate::config::schema::{Channel as ChannelSettings, Config, Log};
use crate::config::settings::SETTINGS;
use crate::config::{Loaded, Problems, Sources, check, edit};
use crate::control::Answer;
use crate::login::Login;
use crate::settings::{self, Checked, Note, SettingsChange};
use crate::status::Local;

impl Engine {
    /// Reads the configuration again. What can change while requests run does; the rest is named.
    /// The outcome is in the status.
    pub(super) async fn reload(&mut self) -> Answer {
        let outcome = self.take_configuration().await;
        let error = outcome.as_ref().err().cloned();
        self.last_reload = Some((error, Instant::now()));
        match outcome {
            Ok(restart_for) => Answer::Reloaded { restart_for },
            Err(message) => {
                tracing::warn!("the previous configuration stays in effect: {message}");
                Answer::Error { message }
            }
        }
    }

    async fn take_configuration(&mut self) -> Result<Vec<String>, String> {
        let new = load(&self.sources).map_err(|problems| problems.to_string())?;
        self.adopt(new).await.map_err(|error| error.to_string())
    }

    /// Puts a configuration in effect, as far as that can be done while requests run; returns the
    /// settings that need a restart. On an error everything is as it was.
    async fn adopt(&mut self, loaded: Loaded) -> Result<Vec<String>, StartError> {
        self.is_managed = loaded.origin("gateway").is_locked();
        let new = loaded.config;
        let (proxy, network) = check::files(&new, &self.state_dir, &self.sources.environment)?;
        let is_demo = !self.is_managed && self.wants_demo;
        let demo = match (is_demo, &self.demo) {
            (true, None) => Some(Demo::start()?),
            _ => None,
        };
        self.turn_proxy(proxy, &new).await?;
        if let Some(log) = &self.log {
            log.set_level(new.log.level);
        }
        let restart_for = restart_for(&self.config, &new);
        let moved = self.demo.is_some() != is_demo;
        let identity_changed = self.config.identity != new.identity;
        let gateways_changed = self.config.gateways != new.gateways;
        // What needs a restart is still as it was; the next change is compared with that.
        let (channel, reverse, log) =
            (self.config.channel.clone(), self.config.reverse.clone(), self.config.log.clone());
        self.config = new;
        self.config.channel =
            ChannelSettings { dns_servers: self.config.channel.dns_servers.clone(), ..channel };
        self.config.reverse = reverse;
        let Log { level, failed_requests, .. } = self.config.log;
        self.config.log = Log { level, failed_requests, ..log };
        self.desk.history.keep_failures(failed_requests);
        if moved || gateways_changed && !is_demo {
            self.stop_switching();
        }
        if is_demo {
            self.demo = demo.or(self.demo.take());
            if moved {
                self.channel.set_network(NetworkConfig::default());
                self.channel.replace(gateways(&self.config, self.demo.as_ref()), None);
            }
        } else {
            self.channel.set_network(network);
            let identity = apply::identity(&self.config, &self.state_dir);
            if moved || identity_changed {
                self.channel.replace(gateways(&self.config, None), identity);
            } else if gateways_changed {
                self.channel.set_gateways(gateways(&self.config, None));
            }
        }
        if !is_demo {
            // It ends in the background, when what runs through it has.
            self.demo = None;
        }
        self.local.demo = is_demo;
        self.local.gateways = names(&self.config);
        self.publish_running();
        tracing::info!(?restart_for, "applied the configuration");
        Ok(restart_for)
    }

    /// Moves the listeners, if they are to be elsewhere. Requests under way finish.
    async fn turn_proxy(&mut self, proxy: ProxyConfig, new: &Config) -> Result<(), StartError> {
        if self.config.proxy == new.proxy && self.config.routes == new.routes {
            return Ok(());
        }
        let addresses = self.proxy_handle.reconfigure(proxy).await;
        let addresses = addresses.map_err(|error| StartError::from_bind(error, new))?;
        let Local { proxy, mapped, .. } = local(&addresses, new);
        (self.local.proxy, self.local.mapped) = (proxy, mapped);
        Ok(())
    }

    /// Tells the channel how gateways are found and reached, with the credentials as they are now.
    pub(super) fn set_network(&self) -> Result<(), NetworkError> {
        // The built-in gateway is on this machine.
        if self.demo.is_none() {
            let environment = &self.sources.environment;
            let network = apply::network(&self.config, &self.state_dir, environment)?;
            self.channel.set_network(network);
            self.publish_running();
        }
        Ok(())
    }

    pub(super) fn settings(&self) -> Answer {
        match load(&self.sources) {
            Ok(loaded) => {
                let login = self.login.as_ref().map(Login::is_on);
                let settings = settings::view(&loaded, &self.sources.file, login);
                Answer::Settings { settings: Box::new(settings) }
            }
            Err(problems) => Answer::Error { message: problems.to_string() },
        }
    }

    fn look_at(&self, change: &SettingsChange) -> Result<Checked, Problems> {
        // A file that is not right can still be repaired: the policy alone says what is locked.
        let policy = Sources { policy_dir: self.sources.policy_dir.clone(), ..Sources::default() };
        let loaded = load(&self.sources).or_else(|_| load(&policy))?;
        let mapped = self.local.mapped.iter().map(|map| map.listen);
        let ours: Vec<SocketAddr> = self.local.proxy.iter().copied().chain(mapped).collect();
        Ok(settings::check(&self.sources.file, &loaded, change, &ours))
    }

    pub(super) fn check(&self, change: &SettingsChange) -> Answer {
        match self.look_at(change) {
            Ok(Checked { problems, advice, authorities, .. }) => {
                Answer::Checked { problems, advice, authorities }
            }
            Err(problems) => Answer::Error { message: problems.to_string() },
        }
    }

    /// Writes a change and puts it in effect; or neither.
    pub(super) async fn save(&mut self, change: &SettingsChange) -> Answer {
        let checked = match self.look_at(change) {
            Ok(checked) => checked,
            Err(problems) => return Answer::Error { message: problems.to_string() },
        };
        let Checked { mut problems, advice, authorities, steps } = checked;
        if change.autostart.is_some() && self.login.is_none() {
            problems.push(Note::no_login());
        }
        if !problems.is_empty() {
            return Answer::Checked { problems, advice, authorities };
        }
        match self.write(change, steps).await {
            Ok(restart_for) => Answer::Saved { restart_for },
            Err(message) => {
                let problems = vec![Note::not_saved(message)];
                Answer::Checked { problems, advice, authorities }
            }
        }
    }

    async fn write(
        &mut self,
        change: &SettingsChange,
        steps: Vec<edit::Step>,
    ) -> Result<Vec<String>, String> {
        let file = self.sources.file.clone();
        let before = fs::read(&file).ok();
        if !steps.is_empty() {
            edit::apply(&file, steps).map_err(|error| error.to_string())?;
        }
        let wanted_demo = self.wants_demo;
        if change.values.get("gateway").and_then(Value::as_array).is_some_and(|it| !it.is_empty()) {
            // Whoever names a gateway wants it used.
            self.choose(false);
        }
        let adopted = match load(&self.sources) {
            Ok(loaded) => self.adopt(loaded).await.map_err(|error| error.to_string()),
            Err(problems) => Err(problems.to_string()),
        };
        if let (Some(login), Some(on), Ok(_)) = (&self.login, change.autostart, &adopted) {
            login.set(on)?;
        }
        if adopted.is_err() {
            self.wants_demo = wanted_demo;
            // A port was taken between the check and now, say: what is in the file is what runs.
            let restored = match before {
                Some(text) => edit::save(&file, &text),
                None => fs::remove_file(&file),
            };
            if let Err(error) = restored {
                tracing::warn!(%error, "cannot restore the previous configuration");
            }
        }
        adopted
    }
}

/// The settings in which `new` differs from what runs and which need a restart.
fn restart_for(running: &Config, new: &Config) -> Vec<String> {
    let at_once = |key: &str| {
        matches!(
            key,
            "log.level" | "log.failed_requests" | "channel.dns_servers" | "gateway" | "route"
        ) || ["upstream.", "proxy.", "identity.", "desktop."].iter().any(|it| key.starts_with(it))
    };
    let show = |config, get: fn(&Config) -> Option<toml_edit::Value>| {
        get(config).map(|value| value.to_string())
    };
    SETTINGS
        .iter()
        .filter(|s| !at_once(s.key) && show(running, s.get) != show(new, s.get))
        .map(|s| s.key.to_owned())
        .collect()
}
