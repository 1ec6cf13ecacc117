//! Host names: of the gateway, of this computer.

use std::net::IpAddr;

/// The last label that marks a host of the gateway. Never looked up in DNS.
const SUFFIX: &str = ".seacat";

/// The name by which the gateway knows a host: `NAME.seacat` and `NAME` both mean NAME, its
/// case is kept. `None` when nothing is left.
pub(crate) fn gateway_name(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    Some(if is_seacat(host) { &host[..host.len() - SUFFIX.len()] } else { host })
        .filter(|name| !name.is_empty())
}

/// Whether the last label is `seacat`.
pub(crate) fn is_seacat(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len()
        .checked_sub(SUFFIX.len())
        .and_then(|at| host.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

/// Whether a host, as written, is this computer: `localhost` and below, a loopback address, or
/// the unspecified one.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost")) {
        return true;
    }
    host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback_address)
}

/// Whether connecting to this address reaches this computer.
pub(crate) fn is_loopback_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_names() {
        for (host, name) in [
            ("erp", Some("erp")),
            ("erp.seacat", Some("erp")),
            ("ERP.SeaCat", Some("ERP")),
            ("erp.seacat.", Some("erp")),
            ("a.b.seacat", Some("a.b")),
            ("seacat", Some("seacat")),
            ("erp.seacat.com", Some("erp.seacat.com")),
            ("erpseacat", Some("erpseacat")),
            ("[::1]", Some("[::1]")),
            (".seacat", None),
            (".", None),
        ] {
            assert_eq!(gateway_name(host), name, "{host}");
        }
    }

    #[test]
    fn loopback_hosts() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["erp", "localhost.example", "128.0.0.1", "[2001:db8::1]", "127.0.0.1.nip.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
