//! What a failure means and what a person can do about it: the one place of these words. Error pages
//! of the proxy, the status, the tray and the command line take them from here.

use crate::{Failure, ProxyAuth, Stage};

impl Failure {
    /// What happened, in a few words and without names: for a menu.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Failure::NoGateway => "no gateway is configured",
            Failure::BadConfig(_) => "the gateway's settings cannot be used",
            Failure::NoSuchHost { .. } => "the gateway's name does not exist",
            Failure::Unresolvable { .. } => "the gateway's name could not be looked up",
            Failure::NoService { .. } => "DNS announces no gateway",
            Failure::ProxyUnreachable { .. } => "the corporate proxy cannot be reached",
            Failure::ProxyAuth { problem: ProxyAuth::Refused, .. } => {
                "the corporate proxy refused the password"
            }
            Failure::ProxyAuth { .. } => "the corporate proxy asks for a sign-in",
            Failure::ProxyRefused { .. } => "the corporate proxy refused the connection",
            Failure::ProxyAnswer { .. } => "the corporate proxy's answer cannot be used",
            Failure::Refused { .. } => "the connection was refused",
            Failure::Unreachable { .. } => "the gateway cannot be reached from this network",
            Failure::TimedOut { .. } => "the gateway did not answer in time",
            Failure::HungUp => "the other side hung up during the TLS handshake",
            Failure::NotTls => "another service listens on the gateway's port",
            Failure::Portal { .. } => "this network asks for a sign-in first",
            Failure::NoCommonSuite => "no TLS cipher suite in common with the gateway",
            Failure::TlsVersion => "the gateway's TLS is too old",
            Failure::Tls(_) => "the connection could not be secured",
            Failure::WrongName { .. } => "the gateway's certificate is for another name",
            Failure::UnknownCa { .. } => "the gateway's certificate isn't trusted",
            Failure::Expired { .. } => "the gateway's certificate has expired",
            Failure::NotYetValid { .. } => "the gateway's certificate is not valid yet",
            Failure::PinMismatch { .. } => "the gateway's key is not the pinned one",
            Failure::BadCertificate(_) => "the gateway's certificate cannot be used",
            Failure::ClientCertRefused { .. } => "the gateway refused this computer's certificate",
            Failure::HttpsServer => "a web server answers, not a SeaCat gateway",
            Failure::Silent(_) => "the gateway does not answer",
            Failure::GoingAway => "the gateway takes no more requests",
            Failure::Interrupted(_) => "the connection was lost",
            Failure::Other(_) => "the connection failed",
        }
    }

    /// What it means to a person who does not run networks.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Failure::NoGateway => "The proxy does not know where to send requests.",
            Failure::BadConfig(_) => {
                "The gateway's settings contradict themselves or name a file that cannot be used."
            }
            Failure::NoSuchHost { .. } => {
                "The name servers of this network answer, and know no such name."
            }
            Failure::Unresolvable { .. } => "The name servers of this network do not answer.",
            Failure::NoService { .. } => {
                "The name servers answer, and announce no gateway for this application."
            }
            Failure::ProxyUnreachable { .. } => {
                "Connections out of this network are configured to go through this proxy."
            }
            Failure::ProxyAuth { .. } => {
                "The proxy of this network lets only users through that it knows."
            }
            Failure::ProxyRefused { .. } => {
                "The proxy of this network does not let connections to the gateway through."
            }
            Failure::ProxyAnswer { .. } => {
                "Something other than an HTTP proxy answers at its address."
            }
            Failure::Refused { .. } => {
                "The server is reachable, but nothing (or a firewall) answers on that port."
            }
            Failure::Unreachable { .. } => {
                "There is a network, and it has no route to that address."
            }
            Failure::TimedOut { stage: Stage::Tls, .. } => {
                "The other side accepts the connection and does not go on: a firewall that inspects it, or another service."
            }
            Failure::TimedOut { .. } => "Packets go out and nothing comes back.",
            Failure::HungUp => {
                "The connection was cut when TLS began: most likely by a firewall that inspects it."
            }
            Failure::NotTls => "Another service listens on that port.",
            Failure::Portal { .. } => {
                "The network answers in the gateway's place until you sign in."
            }
            Failure::NoCommonSuite => {
                "The gateway is of an older era, and offers only encryption that is switched off here by default."
            }
            Failure::TlsVersion => "The gateway's TLS is too old to be safe.",
            Failure::Tls(_) => "The two sides do not agree on TLS.",
            Failure::WrongName { .. } => {
                "Another server answers, or the certificate was made for another name."
            }
            Failure::UnknownCa { .. } => "It cannot be known whether this is your gateway.",
            Failure::Expired { .. } => "The certificate was not renewed in time.",
            Failure::NotYetValid { .. } => {
                "The certificate is from the future, as this computer counts."
            }
            Failure::PinMismatch { .. } => {
                "The gateway has another key than the one that was pinned: it was changed, or this is not your gateway."
            }
            Failure::BadCertificate(_) => "The certificate was not made as it should be.",
            Failure::ClientCertRefused { .. } => {
                "The gateway does not accept this computer's certificate."
            }
            Failure::HttpsServer => "The name or the port leads to a web server.",
            Failure::Silent(_) => "A TLS server answers there that does not understand SeaCat.",
            Failure::GoingAway => {
                "The gateway is shutting down, or has as many requests as it takes."
            }
            Failure::Interrupted(_) | Failure::Other(_) => "The network broke off.",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Failure::NoGateway => "name a gateway: `seacat-proxy config set gateway HOST`",
            Failure::BadConfig(_) => "correct the gateway's settings: `seacat-proxy config show`",
            Failure::NoSuchHost { .. } => "check the gateway's name for a typing mistake",
            Failure::Unresolvable { .. } | Failure::Unreachable { .. } => {
                "check this computer's network connection"
            }
            Failure::NoService { .. } => {
                "check app_id, platform, suffix and domain of the gateway's `discover`, or name its host"
            }
            Failure::ProxyUnreachable { .. } => {
                "check upstream.proxy, or set it to none if this network needs no proxy"
            }
            Failure::ProxyAuth { problem: ProxyAuth::Missing, .. } => {
                "put one line `user:password` into a file that only you can read and name it in \
                 upstream.credentials_file"
            }
            Failure::ProxyAuth { problem: ProxyAuth::Refused, .. } => {
                "correct the line `user:password` in the file that upstream.credentials_file names, \
                 then `seacat-proxy connect`"
            }
            Failure::ProxyAuth { problem: ProxyAuth::NoBasic, .. } => {
                "ask the proxy's administrator for Basic authentication, or for a rule that lets the \
                 gateway through without any"
            }
            Failure::ProxyRefused { .. } => {
                "ask the proxy's administrator to allow CONNECT to the gateway's name and port"
            }
            Failure::ProxyAnswer { .. } => {
                "check that upstream.proxy is the address of an HTTP proxy"
            }
            Failure::Refused { .. } => {
                "check the gateway's port, and ask whether the gateway is running"
            }
            Failure::TimedOut { .. } => {
                "a firewall may be in the way: try another network, or a gateway on port 443"
            }
            Failure::HungUp | Failure::Tls(_) => {
                "a firewall or another server may stand at that address: check the gateway's name and port"
            }
            Failure::Portal { .. } => {
                "sign in to this network: open any page that begins with http:// in a browser; the \
                 connection follows within seconds"
            }
            Failure::NotTls | Failure::HttpsServer => {
                "another server answers there: check the gateway's name and port; on a network that \
                 asks for a sign-in, sign in. It is tried again every few seconds while requests come"
            }
            Failure::NoCommonSuite => {
                "a gateway of the reference era needs `tls = \"compat\"` in its settings here; if that is set, ask its administrator to allow TLS 1.2 with AES-GCM, or TLS 1.3"
            }
            Failure::TlsVersion => {
                "the gateway's TLS is older than 1.2, which `tls = \"compat\"` does not speak either: ask its administrator for TLS 1.2 or 1.3"
            }
            Failure::WrongName { .. } => {
                "use the name that is in the certificate, or ask the administrator for a right certificate"
            }
            Failure::UnknownCa { .. } => {
                "if the gateway has a private CA, set its ca_file; if it worked before, this network \
                 intercepts TLS: try another one. It is tried again every few seconds while requests come"
            }
            Failure::Expired { .. } | Failure::NotYetValid { .. } => {
                "check this computer's date and time; if they are right, tell the gateway's administrator"
            }
            Failure::PinMismatch { .. } => {
                "do not go on unless the administrator confirms the new key; then change the pin"
            }
            Failure::BadCertificate(_) => {
                "if it worked before, another server answers on this network: try another one; if it \
                 never did, tell the gateway's administrator"
            }
            Failure::ClientCertRefused { .. } => {
                "the gateway wants an identity of this computer that it accepts: ask its administrator"
            }
            Failure::Silent(_) => "check that the address is a SeaCat gateway's",
            Failure::GoingAway => "it is tried again automatically, within seconds at first",
            Failure::Interrupted(_) | Failure::Other(_) => {
                "it is tried again automatically; if it stays, check the network connection"
            }
        }
    }
}
