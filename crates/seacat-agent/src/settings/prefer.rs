//! Which of several gateways is tried first.

use serde_json::Value as Json;

use crate::config::load::find;
use crate::config::schema::Config;

/// The gateways of a configuration as forms and the file have them.
#[must_use]
pub fn gateways_of(config: &Config) -> Vec<Json> {
    let list = find("gateway").map_or(Json::Null, |setting| setting.json(config));
    list.as_array().cloned().unwrap_or_default()
}

/// What people call a gateway.
#[must_use]
pub fn called(gateway: &Json) -> &str {
    let text = |name: &str| gateway[name].as_str().filter(|text| !text.is_empty());
    let discovered = || gateway["discover"]["app_id"].as_str();
    text("name").or_else(|| text("host")).or_else(discovered).unwrap_or_default()
}

/// Gives the gateway called `name` the first place: priority 0, and none of the others has that one.
/// Whether there is such a gateway.
#[must_use]
pub fn prefer(gateways: &mut [Json], name: &str) -> bool {
    let Some(chosen) = gateways.iter().position(|it| called(it) == name) else {
        return false;
    };
    for (nth, gateway) in gateways.iter_mut().enumerate() {
        let priority = gateway["priority"].as_u64().unwrap_or_default();
        gateway["priority"] = if nth == chosen { 0 } else { priority.max(1) }.into();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_chosen_one_comes_first_and_the_order_of_the_others_stays() {
        let mut list = vec![
            json!({ "host": "a", "priority": 0 }),
            json!({ "host": "b", "name": "backup", "priority": 5 }),
            json!({ "discover": { "app_id": "c" }, "priority": 3 }),
        ];
        assert!(!prefer(&mut list, "b"), "it is called by its name");
        let priorities = |list: &[Json]| -> Vec<u64> {
            list.iter().map(|it| it["priority"].as_u64().unwrap()).collect()
        };
        assert!(prefer(&mut list, "backup"));
        assert_eq!(priorities(&list), [1, 0, 3]);
        assert!(prefer(&mut list, "c"));
        assert_eq!(priorities(&list), [1, 1, 0]);
        assert!(prefer(&mut list, "a"));
        assert_eq!(priorities(&list), [0, 1, 1]);
    }
}
