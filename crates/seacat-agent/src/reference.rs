//! The state string of the reference client: six letters, as its support people know them (wire
//! specification, section 6). `status --reference` prints them, `status --json` has them too.
//!
//! ```text
//!   E**YNY
//!   │││││└ request: n none, Y made
//!   ││││└─ identity: A anonymous, N certified
//!   │││└── key: s locked, n none, r being made, Y ready
//!   ││└─── discovery: * at rest
//!   │└──── certificate: * none under way, ! start, C waits for a person, S to be sent, s sent,
//!   │                   I to be approved, Q to be fetched
//!   └───── connection: D idle, C connecting, E established, c closing, r error and again,
//!                      n no network, f fatal
//! ```
//!
//! Where our states are coarser than the reference's, the letter is the first of those that they
//! stand for: `C` is any part of connecting, to the first answered PING.

use crate::identity_view::IdentityView;
use crate::status::{StatusView, Word};

/// The six letters.
#[must_use]
pub fn letters(view: &StatusView) -> String {
    let identity = view.identity.as_ref();
    let [certificate, key, certified, request] = identity.map_or(['*', 'n', 'A', 'n'], of_identity);
    [connection(view), certificate, '*', key, certified, request].iter().collect()
}

fn connection(view: &StatusView) -> char {
    let code = view.failure.as_ref().map(|failure| failure.code.as_str());
    match view.state {
        Word::Off => 'D',
        Word::Connecting => 'C',
        Word::Connected => 'E',
        Word::Draining => 'c',
        // The two that the reference tells from other errors: the system has no way there.
        Word::Waiting if matches!(code, Some("SC-UNREACHABLE" | "SC-DNS")) => 'n',
        Word::Waiting => 'r',
        Word::Stopped => 'f',
    }
}

/// Certificate procedure, key, identity, request.
fn of_identity(identity: &IdentityView) -> [char; 4] {
    match identity.state.as_str() {
        "locked" | "opening" => ['*', 's', 'A', 'n'],
        "making_key" => ['!', 'r', 'A', 'n'],
        "not_enrolled" => ['C', 'Y', 'A', 'n'],
        "ready" => ['S', 'Y', 'A', 'Y'],
        "sent" => ['s', 'Y', 'A', 'Y'],
        "waiting" => ['I', 'Y', 'A', 'Y'],
        "installing" => ['Q', 'Y', 'A', 'Y'],
        "enrolled" => ['*', 'Y', 'N', 'n'],
        "renewing" => ['S', 'Y', 'N', 'Y'],
        // The certificate is of no use any more, and another is about to be asked for.
        "expired" | "forgotten" | "revoked" => ['!', 'Y', 'A', 'n'],
        "rejected" => ['*', 'Y', 'A', 'Y'],
        _ => ['*', 'n', 'A', 'n'],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::FailureView;

    fn view(state: Word, code: Option<&str>, identity: Option<&str>) -> StatusView {
        let failure =
            code.map(|code| FailureView { code: code.to_owned(), ..FailureView::default() });
        let identity = identity
            .map(|state| IdentityView { state: state.to_owned(), ..IdentityView::default() });
        StatusView { state, failure, identity, ..StatusView::default() }
    }

    #[test]
    fn every_state_of_the_connection() {
        let table = [
            (Word::Off, None, "D**nAn"),
            (Word::Connecting, None, "C**nAn"),
            (Word::Connected, None, "E**nAn"),
            (Word::Draining, None, "c**nAn"),
            (Word::Waiting, Some("SC-UNREACHABLE"), "n**nAn"),
            (Word::Waiting, Some("SC-DNS"), "n**nAn"),
            (Word::Waiting, Some("SC-TCP-REFUSED"), "r**nAn"),
            (Word::Stopped, Some("SC-CERT-CA"), "f**nAn"),
        ];
        for (state, code, expected) in table {
            assert_eq!(letters(&view(state, code, None)), expected, "{state:?} {code:?}");
        }
    }

    #[test]
    fn every_state_of_the_identity() {
        let table = [
            ("opening", "E**sAn"),
            ("locked", "E**sAn"),
            ("no_key", "E**nAn"),
            ("making_key", "E!*rAn"),
            ("not_enrolled", "EC*YAn"),
            ("ready", "ES*YAY"),
            ("sent", "Es*YAY"),
            ("waiting", "EI*YAY"),
            ("installing", "EQ*YAY"),
            ("enrolled", "E**YNn"),
            ("renewing", "ES*YNY"),
            ("expired", "E!*YAn"),
            ("forgotten", "E!*YAn"),
            ("revoked", "E!*YAn"),
            ("rejected", "E**YAY"),
            ("resetting", "E**nAn"),
        ];
        for (state, expected) in table {
            assert_eq!(letters(&view(Word::Connected, None, Some(state))), expected, "{state}");
        }
        // No state is forgotten here: what the view can say is in the table.
        let known: Vec<&str> = table.iter().map(|(state, _)| *state).collect();
        assert_eq!(crate::identity_view::tests::every_word(), known);
    }
}
