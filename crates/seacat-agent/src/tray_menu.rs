//! The menu and the icon of the tray as plain values: [`Menu::of`] is a pure function of the status.
//!
//! What paints them (a StatusNotifierItem on Linux) does not know what the items mean, and hands a
//! [`Click`] back.

use std::time::Duration;

use crate::client_settings::Client;
use crate::identity_view::IdentityView;
use crate::page::Page;
use crate::status::{StatusView, Word, seconds};

/// What the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// The icon.
    pub mark: Mark,
    /// The state in a few words: the first line of the menu, and the icon's tool tip.
    pub headline: String,
    /// The menu, from top to bottom.
    pub items: Vec<Item>,
}

/// The icon: a shape for each, so that nobody needs to tell colours apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Filled.
    Connected,
    /// An outline.
    Off,
    /// An outline with a moving dot.
    Connecting,
    /// An outline with a clock: it goes on by itself.
    Waiting,
    /// An outline with an exclamation mark: a person must do something.
    Attention,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Something to read.
    Fact(String),
    /// Something to click.
    Action(String, Click),
    /// One of several, and whether it is the one in use.
    Choice(String, bool, Click),
    /// More items behind a name.
    Submenu(&'static str, Vec<Item>),
    /// A line between groups.
    Line,
}

/// What a click means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Click {
    /// This text to the clipboard.
    Copy(String),
    /// Connect, and try at once if waiting.
    Connect,
    /// Disconnect, and stay disconnected.
    Disconnect,
    /// Prefer the gateway of this name, and connect to it.
    UseGateway(String),
    /// The window at this page.
    Open(Page),
    /// Finish what runs and end the program.
    Quit,
}

/// Longer headlines would make a menu as wide as the screen; the window has the whole text.
const HEADLINE: usize = 72;

impl Menu {
    /// The menu for `view`, which was made `age` ago.
    #[must_use]
    pub fn of(view: &StatusView, age: Duration) -> Self {
        let headline = short(headline(view));
        let mut items = vec![Item::Fact(headline.clone())];
        items.extend(next_attempt(view, age));
        items.extend(view.identity.as_ref().map(identity).unwrap_or_default());
        items.push(Item::Line);
        if let Some(proxy) = view.local.proxy.first() {
            let url = format!("http://{proxy}");
            items.push(Item::Action(format!("Copy proxy address ({url})"), Click::Copy(url)));
            let clients = Client::ALL
                .map(|it| Item::Action(it.label().to_owned(), Click::Copy(it.text(*proxy))));
            items.push(Item::Submenu("Copy settings for", clients.into()));
            items.push(Item::Line);
        }
        match view.state {
            Word::Off => items.push(action("Connect", Click::Connect)),
            Word::Stopped if has_no_gateway(view) => {}
            Word::Waiting | Word::Stopped => {
                items.push(action("Stop trying to connect", Click::Disconnect));
            }
            _ => items.push(action("Disconnect", Click::Disconnect)),
        }
        items.push(Item::Submenu("Gateway", gateway(view)));
        items.extend([
            Item::Line,
            action("Open SeaCat Proxy…", Click::Open(Page::Overview)),
            action("Recent requests…", Click::Open(Page::Requests)),
            action("Troubleshoot…", Click::Open(Page::Diagnostics)),
            Item::Line,
            action("Quit", Click::Quit),
        ]);
        Self { mark: mark(view), headline, items }
    }
}

fn action(label: &str, click: Click) -> Item {
    Item::Action(label.to_owned(), click)
}

fn mark(view: &StatusView) -> Mark {
    let identity = view.identity.as_ref().map_or(Standing::Quiet, standing);
    match (view.state, identity) {
        (Word::Stopped, Standing::Quiet) if has_no_gateway(view) => Mark::Off,
        _ if view.needs_attention() => Mark::Attention,
        (Word::Stopped, _)
        | (Word::Connecting | Word::Connected | Word::Waiting, Standing::Alarm) => Mark::Attention,
        (Word::Connected, Standing::Waiting) | (Word::Waiting, _) => Mark::Waiting,
        (Word::Connected, Standing::Quiet) => Mark::Connected,
        (Word::Connecting | Word::Draining, _) => Mark::Connecting,
        (Word::Off, _) => Mark::Off,
    }
}

fn headline(view: &StatusView) -> String {
    let gateway = view.gateway.as_deref().unwrap_or("the gateway");
    let why = view.failure.as_ref().map_or("", |failure| &failure.title);
    match view.state {
        Word::Connected => match view.rtt_ms {
            Some(rtt) => format!("Connected to {gateway}, {}", latency(rtt)),
            None => format!("Connected to {gateway}"),
        },
        Word::Waiting if no_network(view) => "No network".to_owned(),
        Word::Waiting => format!("Not connected: {why}"),
        Word::Off => "Disconnected".to_owned(),
        Word::Stopped if has_no_gateway(view) => "Choose a gateway".to_owned(),
        Word::Stopped => format!("Not connected: {why}"),
        Word::Connecting | Word::Draining => capitalised(&view.sentence),
    }
}

/// There is nothing to connect to until a person names a gateway.
pub(crate) fn has_no_gateway(view: &StatusView) -> bool {
    view.failure.as_ref().is_some_and(|failure| failure.code == "SC-NO-GATEWAY")
}

/// No way out of this computer, as far as it can tell.
fn no_network(view: &StatusView) -> bool {
    let code = view.failure.as_ref().map(|failure| failure.code.as_str());
    matches!(code, Some("SC-UNREACHABLE" | "SC-DNS"))
}

fn latency(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

fn next_attempt(view: &StatusView, age: Duration) -> Option<Item> {
    let rest = match (view.state, view.next_attempt_ms) {
        (Word::Waiting, Some(rest)) => Duration::from_millis(rest).saturating_sub(age),
        (Word::Stopped, _) if has_no_gateway(view) => {
            return Some(action("Choose a gateway…", Click::Open(Page::Gateway)));
        }
        (Word::Stopped, _) => return Some(action("Try again", Click::Connect)),
        _ => return None,
    };
    let label = match rest {
        Duration::ZERO => "Retry now".to_owned(),
        rest => format!("Retry now (next attempt in {})", seconds(rest)),
    };
    Some(Item::Action(label, Click::Connect))
}

/// How loud the identity is.
enum Standing {
    /// Nothing to say.
    Quiet,
    /// Somebody else must act.
    Waiting,
    /// A person at this computer must act.
    Alarm,
}

fn standing(identity: &IdentityView) -> Standing {
    match identity.state.as_str() {
        "rejected" | "locked" => Standing::Alarm,
        _ if identity.expiring => Standing::Alarm,
        "waiting" | "revoked" => Standing::Waiting,
        _ => Standing::Quiet,
    }
}

/// What a person should know of the identity, and can do about it.
fn identity(identity: &IdentityView) -> Vec<Item> {
    let tag = identity.client_tag.iter();
    let copy = || tag.map(|tag| action("Copy Client Tag", Click::Copy(tag.clone())));
    let open = |label| action(label, Click::Open(Page::Identity));
    let sentence = || Item::Fact(short(capitalised(&identity.sentence)));
    match identity.state.as_str() {
        "waiting" | "revoked" => std::iter::once(sentence()).chain(copy()).collect(),
        "rejected" => {
            std::iter::once(sentence()).chain(copy()).chain([open("Ask again…")]).collect()
        }
        "locked" => vec![sentence(), open("Identity…")],
        "no_key" | "not_enrolled" => vec![open("Ask for a certificate…")],
        _ if identity.expiring => {
            let until = identity.valid_until.as_deref().unwrap_or("an unknown day");
            let fact = format!("The certificate ends on {until} and could not be renewed yet");
            vec![Item::Fact(fact), open("Renew…")]
        }
        "expired" | "forgotten" => vec![sentence()],
        _ => Vec::new(),
    }
}

fn gateway(view: &StatusView) -> Vec<Item> {
    let mut items: Vec<Item> = if view.local.demo {
        vec![Item::Fact("Trial: the built-in gateway, on this computer".to_owned())]
    } else {
        view.local.gateways.iter().map(|name| gateway_line(name, view)).collect()
    };
    if items.is_empty() {
        items.push(Item::Fact("No gateway configured".to_owned()));
    }
    if let Some(tls) = &view.tls {
        items.push(Item::Fact(format!("{}, certificate by {}", tls.version, tls.issuer)));
    }
    items.push(Item::Line);
    items.push(action("Gateway settings…", Click::Open(Page::Gateway)));
    items
}

fn gateway_line(name: &str, view: &StatusView) -> Item {
    let here = view.gateway.as_deref() == Some(name);
    let label = match (view.state, view.address) {
        (Word::Connected, Some(address)) if here => format!("{name}: connected at {address}"),
        (Word::Connecting, _) if here => format!("{name}: connecting"),
        _ => name.to_owned(),
    };
    match view.local.gateways.len() {
        1 => Item::Fact(label),
        _ => Item::Choice(label, here, Click::UseGateway(name.to_owned())),
    }
}

pub(crate) fn capitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

fn short(text: String) -> String {
    match text.char_indices().nth(HEADLINE) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

#[cfg(test)]
#[path = "tray_menu_tests.rs"]
mod tests;
