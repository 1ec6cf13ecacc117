//! Wishes for the identity, which take longer than the engine's loop may.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use seacat_channel::identity::{Identity, IdentityError, ImportError, Imported};

use super::{Answer, Request, Secret};

/// Characters in a line of PEM (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// The answer to a wish for the identity; `None` when it is for somebody else.
pub(super) async fn answer(identity: Option<&Identity>, request: &Request) -> Option<Answer> {
    let Some(identity) = identity else {
        let ours = matches!(
            request,
            Request::Enroll { .. }
                | Request::Renew
                | Request::ResetIdentity
                | Request::ImportIdentity { .. }
                | Request::ExportRequest
                | Request::ExportCertificate
        );
        return ours.then(|| error(&IdentityError::Off));
    };
    Some(match request {
        Request::Enroll { common_name } => done(identity.enroll(common_name.clone()).await),
        Request::Renew => done(identity.renew().await),
        Request::ResetIdentity => done(identity.reset().await),
        Request::ImportIdentity { file, password } => match read(file, password.as_ref()) {
            Ok(imported) => done(identity.import(imported).await),
            Err(ImportError::PasswordNeeded) => Answer::PasswordNeeded { wrong: false },
            Err(ImportError::WrongPassword) => Answer::PasswordNeeded { wrong: true },
            Err(why) => Answer::Error { message: why.to_string() },
        },
        Request::ExportRequest => pem("CERTIFICATE REQUEST", identity.request().await),
        Request::ExportCertificate => pem("CERTIFICATE", identity.certificate().await),
        _ => return None,
    })
}

fn read(file: &Secret, password: Option<&Secret>) -> Result<Imported, ImportError> {
    let password = password.map(|it| str::from_utf8(it.bytes())).transpose();
    let password = password.map_err(|_| ImportError::WrongPassword)?;
    Imported::read(file.bytes(), password, today())
}

/// Now, in seconds since 1970.
pub(crate) fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn done(outcome: Result<(), IdentityError>) -> Answer {
    match outcome {
        Ok(()) => Answer::Done,
        Err(why) => error(&why),
    }
}

fn error(why: &IdentityError) -> Answer {
    Answer::Error { message: why.to_string() }
}

fn pem(label: &str, der: Result<Vec<u8>, IdentityError>) -> Answer {
    match der {
        Ok(der) => Answer::Pem { text: to_pem(label, &der) },
        Err(why) => error(&why),
    }
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let lines: Vec<String> = base64
        .as_bytes()
        .chunks(PEM_LINE)
        .map(|line| line.iter().copied().map(char::from).collect())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_lines_of_64() {
        let text = to_pem("CERTIFICATE", &[0; 50]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "-----BEGIN CERTIFICATE-----");
        assert_eq!(lines[1], "A".repeat(64));
        assert_eq!(lines[2], "AAA=");
        assert_eq!(lines[3], "-----END CERTIFICATE-----");
    }

    #[tokio::test]
    async fn without_an_identity_its_wishes_are_refused_and_others_are_left_alone() {
        let refused = answer(None, &Request::Renew).await;
        assert!(matches!(refused, Some(Answer::Error { .. })));
        assert_eq!(answer(None, &Request::Status).await, None);
    }

    #[test]
    fn a_secret_shows_nothing() {
        let request = Request::ImportIdentity {
            file: Secret::new(b"the key".to_vec()),
            password: Some(Secret::new(b"hunter2".to_vec())),
        };
        let shown = format!("{request:?}");
        assert!(!shown.contains("the key") && !shown.contains("hunter2"), "{shown}");
    }
}
