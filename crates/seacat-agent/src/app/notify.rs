//! Notifications, by org.freedesktop.Notifications on the session bus.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::export::ordered_stream::OrderedStreamExt as _;
use zbus::names::MemberName;
use zbus::zvariant::Value;
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::notices::Notice;

const SERVICE: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

/// For how long a click on a notification is waited for. Most are gone after ten seconds, but stay
/// in a list.
const CLICKABLE: Duration = Duration::from_secs(10 * 60);

/// What the button that is the notification itself is called on the wire.
const DEFAULT: &str = "default";

/// The server chooses how long it is shown.
const EXPIRES: i32 = -1;

/// A notification that is shown.
pub struct Shown {
    id: u32,
    signals: MessageStream,
}

/// Shows a notification.
///
/// # Errors
/// When there is no session bus, or nobody on it who shows notifications.
pub async fn show(notice: &Notice) -> zbus::Result<Shown> {
    let bus = Connection::session().await?;
    let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).path(PATH)?;
    let rule = rule.interface(SERVICE)?.build();
    // Before the notification is there, so that no click is missed.
    let signals = MessageStream::for_match_rule(rule, &bus, None).await?;
    let hints = HashMap::from([("desktop-entry", Value::from("seacat-proxy"))]);
    let actions = [DEFAULT, "Open"];
    let body = plain(&notice.body);
    let arguments =
        ("SeaCat Proxy", 0u32, "seacat-proxy", notice.title, body, &actions[..], hints, EXPIRES);
    let reply = bus.call_method(Some(SERVICE), PATH, Some(SERVICE), "Notify", &arguments).await?;
    Ok(Shown { id: reply.body().deserialize()?, signals })
}

impl Shown {
    /// Waits until it is gone; `true` when it was clicked.
    pub async fn clicked(mut self) -> bool {
        let clicked = async {
            while let Some(signal) = self.signals.next().await {
                if let Some(clicked) = self.is_clicked(&signal?)? {
                    return Ok(clicked);
                }
            }
            Ok::<_, zbus::Error>(false)
        };
        matches!(timeout(CLICKABLE, clicked).await, Ok(Ok(true)))
    }

    /// What a signal says about ours; `None` when it is about another one.
    fn is_clicked(&self, signal: &Message) -> zbus::Result<Option<bool>> {
        let body = signal.body();
        let (id, clicked) = match signal.header().member().map(MemberName::as_str) {
            Some("ActionInvoked") => {
                let (id, action): (u32, String) = body.deserialize()?;
                (id, action == DEFAULT)
            }
            Some("NotificationClosed") => {
                let (id, _): (u32, u32) = body.deserialize()?;
                (id, false)
            }
            _ => return Ok(None),
        };
        Ok((id == self.id).then_some(clicked))
    }
}

/// Some servers read markup and some do not, and the text may quote a stranger's certificate: so it
/// holds nothing that could be markup.
fn plain(text: &str) -> String {
    text.replace('<', "‹").replace('>', "›").replace('&', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_looks_like_markup() {
        assert_eq!(plain("CN=<b>A & B</b>"), "CN=‹b›A + B‹/b›");
    }
}
