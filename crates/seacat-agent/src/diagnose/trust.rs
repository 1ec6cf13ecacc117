//! What a certificate that is not believed means: interception, a web server, another CA, a wrong
//! clock. Pure, so that every case has a test.

use std::time::Duration;

use seacat_channel::identity::day;
use seacat_channel::probe::CertificateSeen;
use seacat_channel::{Failure, GatewayConfig};

use super::view::FindingView;

/// Words in the names of products that intercept TLS, in lower case.
const INTERCEPTORS: [&str; 32] = [
    "adguard",
    "avast",
    "avg ",
    "barracuda",
    "bitdefender",
    "blue coat",
    "bluecoat",
    "burp",
    "charles proxy",
    "check point",
    "cisco umbrella",
    "cloudflare gateway",
    "eset ",
    "fiddler",
    "forcepoint",
    "fortigate",
    "fortinet",
    "kaspersky",
    "mcafee",
    "menlo",
    "mitmproxy",
    "netskope",
    "palo alto",
    "proxyman",
    "sonicwall",
    "sophos",
    "squid",
    "symantec",
    "untangle",
    "watchguard",
    "websense",
    "zscaler",
];

/// What it means that `certificate` was not believed for `failure`. `ours` is the first certificate
/// of the CA that is configured, `ping` what became of a PING.
pub(super) fn judge(
    gateway: &GatewayConfig,
    failure: &Failure,
    certificate: &CertificateSeen,
    ours: Option<&CertificateSeen>,
    ping: &Result<Duration, Failure>,
) -> FindingView {
    let host = &gateway.host;
    if let Failure::UnknownCa { issuer } = failure {
        let lower = issuer.to_lowercase();
        if INTERCEPTORS.iter().any(|name| lower.contains(name)) {
            return FindingView::intercepted(host, issuer);
        }
        return match ping {
            Ok(_) => FindingView::wrong_ca(host, issuer, ours.map(|it| it.subject.as_str())),
            // Made for this very name by somebody else, and behind it nobody who speaks SeaCat.
            Err(Failure::HttpsServer)
                if is_for(certificate, host) && !is_own_issuer(certificate) =>
            {
                FindingView::intercepted(host, issuer)
            }
            Err(Failure::HttpsServer) => FindingView::https_server(host, issuer),
            Err(_) => FindingView::of(failure).with("host", host),
        };
    }
    let is_made_otherwise =
        matches!(failure, Failure::WrongName { .. } | Failure::BadCertificate(_));
    if let (true, Err(Failure::HttpsServer)) = (is_made_otherwise, ping) {
        return FindingView::https_server(host, &certificate.issuer);
    }
    FindingView::of(failure).with("host", host)
}

fn is_for(certificate: &CertificateSeen, host: &str) -> bool {
    certificate.names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

fn is_own_issuer(certificate: &CertificateSeen) -> bool {
    certificate.subject == certificate.issuer
}

/// 2026-01-01 in seconds since 1970. No version of this program is older, so what ended before that
/// day has ended by any clock: the reference era's root CA, and all that it issued, in 2024.
const NO_EARLIER: i64 = 1_767_225_600;

/// Whether the clock is to blame. A gateway may forget to renew its certificate; that its CA, which
/// lasts for many years, is over on the same day is less likely than a clock that is ahead. And
/// nobody is issued a certificate of the future.
pub(super) fn judge_clock(
    certificate: &CertificateSeen,
    ours: Option<&CertificateSeen>,
    now: i64,
) -> Option<FindingView> {
    let today = day(now);
    if certificate.not_before > now {
        let from = day(certificate.not_before);
        let evidence = format!("The gateway's certificate was issued on {from}.");
        return Some(FindingView::clock(&today, "in the past", &evidence));
    }
    let over = |it: &CertificateSeen| (NO_EARLIER..now).contains(&it.not_after);
    let ca = ours.filter(|ca| over(ca) && over(certificate))?;
    let evidence = format!(
        "By this clock the gateway's certificate ended on {} and its CA on {}.",
        day(certificate.not_after),
        day(ca.not_after)
    );
    Some(FindingView::clock(&today, "most likely in the future", &evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(subject: &str, issuer: &str, names: &[&str]) -> CertificateSeen {
        CertificateSeen {
            subject: subject.into(),
            issuer: issuer.into(),
            names: names.iter().map(|it| (*it).to_owned()).collect(),
            not_before: 1_000,
            not_after: 2_000,
            ..CertificateSeen::default()
        }
    }

    #[test]
    fn who_stands_behind_a_certificate_that_is_not_believed() {
        let pong = || Ok(Duration::from_millis(1));
        let http = || Err(Failure::HttpsServer);
        let silent = || Err(Failure::Silent(Duration::from_secs(10)));
        let table = [
            ("CN=Zscaler Intermediate", &["gw"][..], pong(), "SC-TLS-INTERCEPTED"),
            ("CN=Corporate Inspection", &["gw"], http(), "SC-TLS-INTERCEPTED"),
            ("CN=Corporate Inspection", &["GW"], http(), "SC-TLS-INTERCEPTED"),
            ("CN=self", &["gw"], http(), "SC-HTTPS-SERVER"),
            ("CN=Some CA", &["www"], http(), "SC-HTTPS-SERVER"),
            ("CN=Some CA", &["gw"], pong(), "SC-CERT-CA"),
            ("CN=Some CA", &["gw"], silent(), "SC-CERT-CA"),
        ];
        let gateway = GatewayConfig::new("gw");
        for (issuer, names, ping, code) in table {
            let certificate = certificate("CN=self", issuer, names);
            let failure = Failure::UnknownCa { issuer: issuer.into() };
            let finding = judge(&gateway, &failure, &certificate, None, &ping);
            assert_eq!(finding.code, code, "{issuer} {names:?} {ping:?}");
            assert!(finding.message.contains("gw") || finding.message.contains(issuer));
        }
    }

    #[test]
    fn a_web_server_is_one_whatever_is_wrong_with_its_certificate() {
        let certificate = certificate("CN=self", "CN=self", &["www"]);
        let judged = |failure: &Failure, ping: Result<Duration, Failure>| {
            judge(&GatewayConfig::new("gw"), failure, &certificate, None, &ping).code
        };
        let bad = Failure::BadCertificate("CaUsedAsEndEntity".into());
        assert_eq!(judged(&bad, Err(Failure::HttpsServer)), "SC-HTTPS-SERVER");
        assert_eq!(judged(&bad, Ok(Duration::ZERO)), "SC-CERT-BAD");
    }

    #[test]
    fn a_clock_is_to_blame_for_what_certificates_cannot_do() {
        let leaf = certificate("", "", &[]);
        let lasting = CertificateSeen { not_after: 9_000, ..leaf.clone() };
        let code =
            |ca: Option<&CertificateSeen>, now| judge_clock(&leaf, ca, now).map(|it| it.code);
        assert_eq!(code(None, 1_500), None);
        assert_eq!(code(None, 500).as_deref(), Some("SC-CLOCK"));
        assert_eq!(code(Some(&lasting), 3_000), None, "the gateway's own fault");
        assert_eq!(code(None, 3_000), None, "nobody knows");
        assert_eq!(code(Some(&leaf), 3_000), None, "both are over by any clock");
        let late = CertificateSeen { not_after: NO_EARLIER + 1, ..leaf.clone() };
        let blamed = judge_clock(&late, Some(&late), NO_EARLIER + 2).map(|it| it.code);
        assert_eq!(blamed.as_deref(), Some("SC-CLOCK"));
    }
}
