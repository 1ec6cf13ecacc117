//! The TLS library and version of the channel in a test. The variable `SEACAT_SUITE_TLS` selects
//! it, so that a suite can be repeated with another one.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The TLS settings of gateway and proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelTls {
    /// rustls at both ends, with the defaults.
    Modern,
    /// OpenSSL at both ends; the gateway knows the suite of the reference era (0xC028) and no
    /// other. Its certificate has a common name and no subjectAltName.
    Reference,
    /// OpenSSL at both ends; the gateway knows TLS 1.3 and nothing older.
    Tls13,
}

impl ChannelTls {
    /// The one that `SEACAT_SUITE_TLS` names: `modern` (as without it), `reference` or `tls13`.
    pub fn chosen() -> Self {
        match std::env::var("SEACAT_SUITE_TLS").as_deref() {
            Err(_) | Ok("modern") => Self::Modern,
            Ok("reference") => Self::Reference,
            Ok("tls13") => Self::Tls13,
            Ok(other) => panic!("SEACAT_SUITE_TLS={other}: modern, reference or tls13"),
        }
    }

    /// Its lines in the gateway's table `[gateway]`.
    pub(crate) fn of_gateway(self) -> &'static str {
        match self {
            Self::Modern => "",
            Self::Reference => {
                "tls = \"compat\"\ntls_suites = [\"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384\"]\n"
            }
            Self::Tls13 => {
                "tls = \"compat\"\ntls_suites = [\"TLS_AES_128_GCM_SHA256\", \
                 \"TLS_AES_256_GCM_SHA384\", \"TLS_CHACHA20_POLY1305_SHA256\"]\n"
            }
        }
    }

    /// Its line in the proxy's table `[[gateway]]`.
    pub(crate) fn of_proxy(self) -> &'static str {
        match self {
            Self::Modern => "",
            Self::Reference | Self::Tls13 => "tls = \"compat\"\n",
        }
    }

    /// For a reference-era gateway, replaces the certificate in `dir` by one of that time: an RSA
    /// key, the name in the CN only.
    pub(crate) fn certify(self, dir: &Path) {
        if self != Self::Reference {
            return;
        }
        // Without an extension it would be an X.509 version 1 certificate.
        fs::write(dir.join("extensions"), "basicConstraints = critical, CA:FALSE\n").unwrap();
        openssl(
            dir,
            "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out request.pem",
        );
        openssl(
            dir,
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 2 -sha256 \
             -extfile extensions -out server.pem",
        );
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let arguments = arguments.split_whitespace();
    let done = Command::new("openssl").args(arguments).current_dir(dir).output();
    let done = done.expect("openssl starts");
    assert!(done.status.success(), "openssl: {}", String::from_utf8_lossy(&done.stderr));
}
