//! Conversion of OpenSSL's errors to `rustls::Error`, so that both are explained by the same code.

use openssl::error::ErrorStack;
use openssl::ssl;
use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};

/// Reasons from here on are alerts that came from the peer (sslerr.h, SSL_AD_REASON_OFFSET).
const ALERTS: i32 = 1000;

/// Reasons of sslerr.h. Their numbers are stable.
const NO_SHARED_CIPHER: i32 = 193;
const UNSUPPORTED_PROTOCOL: i32 = 258;
const WRONG_VERSION_NUMBER: i32 = 267;
const HTTP_REQUEST: i32 = 156;
const HTTPS_PROXY_REQUEST: i32 = 155;
const BAD_RECORD_MAC: i32 = 281;

pub(super) fn translate(error: &ssl::Error) -> Error {
    let first = error.ssl_error().and_then(|stack| stack.errors().first());
    let Some(reason) = first.map(openssl::error::Error::reason_code) else {
        return Error::General(error.to_string());
    };
    match reason {
        NO_SHARED_CIPHER => PeerIncompatible::NoCipherSuitesInCommon.into(),
        UNSUPPORTED_PROTOCOL => PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into(),
        // The first bytes are not a TLS record.
        WRONG_VERSION_NUMBER | HTTP_REQUEST | HTTPS_PROXY_REQUEST => {
            InvalidMessage::InvalidContentType.into()
        }
        BAD_RECORD_MAC => Error::DecryptError,
        alert if alert >= ALERTS => match u8::try_from(alert - ALERTS) {
            Ok(number) => Error::AlertReceived(AlertDescription::from(number)),
            Err(_) => words(first),
        },
        _ => words(first),
    }
}

fn words(error: Option<&openssl::error::Error>) -> Error {
    let reason = error.and_then(openssl::error::Error::reason);
    Error::General(reason.unwrap_or("OpenSSL gives no reason").to_owned())
}

/// OpenSSL's error about settings.
pub(super) fn general(stack: &ErrorStack) -> Error {
    words(stack.errors().last())
}
