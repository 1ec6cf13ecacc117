//! What can be wrong, in words: what happened, what it means, what to do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use seacat_channel::Failure;

use super::view::FindingView;
use crate::identity_view::IdentityView;
use crate::port_owner::Owner;
use crate::status::params;

impl FindingView {
    /// Something that is wrong.
    pub(super) fn new(
        code: &str,
        message: impl Into<String>,
        meaning: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            code: code.to_owned(),
            ok: false,
            message: message.into(),
            meaning: meaning.into(),
            advice: advice.into(),
            params: BTreeMap::new(),
        }
    }

    /// With a value of its texts.
    pub(super) fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }

    /// All is well.
    pub(crate) fn well(message: impl Into<String>) -> Self {
        Self { ok: true, ..Self::new("SC-OK", message, "", "") }
    }

    /// What kept the channel from connecting.
    pub(super) fn of(failure: &Failure) -> Self {
        let params = params(failure);
        Self {
            params,
            ..Self::new(failure.code(), failure.to_string(), failure.meaning(), failure.advice())
        }
    }

    pub(super) fn port_taken(port: u16, owner: Option<&Owner>, free: Option<u16>) -> Self {
        let owner = owner.map_or_else(|| "another program".to_owned(), Owner::to_string);
        let other = free.map_or_else(String::new, |free| {
            format!(", or take port {free}: `seacat-proxy config set proxy.port {free}`")
        });
        let finding = Self::new(
            "SC-PORT-TAKEN",
            format!("port {port} is taken by {owner}"),
            "The proxy cannot listen where applications look for it, so it cannot start.",
            format!("end that program{other}"),
        );
        let finding = finding.with("port", &port).with("owner", &owner);
        match free {
            Some(free) => finding.with("free", &free),
            None => finding,
        }
    }

    pub(super) fn not_running() -> Self {
        Self::new(
            "SC-NOT-RUNNING",
            "no proxy is running",
            "Applications that are set to use it reach nobody.",
            "start it with `seacat-proxy run`, or from the desktop's menu",
        )
    }

    pub(super) fn local_silent(address: SocketAddr, why: &str) -> Self {
        Self::new(
            "SC-LOCAL-SILENT",
            format!("the proxy does not answer on {address}: {why}"),
            "Something on this computer, most likely security software, keeps programs from it.",
            "allow connections to this address, then restart the proxy",
        )
        .with("address", &address)
    }

    pub(super) fn no_network() -> Self {
        Self::new(
            "SC-NO-NETWORK",
            "this computer has no network connection",
            "It has no route to anywhere, so nothing outside can be reached.",
            "connect it to a network; the proxy goes on by itself",
        )
    }

    /// Packets go out and nothing comes back.
    pub(super) fn filtered(host: &str, port: u16, open: Option<u16>) -> Self {
        let (message, advice) = match open {
            Some(open) => (
                format!("the network lets nothing through to port {port} of {host}; port {open} of it accepts"),
                format!("ask the gateway's administrator for port {open}, or this network's for port {port}"),
            ),
            None => (
                format!("the network lets nothing through to port {port} of {host}, nor to other ports of it"),
                "ask this network's administrator to open it, or try another network; it may also be \
                 that the gateway is off"
                    .to_owned(),
            ),
        };
        let meaning = "A firewall drops the packets instead of answering. Port 443 is open on 95 % of \
                       networks, port 80 on 67 %, others on 86 %.";
        let finding = Self::new("SC-TCP-FILTERED", message, meaning, advice);
        let finding = finding.with("host", host).with("port", &port);
        open.map_or(finding.clone(), |open| finding.with("open", &open))
    }

    pub(super) fn proxy_needed(proxy: &str, variable: &str, wants: Option<&Failure>) -> Self {
        let then = match wants {
            Some(Failure::ProxyAuth { .. }) => {
                "; it wants a user name and a password, too: upstream.credentials_file"
            }
            _ => "",
        };
        Self::new(
            "SC-PROXY-NEEDED",
            format!("the gateway cannot be reached directly; the proxy {proxy} leads to it"),
            format!(
                "This network lets connections out through its proxy alone. {variable} names it."
            ),
            format!("`seacat-proxy config set upstream.proxy environment`, or its address{then}"),
        )
        .with("proxy", proxy)
        .with("variable", variable)
    }

    /// Somebody answers in the gateway's name.
    pub(super) fn intercepted(host: &str, issuer: &str) -> Self {
        Self::new(
            "SC-TLS-INTERCEPTED",
            format!("TLS to {host} is intercepted: the certificate was issued by \"{issuer}\", not by your gateway's CA"),
            "A security product or a proxy of this network decrypts connections. It would read \
             everything, so nothing is sent.",
            format!("ask this network's administrator to leave connections to {host} alone"),
        )
        .with("host", host)
        .with("issuer", issuer)
    }

    /// A gateway, but one of somebody else's.
    pub(super) fn wrong_ca(host: &str, issuer: &str, ours: Option<&str>) -> Self {
        let (message, advice) = match ours {
            Some(ours) if ours == issuer => (
                format!(
                    "{host} is a SeaCat gateway, and its certificate was issued by another CA of the name \"{issuer}\""
                ),
                "ask the gateway's administrator for the present CA certificate, and set it for this gateway",
            ),
            Some(ours) => (
                format!(
                    "{host} is a SeaCat gateway, and its certificate was issued by \"{issuer}\" and not by \"{ours}\""
                ),
                "ask the gateway's administrator for the right CA certificate, and set it for this gateway",
            ),
            None => (
                format!("{host} is a SeaCat gateway with a private CA, \"{issuer}\""),
                "ask the gateway's administrator for the CA certificate, and set it for this gateway (ca_file or ca_pem)",
            ),
        };
        let finding = Self::new(
            "SC-CERT-CA",
            message,
            "It cannot be known whether this is your gateway until its CA is.",
            advice,
        );
        let finding = finding.with("host", host).with("issuer", issuer);
        ours.map_or(finding.clone(), |ours| finding.with("expected", ours))
    }

    /// TLS by somebody else altogether.
    pub(super) fn https_server(host: &str, issuer: &str) -> Self {
        let failure = Failure::HttpsServer;
        Self::new(
            failure.code(),
            format!("{host} is an HTTPS server, not a SeaCat gateway"),
            failure.meaning(),
            failure.advice(),
        )
        .with("host", host)
        .with("issuer", issuer)
    }

    pub(super) fn clock(today: &str, direction: &str, evidence: &str) -> Self {
        Self::new(
            "SC-CLOCK",
            format!("this computer's clock is wrong: it says {today}, which is {direction}"),
            format!("{evidence} Certificates look expired or not yet valid to a wrong clock."),
            "set this computer's date and time",
        )
        .with("today", today)
    }

    /// The probe got through and the proxy itself does not.
    pub(super) fn not_connected(code: &str, message: &str, advice: &str) -> Self {
        Self::new(
            code,
            format!("the gateway answers now, but the proxy is not connected: {message}"),
            "The proxy tries again less often the longer it fails, and not at all when a person must act.",
            format!("{advice}; then `seacat-proxy connect`"),
        )
    }

    pub(super) fn off() -> Self {
        Self::new(
            "SC-OFF",
            "somebody has disconnected the proxy from the gateway",
            "It stays so until it is told to connect.",
            "`seacat-proxy connect`, or Connect in the menu",
        )
    }
}

/// The gateway does not accept this computer for `host`; what to do depends on what it has.
pub(super) fn not_enrolled(host: &str, identity: Option<&IdentityView>) -> FindingView {
    let has_certificate =
        identity.is_some_and(|it| matches!(it.state.as_str(), "enrolled" | "renewing"));
    let (meaning, advice) = match has_certificate {
        true => (
            "This computer has a certificate, and the gateway does not accept it.",
            "ask the gateway's administrator whether it knows this computer's Client Tag, and import \
             or request another certificate if it does not",
        ),
        false => (
            "The gateway does not know this computer.",
            "ask for a certificate with `seacat-proxy enroll`",
        ),
    };
    let message = format!("the host \"{host}\" is for enrolled computers alone");
    FindingView::new("SC-NOT-ENROLLED", message, meaning, advice)
}
