//! What an answer says: that the way works, or what is wrong and where.

use super::finding::not_enrolled;
use super::request::Tested;
use super::view::FindingView;
use crate::identity_view::IdentityView;

/// The gateway answers, so neither the way nor the identity is to blame.
pub(super) const HOST_UNKNOWN: &str = "SC-HOST-UNKNOWN";

/// The gateway wants a certificate that it accepts.
const NOT_ENROLLED: &str = "SC-NOT-ENROLLED";

/// The host's server behind the gateway is not there.
const BACKEND_UNREACHABLE: &str = "SC-BACKEND-UNREACHABLE";

/// A server that asks for a sign-in was reached (RFC 9110, section 15.5.2).
const UNAUTHORIZED: u16 = 401;

/// What is wrong with an answer, or `None` when the request went through.
pub(crate) fn trouble(tested: &Tested, identity: Option<&IdentityView>) -> Option<FindingView> {
    let Tested { host, status, code, text, .. } = tested;
    let code = code.as_deref().or_else(|| made_by_gateway(*status, text));
    let finding = match code.map(finding_of) {
        Some(HOST_UNKNOWN) => FindingView::new(
            HOST_UNKNOWN,
            format!("the gateway knows no host \"{host}\""),
            "The connection to the gateway works; the gateway does not know where to send this request.",
            "check the host's name, or ask the gateway's administrator to add it",
        ),
        Some(NOT_ENROLLED) => not_enrolled(host, identity),
        Some(code) => match seacat_proxy::error_table().iter().find(|row| row.code == code) {
            Some(row) => FindingView::new(code, row.title, row.meaning, row.advice),
            None => by_host(host, *status)?,
        },
        None => by_host(host, *status)?,
    };
    Some(finding.with("host", host))
}

/// The finding that a gateway's own code stands for (docs/gateway.md); other codes stay as they are.
fn finding_of(code: &str) -> &str {
    match code {
        "SC-GW-HOST" => HOST_UNKNOWN,
        "SC-GW-IDENTITY" => NOT_ENROLLED,
        "SC-GW-UNREACHABLE" => BACKEND_UNREACHABLE,
        other => other,
    }
}

/// Which of its errors a gateway without Proxy-Status describes in its text.
fn made_by_gateway(status: u16, text: &str) -> Option<&'static str> {
    match status {
        404 if text.starts_with("this gateway has no host named") => Some(HOST_UNKNOWN),
        403 if text.starts_with("this host is for enrolled clients") => Some(NOT_ENROLLED),
        502 if text.starts_with("the back end of this host cannot be reached") => {
            Some(BACKEND_UNREACHABLE)
        }
        _ => None,
    }
}

/// The server behind the gateway answered.
fn by_host(host: &str, status: u16) -> Option<FindingView> {
    let finding = match status {
        ..=399 | UNAUTHORIZED => return None,
        500.. => FindingView::new(
            "SC-HOST-ERROR",
            format!("{host} answered {status}"),
            "The request went through the gateway, and the server behind it or the gateway failed.",
            "tell the administrator of that server the time and this status",
        ),
        _ => FindingView::new(
            "SC-HOST-REFUSED",
            format!("{host} answered {status}"),
            "The request went through the gateway, and the server behind it did not serve it.",
            "check the address in the application, and whether this user may use that server",
        ),
    };
    Some(finding.with("status", &status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: Option<&str>, text: &str) -> Tested {
        let code = code.map(str::to_owned);
        let (host, text) = ("erp".to_owned(), text.to_owned());
        Tested { host, path: "/".to_owned(), status, code, ms: 1.0, bytes: 0, text }
    }

    #[test]
    fn no_error_status_counts_as_well() {
        let code = |tested: &Tested| trouble(tested, None).map(|it| it.code);
        for well in [200, 204, 301, 304, 401] {
            assert_eq!(code(&answer(well, None, "")), None, "{well}");
        }
        let unknown = "this gateway has no host named \"erp\"\n";
        let enrolled = "this host is for enrolled clients: no certificate\n";
        for (status, own, text, expected) in [
            (500, None, "the host's own", "SC-HOST-ERROR"),
            (502, None, "", "SC-HOST-ERROR"),
            (404, None, "no such page", "SC-HOST-REFUSED"),
            (403, None, "", "SC-HOST-REFUSED"),
            (404, None, unknown, "SC-HOST-UNKNOWN"),
            (403, None, enrolled, "SC-NOT-ENROLLED"),
            (502, None, "the back end of this host cannot be reached\n", "SC-BACKEND-UNREACHABLE"),
            (404, Some("SC-HOST-UNKNOWN"), "", "SC-HOST-UNKNOWN"),
            (404, Some("SC-GW-HOST"), "", "SC-HOST-UNKNOWN"),
            (403, Some("SC-GW-IDENTITY"), "", "SC-NOT-ENROLLED"),
            (502, Some("SC-GW-UNREACHABLE"), "", "SC-BACKEND-UNREACHABLE"),
            (502, Some("SC-GW-LOST"), "", "SC-GW-LOST"),
            (503, Some("SC-NOT-CONNECTED"), "", "SC-NOT-CONNECTED"),
            (502, Some("SC-OF-A-LATER-GATEWAY"), "", "SC-HOST-ERROR"),
        ] {
            let said = code(&answer(status, own, text));
            assert_eq!(said.as_deref(), Some(expected), "{status} {own:?} {text}");
        }
    }

    #[test]
    fn an_enrolled_computer_is_not_told_to_enroll() {
        let refused = answer(403, Some("SC-NOT-ENROLLED"), "");
        let enrolled = IdentityView { state: "renewing".to_owned(), ..IdentityView::default() };
        let without = trouble(&refused, None).unwrap();
        assert!(without.advice.contains("seacat-proxy enroll"));
        let with = trouble(&refused, Some(&enrolled)).unwrap();
        assert!(!with.advice.contains("seacat-proxy enroll"), "{with:?}");
    }
}
