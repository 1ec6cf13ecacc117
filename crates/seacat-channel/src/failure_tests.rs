//! Tables: what each error of TLS, the socket, the resolver and the link means.

use super::*;

#[test]
fn what_tls_errors_mean() {
    use rustls::{Error, InvalidMessage};
    let alert = Error::AlertReceived;
    let cases = [
        (alert(AlertDescription::HandshakeFailure), false, "SC-TLS-SUITE"),
        (alert(AlertDescription::HandshakeFailure), true, "SC-CLIENT-CERT"),
        (alert(AlertDescription::CertificateRequired), true, "SC-CLIENT-CERT"),
        (alert(AlertDescription::CertificateRevoked), true, "SC-CLIENT-CERT"),
        (alert(AlertDescription::UnknownCA), true, "SC-CLIENT-CERT"),
        (alert(AlertDescription::ProtocolVersion), false, "SC-TLS-VERSION"),
        (alert(AlertDescription::UnrecognisedName), false, "SC-GATEWAY-CONFIG"),
        (alert(AlertDescription::InternalError), true, "SC-TLS"),
        (PeerIncompatible::ServerDoesNotSupportTls12Or13.into(), false, "SC-TLS-VERSION"),
        (PeerIncompatible::NoCipherSuitesInCommon.into(), false, "SC-TLS-SUITE"),
        (InvalidMessage::InvalidContentType.into(), false, "SC-NOT-TLS"),
        (InvalidMessage::InvalidContentType.into(), true, "SC-TLS"),
        (CertificateError::Revoked.into(), true, "SC-CERT-BAD"),
        (CertificateError::Expired.into(), true, "SC-CERT-EXPIRED"),
        (CertificateError::NotValidYet.into(), true, "SC-CERT-NOT-YET"),
        (Error::DecryptError, true, "SC-TLS"),
    ];
    for (error, hello, code) in cases {
        assert_eq!(Failure::from_tls(&error, hello).code(), code, "{error:?}, {hello}");
    }
}

#[test]
fn what_the_end_of_a_connection_means() {
    let revoked = rustls::Error::AlertReceived(AlertDescription::CertificateRevoked);
    let cases = [
        (Closed::Peer, "SC-CONNECTION-LOST", false),
        (Closed::Truncated, "SC-CONNECTION-LOST", false),
        (Closed::Protocol(ConnectionError::Dead), "SC-CONNECTION-LOST", false),
        (Closed::Protocol(ConnectionError::HttpServer), "SC-HTTPS-SERVER", false),
        (Closed::Tls(revoked), "SC-CLIENT-CERT", false),
        (Closed::Tls(rustls::Error::DecryptError), "SC-CONNECTION-LOST", false),
    ];
    for (closed, code, permanent) in cases {
        let failure = Failure::from_closed(closed);
        assert_eq!((failure.code(), failure.is_permanent()), (code, permanent));
    }
}

#[test]
fn what_socket_and_resolver_errors_mean() {
    use io::ErrorKind as Kind;
    let address = SocketAddr::from(([192, 0, 2, 1], 443));
    let cases = [
        (Kind::ConnectionRefused, "SC-TCP-REFUSED"),
        (Kind::NetworkUnreachable, "SC-UNREACHABLE"),
        (Kind::HostUnreachable, "SC-UNREACHABLE"),
        (Kind::AddrNotAvailable, "SC-UNREACHABLE"),
        (Kind::TimedOut, "SC-TIMED-OUT"),
        (Kind::OutOfMemory, "SC-OTHER"),
    ];
    for (kind, code) in cases {
        assert_eq!(Failure::from_tcp(address, &kind.into()).code(), code, "{kind:?}");
    }
    let lookup = "failed to lookup address information:";
    let cases = [
        ("Name or service not known", "SC-NO-SUCH-HOST"),
        ("nodename nor servname provided, or not known", "SC-NO-SUCH-HOST"),
        ("Temporary failure in name resolution", "SC-DNS"),
        ("Try again", "SC-DNS"),
    ];
    for (text, code) in cases {
        let error = io::Error::other(format!("{lookup} {text}"));
        assert_eq!(Failure::from_lookup("gw", &error).code(), code, "{text}");
    }
}

#[test]
fn days_are_counted_right() {
    let cases = [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (1_704_067_199, "2023-12-31"),
        (1_704_067_200, "2024-01-01"),
        (u64::MAX, "a day beyond the calendar"),
    ];
    for (seconds, expected) in cases {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(day(time), expected);
    }
}
