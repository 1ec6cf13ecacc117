//! What a diagnosis says, step by step and at its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::Fact;

/// A step, when it begins and when it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StepView {
    /// Which one.
    pub id: StepId,
    /// How it stands.
    pub state: StepState,
    /// How long it took, in milliseconds; null while it runs, or when there was nothing to wait for.
    pub ms: Option<f64>,
    /// What was seen, a line for each fact.
    pub evidence: String,
    /// The same fact by fact, to be told in another language.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// What a person can do, when something is wrong.
    pub advice: Option<String>,
    /// The stable code of what is wrong, `SC-…`.
    pub code: Option<String>,
}

/// A step of the way, in the order they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StepId {
    /// The local port is ours.
    Port,
    /// The proxy answers on it.
    Loopback,
    /// The name leads to an address.
    Dns,
    /// The address takes a connection.
    Tcp,
    /// Whether another port would.
    OtherPorts,
    /// The proxy of this network lets us through.
    Upstream,
    /// The gateway speaks TLS.
    Tls,
    /// Its certificate is one that we believe.
    Issuer,
    /// It answers a PING.
    Seacat,
    /// This computer's clock.
    Clock,
    /// The certificate of this computer.
    Identity,
    /// A request goes through and comes back.
    Request,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It has begun.
    Running,
    /// All is well.
    Ok,
    /// It works, and deserves a word.
    Warning,
    /// It does not work.
    Failed,
    /// It was not taken; the evidence says why.
    Skipped,
}

/// What a diagnosis comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FindingView {
    /// The stable code, `SC-…`; `SC-OK` when all is well.
    pub code: String,
    /// Whether all is well.
    pub ok: bool,
    /// What happened, in a sentence.
    pub message: String,
    /// What it means.
    pub meaning: String,
    /// What to do; empty when there is nothing to do.
    pub advice: String,
    /// The values in these texts: `host`, `address`, `port`, `issuer`, `proxy`, `owner`, `tag`….
    #[cfg_attr(test, ts(type = "{ [key: string]: string }"))]
    pub params: BTreeMap<String, String>,
}

impl StepView {
    /// A step without evidence yet.
    pub(super) fn new(id: StepId, state: StepState) -> Self {
        let (evidence, facts) = (String::new(), Vec::new());
        Self { id, state, ms: None, evidence, facts, advice: None, code: None }
    }
}

impl StepId {
    /// What it is called on a terminal.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Loopback => "proxy",
            Self::Dns => "name",
            Self::Tcp => "TCP",
            Self::OtherPorts => "ports",
            Self::Upstream => "CONNECT",
            Self::Tls => "TLS",
            Self::Issuer => "issuer",
            Self::Seacat => "SeaCat",
            Self::Clock => "clock",
            Self::Identity => "identity",
            Self::Request => "request",
        }
    }
}

impl StepView {
    /// The step for a terminal, one line for each line of evidence.
    #[must_use]
    pub fn text(&self) -> String {
        let word = match self.state {
            StepState::Running => return String::new(),
            StepState::Ok => "",
            StepState::Warning => "BUT ",
            StepState::Failed => "FAILED: ",
            StepState::Skipped => "- ",
        };
        let code = self.code.as_deref().map_or(String::new(), |code| format!(" ({code})"));
        let mut name = self.id.title();
        let mut time = self.ms.map_or(String::new(), |ms| format!("{ms:.1} ms"));
        let mut out = String::new();
        let mut said = format!("{word}{}{code}", self.evidence);
        if let Some(advice) = &self.advice {
            said = format!("{said}\n-> {advice}");
        }
        for line in said.lines() {
            out += &format!("  {name:<8} {time:>10}  {line}\n");
            (name, time) = ("", String::new());
        }
        out
    }
}

impl FindingView {
    /// What it comes to, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = [&self.message, &self.meaning, &self.advice];
        let mut text = format!("{}\n", self.code);
        for line in lines.into_iter().filter(|line| !line.is_empty()) {
            text += &format!("  {line}\n");
        }
        text
    }
}
