//! Parsing of back-end addresses.

use std::str::FromStr;

use http::uri::{Authority, Scheme, Uri};

use super::Endpoint;

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}` is not a target: write it as \"127.0.0.1:8443\"");
        let authority = Authority::from_str(text).map_err(|_| wanted())?;
        let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(wanted)?;
        if authority.host().is_empty() || text.contains('@') {
            return Err(wanted());
        }
        Ok(Self { host: unbracketed(authority.host()), port })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn unbracketed(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// `http://authority`, the only supported form of back-end URI.
pub(super) struct Origin {
    pub(super) endpoint: Endpoint,
    pub(super) authority: String,
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write it as \"http://127.0.0.1:1337\"";
        let uri = Uri::from_str(text).map_err(|error| format!("`{text}`: {error}; {wanted}"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(format!("`{text}` is not an http:// address; {wanted}"));
        }
        let plain =
            uri.authority().filter(|it| !it.as_str().contains('@') && !it.host().is_empty());
        let Some(authority) = plain else {
            return Err(format!("`{text}` has no plain host; {wanted}"));
        };
        if uri.path() != "/" || uri.query().is_some() {
            return Err(format!("`{text}`: a path is taken from each request; {wanted}"));
        }
        let endpoint = Endpoint {
            host: unbracketed(authority.host()),
            port: authority.port_u16().unwrap_or(80),
        };
        Ok(Self { endpoint, authority: authority.to_string() })
    }
}
