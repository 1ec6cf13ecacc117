//! Proxy credentials: Basic (RFC 7617), compared in constant time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seacat_http1::Fields;

use crate::config::Credentials;

const PROXY_AUTHORIZATION: &str = "proxy-authorization";

impl Credentials {
    /// Whether the request carries these credentials, in exactly one Proxy-Authorization field.
    pub(crate) fn are_in(&self, fields: &Fields) -> bool {
        let mut values = fields.all(PROXY_AUTHORIZATION);
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Some((scheme, encoded)) =
            std::str::from_utf8(value).ok().and_then(|text| text.split_once(' '))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case("basic")
            && STANDARD.decode(encoded.trim()).is_ok_and(|given| {
                equal(&given, format!("{}:{}", self.user, self.password).as_bytes())
            })
    }
}

/// Compares in a time that does not depend on where the first difference is. Only the length may be
/// observable.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_credentials_pass() {
        let credentials = Credentials { user: "ann".into(), password: "p:w".into() };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (values, expected) in [
            (vec![basic("ann:p:w")], true),
            (vec![basic("ann:p:w").replace("Basic", "bASIC")], true),
            (vec![], false),
            (vec![basic("ann:p:x")], false),
            (vec![basic("ann:p:w ")], false),
            (vec![basic("ann")], false),
            (vec![basic("")], false),
            (vec!["Basic".into()], false),
            (vec!["Basic !!!".into()], false),
            (vec![basic("ann:p:w").replace("Basic", "Bearer")], false),
            (vec![basic("ann:p:w"), basic("ann:p:w")], false),
        ] {
            let fields = values.iter().map(|value| (PROXY_AUTHORIZATION, value)).collect();
            assert_eq!(credentials.are_in(&fields), expected, "{values:?}");
        }
        assert_eq!(format!("{credentials:?}"), "Credentials(…)");
    }
}
