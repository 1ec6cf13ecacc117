//! The identities of one channel: one for each group of gateways, each with a folder, a key and a
//! task of its own.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use super::group::Group;
use super::store::{self, Store, Vault};
use super::{Identity, IdentityConfig, IdentityLink};
use crate::config::GatewayConfig;

/// See the module.
pub(crate) struct Identities {
    config: Option<IdentityConfig>,
    /// Those of the preferred gateways first.
    members: Vec<(Group, Identity)>,
    /// Those that are over, or soon will be: what takes their place must not use their files before.
    retired: Vec<(Group, Identity)>,
    changed: Arc<Notify>,
}

/// What changes for the channel's driver.
#[derive(Default)]
pub(crate) struct IdentityUpdate {
    /// These stay; those that are not named here end when the driver drops their links.
    pub(crate) keep: Vec<Group>,
    pub(crate) new: Vec<(Group, IdentityLink)>,
}

impl Identities {
    /// Starts an identity for each group of `gateways`. `changed` is notified when what one of them
    /// presents has changed.
    pub(crate) fn start(
        config: Option<IdentityConfig>,
        gateways: &[GatewayConfig],
        changed: Arc<Notify>,
    ) -> (Self, IdentityUpdate) {
        let mut it = Self { config: None, members: Vec::new(), retired: Vec::new(), changed };
        let update = it.replace(config, gateways);
        (it, update)
    }

    /// Ends all of them and starts others.
    pub(crate) fn replace(
        &mut self,
        config: Option<IdentityConfig>,
        gateways: &[GatewayConfig],
    ) -> IdentityUpdate {
        self.retired.append(&mut self.members);
        self.config = config;
        self.follow(gateways)
    }

    /// Starts those of new groups and ends those of groups that are gone. Their files stay.
    pub(crate) fn follow(&mut self, gateways: &[GatewayConfig]) -> IdentityUpdate {
        self.retired.retain(|(_, identity)| !identity.is_over());
        let mut update = IdentityUpdate::default();
        let Some(config) = self.config.clone() else {
            return update;
        };
        let vault =
            config.keyring.then(|| Arc::new(store::keyring::Keyring::default()) as Arc<dyn Vault>);
        let groups = Group::all(gateways);
        let former = std::mem::take(&mut self.members);
        let (staying, gone) = former.into_iter().partition(|(it, _)| groups.contains(it));
        self.retired.extend::<Vec<_>>(gone);
        let mut staying: Vec<(Group, Identity)> = staying;
        for (nth, group) in groups.into_iter().enumerate() {
            if let Some(at) = staying.iter().position(|(it, _)| *it == group) {
                update.keep.push(group);
                self.members.push(staying.swap_remove(at));
                continue;
            }
            let former = self.retired.iter().position(|(it, _)| *it == group);
            let former = former.map(|at| self.retired.swap_remove(at).1);
            let folder = config.folder.join(group.folder_name());
            // What was there before there were groups belongs to the preferred one.
            let legacy: Option<PathBuf> = config.legacy.clone().filter(|_| nth == 0);
            let store = Store::new(folder, vault.clone()).adopting(legacy);
            let discovery = gateways
                .iter()
                .filter(|it| Group::of(it) == group)
                .find_map(|it| it.discover.as_ref());
            let config = match discovery {
                Some(discovery) => config.clone().of_application(discovery),
                None => config.clone(),
            };
            let setup = Setup { former, preferred: nth == 0, changed: Arc::clone(&self.changed) };
            let (identity, link) = Identity::start_on(config, store, setup);
            update.new.push((group.clone(), link));
            self.members.push((group, identity));
        }
        update
    }

    /// The identity at the gateways of this group, or at the preferred gateway.
    pub(crate) fn at(&self, group: Option<&Group>) -> Option<(Group, Identity)> {
        let of = |wanted: &Group| self.members.iter().find(|(it, _)| it == wanted);
        group.and_then(of).or_else(|| self.members.first()).cloned()
    }

    /// All of them, those of the preferred gateways first.
    pub(crate) fn all(&self) -> Vec<(Group, Identity)> {
        self.members.clone()
    }
}

/// How an identity starts.
#[derive(Default)]
pub(crate) struct Setup {
    /// It must have ended before: two must not work on the same files.
    pub(crate) former: Option<Identity>,
    /// It is that of the preferred gateway. Others make no key before their gateway is reached.
    pub(crate) preferred: bool,
    pub(crate) changed: Arc<Notify>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Discovery;

    /// As the reference client names its application (golden/identity.json).
    #[test]
    fn what_a_gateway_is_discovered_by_is_what_it_is_told() {
        let discovery = Discovery {
            app_id: "com.example.test".into(),
            platform: "py3".into(),
            suffix: Some("tst1".into()),
            ..Discovery::default()
        };
        let keys = |keys: &[&str]| keys.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let config = IdentityConfig {
            facts: vec![("oss".into(), "Linux".into())],
            application_facts: keys(&["apI", "apP", "apS"]),
            ..IdentityConfig::new("x".into())
        };
        let told = config.clone().of_application(&discovery);
        let label = "fcb8e55c185661e4fbc087688c1bb717py3-tst1";
        assert_eq!(told.subject.application.as_deref(), Some(label));
        let facts: Vec<_> = told.facts.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected =
            [("apI", "com.example.test"), ("apP", "py3"), ("apS", "-tst1"), ("oss", "Linux")];
        assert_eq!(facts, expected);
        // What the user has trimmed is not told, and a label that is set counts.
        let mut trimmed = IdentityConfig { application_facts: keys(&["apP"]), ..config };
        trimmed.subject.application = Some("mine".into());
        let told = trimmed.of_application(&discovery);
        assert_eq!(told.subject.application.as_deref(), Some("mine"));
        assert_eq!(told.facts.len(), 2);
    }
}
