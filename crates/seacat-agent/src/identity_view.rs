//! The identity in words: a plain value computed from what the channel says about it.

use std::fmt::Write as _;

use seacat_channel::identity::{CertificateInfo, FACTS, IdentityStatus, Phase, day};
use serde::{Deserialize, Serialize};

/// What a face shows of the identity, and what `identity show --json` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct IdentityView {
    /// The gateway, or the group of gateways, that it is towards.
    #[serde(default)]
    pub gateway: Option<String>,
    /// The state in one word.
    pub state: String,
    /// The state in a sentence for people, the Client Tag in it while it is needed.
    pub sentence: String,
    /// What a person can do about it, if anything.
    pub advice: Option<String>,
    /// What the administrator is told on the telephone.
    pub client_tag: Option<String>,
    /// The same in full.
    pub client_id: Option<String>,
    /// Whom the certificate is for.
    pub subject: Option<String>,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its number.
    pub serial: Option<String>,
    /// Its first day, `YYYY-MM-DD`.
    pub valid_from: Option<String>,
    /// Its last day, `YYYY-MM-DD`.
    pub valid_until: Option<String>,
    /// When the next one is asked for, `YYYY-MM-DD`.
    pub renewal: Option<String>,
    /// When the gateway last said that this certificate is ours, in seconds since 1970; none when it
    /// has not said so since this program started.
    #[serde(default)]
    pub confirmed: Option<i64>,
    /// Half of the time for renewing it is over: somebody should look.
    #[serde(default)]
    pub expiring: bool,
    /// Where the private key is: the name of a key store, or a file.
    pub key_place: Option<String>,
    /// Why it is not in the key store, or cannot be read.
    pub key_problem: Option<String>,
    /// What failed last on this computer.
    pub problem: Option<String>,
    /// What the gateway is told about this computer.
    pub characteristics: Vec<(String, String)>,
}

impl IdentityView {
    /// The view of the status of the identity at `gateway`; `now` is in seconds since 1970.
    #[must_use]
    pub fn new(gateway: &str, status: &IdentityStatus, now: i64) -> Self {
        let tag = status.client_id.map(|id| id.tag());
        let certificate = status.certificate.as_ref();
        let until = certificate.map(|it| day(it.not_after));
        let (state, sentence, advice) = words(
            status.phase,
            tag.as_deref().unwrap_or("[unknown]"),
            until.as_deref().unwrap_or("an unknown day"),
        );
        let sentence = match state {
            "enrolled" if status.confirmed.is_none() => {
                format!("{sentence}; not confirmed by the gateway yet")
            }
            _ => sentence,
        };
        Self {
            gateway: Some(gateway.to_owned()),
            state: state.to_owned(),
            sentence,
            advice: advice.map(str::to_owned),
            client_tag: tag,
            client_id: status.client_id.map(|id| id.to_string()),
            subject: certificate.map(|it| it.subject.clone()),
            issuer: certificate.map(|it| it.issuer.clone()),
            serial: certificate.map(|it| it.serial.clone()),
            valid_from: certificate.map(|it| day(it.not_before)),
            valid_until: until,
            renewal: certificate.map(|it| day(it.renew_at)),
            confirmed: status.confirmed,
            expiring: certificate.is_some_and(|it| is_expiring(it, now)),
            key_place: status.key_place.clone(),
            key_problem: status.key_problem.clone(),
            problem: status.problem.clone(),
            characteristics: status.facts.clone(),
        }
    }

    /// The identity for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = writeln!(out, "{name:<12} {value}");
            }
        };
        line("identity", Some(&self.sentence));
        line("at", self.gateway.as_deref());
        line("do", self.advice.as_deref());
        line("client tag", self.client_tag.as_deref());
        line("client id", self.client_id.as_deref());
        line("subject", self.subject.as_deref());
        line("issued by", self.issuer.as_deref());
        line("serial", self.serial.as_deref());
        line("valid from", self.valid_from.as_deref());
        line("valid until", self.valid_until.as_deref());
        line("renewal", self.renewal.as_deref());
        line(
            "confirmed",
            self.confirmed.map(|at| format!("by the gateway, {}", day(at))).as_deref(),
        );
        line("key in", self.key_place.as_deref());
        line("key", self.key_problem.as_deref());
        line("problem", self.problem.as_deref());
        for (key, value) in &self.characteristics {
            let meaning = FACTS.iter().find(|(it, _)| it == key).map_or("", |(_, text)| text);
            line("told", Some(&format!("{key} = {value} ({meaning})")));
        }
        out
    }
}

/// Renewal is tried from `renew_at` on. Half of the time that is left then is patience.
fn is_expiring(certificate: &CertificateInfo, now: i64) -> bool {
    let CertificateInfo { renew_at, not_after, .. } = *certificate;
    let late = not_after.saturating_sub(not_after.saturating_sub(renew_at) / 2);
    (late..not_after).contains(&now)
}

/// One word, one sentence, and what to do.
fn words(phase: Phase, tag: &str, until: &str) -> (&'static str, String, Option<&'static str>) {
    const APPROVE: &str = "tell the gateway's administrator the Client Tag";
    const ENROLL: &str = "ask for a certificate with `seacat-proxy enroll`";
    match phase {
        Phase::Opening => ("opening", "looking at the key store".into(), None),
        Phase::Locked => (
            "locked",
            "there is a key, and the key store does not hand it out; asked again every minute"
                .into(),
            Some("unlock the key store"),
        ),
        Phase::NoKey => ("no_key", "no key".into(), Some(ENROLL)),
        Phase::MakingKey => ("making_key", "making a key".into(), None),
        Phase::NotEnrolled => ("not_enrolled", "not enrolled".into(), Some(ENROLL)),
        Phase::Ready => ("ready", format!("ready to enrol as {tag}"), None),
        Phase::Sent => ("sent", format!("request sent as {tag}"), None),
        Phase::Waiting => ("waiting", format!("waiting for approval of {tag}"), Some(APPROVE)),
        Phase::Installing => ("installing", "storing the certificate".into(), None),
        Phase::Enrolled => ("enrolled", format!("enrolled until {until} as {tag}"), None),
        Phase::Renewing => ("renewing", format!("renewing; enrolled until {until} as {tag}"), None),
        Phase::Expired => ("expired", format!("expired on {until}; asking again as {tag}"), None),
        Phase::Forgotten => {
            ("forgotten", format!("the gateway knows nothing of {tag}; asking again"), None)
        }
        Phase::Revoked => (
            "revoked",
            format!(
                "the gateway has taken back the certificate of {tag}; another is asked for, which the \
                 administrator must approve"
            ),
            Some(APPROVE),
        ),
        Phase::Rejected => (
            "rejected",
            format!("the gateway's administrator rejected {tag}"),
            Some("clear it up with the administrator, then `seacat-proxy enroll`"),
        ),
        Phase::Resetting => ("resetting", "deleting key and certificate".into(), None),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PHASES: [Phase; 16] = [
        Phase::Opening,
        Phase::Locked,
        Phase::NoKey,
        Phase::MakingKey,
        Phase::NotEnrolled,
        Phase::Ready,
        Phase::Sent,
        Phase::Waiting,
        Phase::Installing,
        Phase::Enrolled,
        Phase::Renewing,
        Phase::Expired,
        Phase::Forgotten,
        Phase::Revoked,
        Phase::Rejected,
        Phase::Resetting,
    ];

    /// The words of all phases.
    pub(crate) fn every_word() -> Vec<&'static str> {
        PHASES.iter().map(|phase| words(*phase, "", "").0).collect()
    }

    #[test]
    fn a_certificate_expires_in_the_second_half_of_its_renewal() {
        let certificate = CertificateInfo {
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            not_before: 0,
            renew_at: 60,
            not_after: 90,
        };
        for (now, expiring) in [(0, false), (60, false), (74, false), (75, true), (89, true)] {
            assert_eq!(is_expiring(&certificate, now), expiring, "{now}");
        }
        assert!(!is_expiring(&certificate, 90), "it has expired, which has words of its own");
    }

    #[test]
    fn every_phase_in_words() {
        let mut seen = Vec::new();
        for phase in PHASES {
            let (word, sentence, advice) = words(phase, "[OY4PHTSP5YAU5AUK]", "2027-01-02");
            println!("{word:<12} {sentence} / {advice:?}");
            assert!(!seen.contains(&word) && !sentence.is_empty());
            seen.push(word);
        }
        let (_, waiting, advice) = words(Phase::Waiting, "[OY4PHTSP5YAU5AUK]", "");
        assert_eq!(waiting, "waiting for approval of [OY4PHTSP5YAU5AUK]");
        assert!(advice.is_some());
    }
}
