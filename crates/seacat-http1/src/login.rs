//! Logins that a server ties to a connection: NTLM, and Negotiate where it falls back to NTLM or
//! the server keeps its result. HTTP has no such thing (RFC 9110 section 3.3: every request stands
//! alone), so code that shares or replaces connections has to detect them.

use http::StatusCode;

use crate::fields::Fields;
use crate::syntax::{list, trim};

/// The schemes. Nego2 is Microsoft's extension of Negotiate.
const SCHEMES: [&[u8]; 3] = [b"ntlm", b"negotiate", b"nego2"];

/// Whether a request takes part in such a login.
#[must_use]
pub fn authenticates(request: &Fields) -> bool {
    request.all("authorization").any(is_bound)
}

/// Whether a response asks for such a login. A 407 counts: the server is a proxy then.
#[must_use]
pub fn challenges(status: StatusCode, response: &Fields) -> bool {
    let name = match status {
        StatusCode::UNAUTHORIZED => "www-authenticate",
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => "proxy-authenticate",
        _ => return false,
    };
    response.all(name).flat_map(list).any(is_bound)
}

/// `scheme [ SP … ]`
fn is_bound(value: &[u8]) -> bool {
    let scheme = trim(value).split(u8::is_ascii_whitespace).next().unwrap_or_default();
    SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_recognised_in_any_case_and_place() {
        let one = |name: &str, value: &str| -> Fields { [(name, value)].into_iter().collect() };
        for (value, expected) in [
            ("NTLM TlRMTVNTUAAB", true),
            ("negotiate YII", true),
            ("Nego2 x", true),
            ("Basic eDp5", false),
            ("NTLMv2 x", false),
            ("", false),
        ] {
            assert_eq!(authenticates(&one("authorization", value)), expected, "{value}");
        }
        for (status, name, value, expected) in [
            (401, "WWW-Authenticate", "NTLM", true),
            (401, "WWW-Authenticate", "Basic realm=\"a\", Negotiate", true),
            (401, "WWW-Authenticate", "Digest realm=\"NTLM\"", false),
            (401, "Proxy-Authenticate", "NTLM", false),
            (407, "Proxy-Authenticate", "Negotiate", true),
            (200, "WWW-Authenticate", "Negotiate oRQ", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(challenges(status, &one(name, value)), expected, "{status} {value}");
        }
    }
}
