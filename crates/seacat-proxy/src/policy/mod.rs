//! Access control and routing of requests. Nothing here performs I/O.
//!
//! ```text
//!   request ─► admit ─► address ─┬─► Here      our own pages
//!                                ├─► Gateway   a mapped port, X-SC-HOST
//!                                └─► Routed ─► route ─┬─► Gateway
//!                                                     ├─► Direct
//!                                                     └─► refused
//! ```
//!
//! A loopback port is open to every program of every user, and to every web page in every browser,
//! so [`admit`] checks who sends a request:
//!
//! * [`origin`]: which web pages may send requests, for each request;
//! * [`users`]: which local users may connect, once for each connection.

mod credentials;
pub(crate) mod host;
pub(crate) mod origin;
pub(crate) mod routes;
pub(crate) mod users;

use std::net::SocketAddr;

use http::Method;
use seacat_http1::{Authority, Fields, RequestHead};

use crate::config::MappedPort;
use crate::errors::Code;
use crate::fault::Fault;
use crate::server::client::{Client, PortKind, Shared};
use host::{gateway_name, is_loopback};
use routes::Action;

/// The field by which a client that can only send origin-form names its host.
pub(crate) const X_SC_HOST: &str = "x-sc-host";
/// The port of `http://` when none is given.
pub(crate) const HTTP_PORT: u16 = 80;

/// Where a request wants to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// As typed, without the port; IPv6 addresses in brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// Path and query, at least `/`, or `*`; of CONNECT the authority as typed (`NAME:port`).
    pub(crate) path: &'a [u8],
    /// What the application typed as the host, with its port: the Host field of the request that
    /// goes on. CONNECT has none.
    pub(crate) typed: Option<&'a [u8]>,
}

impl<'a> Destination<'a> {
    /// What an absolute-form or authority-form target names; `None`: it names no host.
    pub(crate) fn named(request: &'a RequestHead) -> Option<Self> {
        let Authority { text, host, port } = request.target.authority()?;
        let connect = request.method == Method::CONNECT;
        let path = if connect { text.as_bytes() } else { request.target.path() };
        Some(Destination { host, port, path, typed: Some(text.as_bytes()).filter(|_| !connect) })
    }
}

/// Who serves a request.
pub(crate) enum Addressee<'a> {
    /// Our own pages.
    Here,
    /// A host of the gateway that the port or X-SC-HOST names, whatever the routes are.
    Gateway(Destination<'a>),
    /// A host about which the routes decide.
    Routed(Destination<'a>),
}

/// The route taken by a request.
pub(crate) enum RouteChoice {
    Gateway,
    /// `loopback`: a rule allows this computer by name.
    Direct {
        loopback: bool,
    },
}

/// Whether the client may send this request to this port.
///
/// # Errors
/// Why not.
pub(crate) fn admit(client: &Client, request: &RequestHead) -> Result<(), Fault> {
    if let Some(stranger) = client.stranger {
        return Err(stranger.into());
    }
    match &client.port {
        PortKind::Mapped(port) => check_mapped(request, port),
        PortKind::Proxy => {
            let named = request.target.authority().is_some();
            if named || request.fields.contains(X_SC_HOST) {
                check_credentials(&client.shared, &request.fields)?;
            }
            if named {
                return Ok(());
            }
            if !client.shared.allow_remote && !host_is_ours(&request.fields) {
                return Err(foreign_host());
            }
            origin::check(&request.fields, &[])
        }
    }
}

/// Who is to serve a request that was [admitted](admit).
///
/// # Errors
/// X-SC-HOST is not one host.
pub(crate) fn address<'a>(
    client: &'a Client,
    request: &'a RequestHead,
) -> Result<Addressee<'a>, Fault> {
    let host = match &client.port {
        PortKind::Mapped(port) => &port.host,
        PortKind::Proxy => {
            if let Some(named) = Destination::named(request) {
                return Ok(Addressee::Routed(named));
            }
            match chosen_host(&request.fields)? {
                Some(host) => host,
                None => return Ok(Addressee::Here),
            }
        }
    };
    let typed = request.fields.get("host");
    let path = request.target.path();
    Ok(Addressee::Gateway(Destination { host, port: None, path, typed }))
}

/// What the routes decide, once it is clear that the destination is not ourselves.
///
/// # Errors
/// It is, or a route refuses it.
pub(crate) fn route(shared: &Shared, destination: &Destination<'_>) -> Result<RouteChoice, Fault> {
    let decision = shared.routes.decide(destination.host);
    let loopback = is_loopback(destination.host);
    if is_own(&shared.own, destination.host, destination.port.unwrap_or(HTTP_PORT)) {
        return Err(Fault::new(Code::OwnAddress, "The target is an address of this proxy."));
    }
    if loopback && !decision.explicit {
        return Err(Fault::new(Code::LoopbackTarget, "The target host is a loopback address."));
    }
    match decision.action {
        Action::Gateway => Ok(RouteChoice::Gateway),
        Action::Direct => Ok(RouteChoice::Direct { loopback }),
        Action::Refuse => Err(Fault::new(Code::RouteRefused, "A route refuses this host.")),
    }
}

/// Whether a host as written, with its port, is one of the addresses we listen on.
fn is_own(own: &[SocketAddr], host: &str, port: u16) -> bool {
    let is_here = |own: &SocketAddr| {
        is_loopback(host) || host.trim_matches(['[', ']']).parse() == Ok(own.ip())
    };
    own.iter().any(|own| own.port() == port && is_here(own))
}

fn check_credentials(shared: &Shared, fields: &Fields) -> Result<(), Fault> {
    match &shared.credentials {
        Some(credentials) if !credentials.are_in(fields) => {
            Err(Fault::new(Code::AuthRequired, "Proxy-Authorization is missing or wrong."))
        }
        _ => Ok(()),
    }
}

/// A mapped port takes what is meant for its host or for this computer: not the requests of a web
/// site whose name was made to point here, nor those of other sites' pages, nor those meant for
/// another host.
fn check_mapped(request: &RequestHead, port: &MappedPort) -> Result<(), Fault> {
    if request.method == Method::CONNECT {
        let what = "This port is for one host and does not support tunnels.";
        return Err(Fault::new(Code::BadTarget, what));
    }
    let is_meant = |typed: &str| {
        is_loopback(typed)
            || gateway_name(typed).is_some_and(|it| it.eq_ignore_ascii_case(&port.host))
    };
    if request.target.authority().is_some_and(|typed| !is_meant(typed.host)) {
        let what = "The request names another host than that of this port.";
        return Err(Fault::new(Code::Misdirected, what));
    }
    let typed = request.fields.get("host").and_then(Authority::parse);
    if typed.is_some_and(|typed| !is_meant(typed.host)) {
        return Err(foreign_host());
    }
    origin::check(&request.fields, &port.allow_origins)
}

/// Whether the Host field is a name of this computer, so that no web site is sending under a
/// name of its own (DNS rebinding). HTTP/1.0 clients that send none are not browsers.
fn host_is_ours(fields: &Fields) -> bool {
    fields
        .get("host")
        .is_none_or(|value| Authority::parse(value).is_some_and(|it| is_loopback(it.host)))
}

/// The one host that X-SC-HOST names, if the field is there.
fn chosen_host(fields: &Fields) -> Result<Option<&str>, Fault> {
    let mut values = fields.all(X_SC_HOST);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Fault::new(Code::BadHost, "X-SC-HOST appears twice.")),
        (None, None) => Ok(None),
        (Some(value), None) => Authority::parse(value)
            .map(|it| Some(it.host))
            .ok_or_else(|| Fault::new(Code::BadHost, "X-SC-HOST is not a host.")),
    }
}

fn foreign_host() -> Fault {
    Fault::new(Code::ForeignHost, "The Host field names another computer.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_hosts_are_recognised() {
        for (host, expected) in [
            ("127.0.0.1:3128", true),
            ("localhost", true),
            ("[::1]:3128", true),
            ("evil.example:3128", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(host_is_ours(&[("Host", host)].into_iter().collect()), expected, "{host}");
        }
        assert!(host_is_ours(&Fields::default()));
    }

    #[test]
    fn a_mapped_port_takes_its_own_host_in_any_case() {
        let port = MappedPort {
            listen: "127.0.0.1:8081".parse().unwrap(),
            host: "erp".into(),
            allow_origins: Vec::new(),
        };
        for (target, host, code) in [
            ("/", "erp", None),
            ("/", "ERP.seacat", None),
            ("/", "127.0.0.1:8081", None),
            ("http://Erp.SeaCat/", "erp", None),
            ("http://localhost:8081/", "localhost:8081", None),
            ("/", "evil.example", Some(Code::ForeignHost)),
            ("http://evil.example/", "127.0.0.1", Some(Code::Misdirected)),
            ("http://other/", "erp", Some(Code::Misdirected)),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let (request, _) =
                seacat_http1::RequestReader::default().read(head.as_bytes()).unwrap().unwrap();
            let found = check_mapped(&request, &port).err().map(|fault| fault.code);
            assert_eq!(found, code, "{target} {host}");
        }
    }

    #[test]
    fn own_addresses() {
        let own = ["127.0.0.1:3128".parse().unwrap(), "192.0.2.1:3128".parse().unwrap()];
        for (host, port, expected) in [
            ("localhost", 3128, true),
            ("[::1]", 3128, true),
            ("192.0.2.1", 3128, true),
            ("192.0.2.1", 80, false),
            ("erp", 3128, false),
        ] {
            assert_eq!(is_own(&own, host, port), expected, "{host}:{port}");
        }
    }
}
