//! Whether the identity is in the way.

use super::evidence::Fact;
use super::report::Report;
use super::view::{FindingView, StepId};
use crate::identity_view::IdentityView;

/// What is to be said about the identity; whether requests fail for it, only a request can tell.
pub(super) async fn look(
    running: bool,
    reached: bool,
    identity: Option<&IdentityView>,
    report: &Report,
) -> Option<FindingView> {
    let Some(identity) = identity else {
        let why = match running {
            true => Fact::NoIdentity,
            false => Fact::NotKnown,
        };
        report.skip(StepId::Identity, why).await;
        return None;
    };
    let step = report.begin(StepId::Identity).await;
    let finding = finding(identity);
    let said = [Fact::from(identity)];
    match &finding {
        None => step.ok(said).await,
        // Its next move needs the gateway, which a step before this one did not reach.
        Some(_) if !reached && needs_gateway(&identity.state) => {
            step.skip(said).await;
            return None;
        }
        Some(finding) if is_final(&identity.state) => step.fail(said, finding).await,
        Some(finding) => step.warn(said, finding).await,
    }
    finding
}

/// It goes on as soon as there is a connection.
fn needs_gateway(state: &str) -> bool {
    matches!(state, "ready" | "sent" | "expired" | "forgotten")
}

/// Nothing goes on automatically.
fn is_final(state: &str) -> bool {
    matches!(state, "rejected" | "revoked" | "locked" | "no_key" | "not_enrolled")
}

fn finding(identity: &IdentityView) -> Option<FindingView> {
    let (code, meaning) = match identity.state.as_str() {
        "enrolled" | "renewing" => return None,
        "waiting" => (
            "SC-WAITING-FOR-APPROVAL",
            "The gateway has this computer's request; its administrator has not approved it yet.",
        ),
        "rejected" => ("SC-REJECTED", "The gateway's administrator does not want this computer."),
        "revoked" => {
            ("SC-REVOKED", "The gateway does not accept this computer's certificate any more.")
        }
        "locked" => ("SC-KEY-LOCKED", "Without the key this computer cannot show who it is."),
        "no_key" | "not_enrolled" => (
            "SC-NOT-ENROLLED",
            "The gateway does not know this computer, and nobody has asked it to.",
        ),
        "expired" => ("SC-IDENTITY-EXPIRED", "The certificate was not renewed in time."),
        "forgotten" => {
            ("SC-FORGOTTEN", "The gateway has lost its list of clients, or another one answers.")
        }
        // Making a key, asking, storing: on its way.
        _ => ("SC-ENROLLING", "The request for a certificate is on its way."),
    };
    let advice = identity.advice.clone().unwrap_or_else(|| "wait a moment".to_owned());
    let finding = FindingView::new(code, &identity.sentence, meaning, advice);
    let tag = identity.client_tag.as_deref();
    Some(tag.map_or(finding.clone(), |tag| finding.with("tag", tag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_well_or_has_a_code() {
        for word in crate::identity_view::tests::every_word() {
            let identity = IdentityView { state: word.to_owned(), ..IdentityView::default() };
            match finding(&identity) {
                None => assert!(matches!(word, "enrolled" | "renewing"), "{word}"),
                Some(finding) => {
                    println!("{word:<12} {}", finding.code);
                    assert!(finding.code.starts_with("SC-") && !finding.advice.is_empty());
                }
            }
        }
    }
}
