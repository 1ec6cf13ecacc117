//! Every error that the proxy answers with, in one table: its stable code, its status, its RFC 9209
//! error type and the text for the user. Some are made by the gateway (`SC-GW-…`, docs/gateway.md);
//! the proxy gives them the same page.
//!
//! `docs/errors.md` is generated from [`error_table`].

use crate::access::Answerer;

/// One row: an error as the world sees it.
#[derive(Debug, Clone, Copy)]
pub struct ErrorCode {
    /// The stable name, `SC-…`, as in Proxy-Status, bodies and access lines.
    pub code: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The Proxy-Status error type (RFC 9209 section 2.3).
    pub proxy_error: &'static str,
    /// A short title.
    pub title: &'static str,
    /// What it means, a full sentence.
    pub meaning: &'static str,
    /// What to do, a full sentence.
    pub advice: &'static str,
}

/// Every error the proxy can answer with, in the order of the documentation.
pub fn error_table() -> &'static [ErrorCode] {
    &TABLE
}

/// Declares the enum and the table from the same rows, so that they cannot drift apart.
macro_rules! errors {
    ($( $name:ident = $code:literal, $status:literal, $proxy_error:literal,
        $title:literal, $meaning:literal, $advice:literal; )*) => {
        /// The name of a row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(
            #[doc = concat!("`", $code, "`: ", $title, ".")]
            $name,
        )* }

        static ALL: [Code; [$(Code::$name),*].len()] = [$( Code::$name ),*];

        static TABLE: [ErrorCode; [$(Code::$name),*].len()] = [$( ErrorCode {
            code: $code, status: $status, proxy_error: $proxy_error,
            title: $title, meaning: $meaning, advice: $advice,
        } ),*];
    };
}

impl Code {
    /// The row of the table.
    pub fn row(self) -> &'static ErrorCode {
        &TABLE[self as usize]
    }
}

impl Code {
    /// The row with this stable name.
    pub fn named(code: &str) -> Option<Code> {
        let at = TABLE.iter().position(|row| row.code == code)?;
        ALL.get(at).copied()
    }

    /// Who decided that a request ends with it.
    pub(crate) fn answerer(self) -> Answerer {
        match self {
            Code::ClientGone => Answerer::Client,
            Code::GatewayRefused
            | Code::GatewayReset
            | Code::BackEndUnreachable
            | Code::BackEndTimeout
            | Code::TunnelRefused
            | Code::GatewayHost
            | Code::GatewayIdentity
            | Code::GatewayConnect
            | Code::GatewayConnectOnly
            | Code::GatewayRequest
            | Code::ServerRefused
            | Code::ServerLost
            | Code::ServerResponse
            | Code::ServerResponseHead
            | Code::GatewayError => Answerer::Gateway,
            _ => Answerer::Proxy,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().code)
    }
}

errors! {
    BadRequest = "SC-BAD-REQUEST", 400, "http_request_error",
        "The request is not well-formed HTTP",
        "It violates the HTTP/1.1 grammar and could be interpreted in two ways, so it was not forwarded.",
        "Fix or update the client program that sent it.";
    AmbiguousLength = "SC-AMBIGUOUS-LENGTH", 400, "http_request_error",
        "The length of the request body is ambiguous",
        "Content-Length and Transfer-Encoding do not define one length. Such requests can be used for request smuggling.",
        "Make the client send either one plain Content-Length or `Transfer-Encoding: chunked`.";
    BadChunk = "SC-BAD-CHUNK", 400, "http_request_error",
        "The chunked request body is broken",
        "The end of the body cannot be determined, so the request was cancelled.",
        "Fix or update the client program that sent it.";
    BadHost = "SC-BAD-HOST", 400, "http_request_error",
        "The Host field is missing, doubled or invalid",
        "HTTP/1.1 requires exactly one valid Host field in every request.",
        "Fix or update the client program that sent it.";
    BadTarget = "SC-BAD-TARGET", 400, "http_request_error",
        "The request target is invalid",
        "The address in the request line cannot be forwarded to a gateway.",
        "Use http://NAME/path, without spaces and control characters.";
    Scheme = "SC-SCHEME", 400, "http_request_error",
        "This proxy does not speak that scheme",
        "A plain proxy request can carry http:// only; https:// needs a CONNECT tunnel.",
        "Use http://NAME/ (the channel encrypts it), or let the client use CONNECT for https.";
    NotHttp = "SC-NOT-HTTP", 400, "http_request_error",
        "The client does not speak HTTP/1.1",
        "This port is a plain HTTP/1.1 proxy.",
        "Enter the proxy as http://ADDRESS:PORT, without TLS and without HTTP/2.";
    Version = "SC-VERSION", 505, "http_request_error",
        "The HTTP version is not supported",
        "This proxy speaks HTTP/1.1 and HTTP/1.0.",
        "Set the client to HTTP/1.1.";
    NotImplemented = "SC-NOT-IMPLEMENTED", 501, "http_request_error",
        "The request uses a part of HTTP that this proxy does not know",
        "A method longer than any in use, or a transfer coding other than `chunked`: what follows the head cannot be understood.",
        "Make the client send the body with a Content-Length or with `Transfer-Encoding: chunked` alone.";
    Misdirected = "SC-MISDIRECTED", 421, "http_request_denied",
        "The request is for another host than this port",
        "This port stands for one host of the gateway, and the address in the request names another one.",
        "Use the port of the proxy for other hosts, or the address of this port as the base URL.";
    TargetTooLong = "SC-TARGET-TOO-LONG", 414, "http_request_error",
        "The request line is too long",
        "The address is longer than 8 KiB.",
        "Send long data in a request body instead of the address.";
    HeadTooLarge = "SC-HEAD-TOO-LARGE", 431, "http_request_error",
        "The request head is too large",
        "The head must stay below 32 KiB and 200 fields here, and fit in one 16 KiB frame towards the gateway.",
        "Delete old cookies for this host, or make the client send fewer or shorter fields.";
    BodyTooLarge = "SC-BODY-TOO-LARGE", 413, "http_request_denied",
        "The request body is too large",
        "It exceeds the limit configured in this proxy.",
        "Send less, or raise the limit in the configuration.";
    BodyCut = "SC-BODY-CUT", 400, "http_request_error",
        "The request body ended early",
        "The client sent less than it had announced, so the request was cancelled.",
        "Try again. If it happens often, find out what interrupts the client.";
    HeadTimeout = "SC-HEAD-TIMEOUT", 408, "connection_read_timeout",
        "The request head did not arrive in time",
        "The client started a request and did not complete its head.",
        "Try again. If it happens often, find out what delays the client.";
    BodyTimeout = "SC-BODY-TIMEOUT", 408, "connection_read_timeout",
        "The request body did not arrive in time",
        "The client stopped for 15 minutes in the middle of the body, so the request was cancelled.",
        "Try again. If it happens often, find out what delays the client.";
    AuthRequired = "SC-AUTH", 407, "http_request_denied",
        "The proxy requires a user name and password",
        "The credentials were missing or wrong.",
        "Enter the proxy credentials your administrator gave you in the client's proxy settings.";
    RouteRefused = "SC-REFUSED", 403, "http_request_denied",
        "A route blocks this host",
        "A route in the configuration refuses requests to it.",
        "To allow it, change the route for this host.";
    OwnAddress = "SC-SELF", 403, "destination_ip_prohibited",
        "The request is addressed to this proxy itself",
        "Forwarding it would create a loop.",
        "Request a host behind the gateway, such as http://NAME.seacat/.";
    LoopbackTarget = "SC-LOOPBACK", 403, "destination_ip_prohibited",
        "The target is this computer",
        "Requests to localhost are not forwarded by the proxy.",
        "Add localhost to the client's proxy exceptions, or configure a route for it.";
    ForeignHost = "SC-FOREIGN-HOST", 403, "http_request_denied",
        "The Host field does not belong to this port",
        "A web page may be using a name of its own for this computer (DNS rebinding).",
        "Open the address as http://127.0.0.1:PORT/ or http://localhost:PORT/.";
    ForeignPage = "SC-FOREIGN-PAGE", 403, "http_request_denied",
        "A page of another web site sent this request",
        "The browser says that the request does not come from a page of this address. It would be sent on with this computer's identity.",
        "Enter the address in the browser's address bar. To allow the other site, add its origin to allow_origins of this port's [[proxy.map]] entry.";
    ForeignUser = "SC-FOREIGN-USER", 403, "http_request_denied",
        "Another user of this computer runs this proxy",
        "Requests are sent on with that user's identity, so other users are not served.",
        "Run SeaCat Proxy as yourself on another port, or ask that user to add you to proxy.users.";
    NoSuchPage = "SC-NO-PAGE", 404, "proxy_internal_response",
        "Page not found",
        "This is a proxy, not a web site. It has a start page and /proxy.pac only.",
        "Set this address as the HTTP proxy of the application instead of opening it.";
    PageMethod = "SC-METHOD", 405, "proxy_internal_response",
        "The proxy's own pages are read-only",
        "Nothing can be changed through this port.",
        "Use GET or HEAD, or set this address as the HTTP proxy of the application.";
    Loop = "SC-LOOP", 502, "proxy_loop_detected",
        "Proxy loop detected",
        "The request has already passed through this proxy.",
        "Find the proxy setting or back end that leads back to this proxy.";
    Busy = "SC-BUSY", 503, "connection_limit_reached",
        "Too many connections",
        "The limit of client connections or active requests is reached.",
        "Try again later, close idle applications, or raise the limit in the configuration.";
    NotConnected = "SC-NOT-CONNECTED", 503, "destination_unavailable",
        "Not connected to the gateway",
        "The request was not sent.",
        "Do what the answer says about its cause; `seacat-proxy status` says the same.";
    Stopping = "SC-STOPPING", 503, "destination_unavailable",
        "The proxy is stopping",
        "It finishes active requests and accepts no new ones. The request was not sent.",
        "Try again after it has been restarted.";
    Lost = "SC-LOST", 502, "connection_terminated",
        "The connection to the gateway was lost during the request",
        "The request may or may not have been processed, so it is not sent again.",
        "Check whether it took effect before you repeat it.";
    GatewayRefused = "SC-GATEWAY-REFUSED", 503, "destination_unavailable",
        "The gateway refused the request",
        "It did not start to process it.",
        "Try again. If it persists, contact the gateway's administrator.";
    GatewayReset = "SC-GATEWAY-RESET", 502, "http_response_incomplete",
        "The gateway cancelled the request",
        "It may or may not have been processed.",
        "Check whether it took effect before you repeat it. If it persists, contact the gateway's administrator.";
    BackEndUnreachable = "SC-BACKEND-UNREACHABLE", 504, "connection_timeout",
        "The gateway could not reach the host in time",
        "The connection to the gateway works. The server behind it does not respond.",
        "Contact the administrator of that server.";
    BackEndTimeout = "SC-BACKEND-TIMEOUT", 504, "http_response_timeout",
        "The server did not answer the gateway in time",
        "The request reached the server behind the gateway and may still be processed.",
        "Check whether it took effect before you repeat it. Contact the administrator of that server.";
    BadReply = "SC-BAD-REPLY", 502, "http_protocol_error",
        "The response cannot be forwarded safely",
        "Its head is invalid HTTP, or its length is ambiguous.",
        "Contact the administrator of the server or of the gateway.";
    TunnelRefused = "SC-TUNNEL-REFUSED", 502, "http_upgrade_failed",
        "The gateway did not open the tunnel",
        "The gateway allows CONNECT and Upgrade for some hosts only.",
        "Use http:// for this host (the connection to the gateway is encrypted), or ask the gateway's administrator to allow tunnels.";
    DirectName = "SC-DIRECT-NAME", 502, "dns_error",
        "The host name of a direct route cannot be resolved",
        "A route sends this host directly to the network, where its name is unknown.",
        "Check the name, or change the route to send the host through the gateway.";
    DirectConnect = "SC-DIRECT-CONNECT", 502, "destination_unavailable",
        "The host of a direct route cannot be reached",
        "A route sends this host directly to the network instead of through the gateway.",
        "Check that the host is up, or change the route to send it through the gateway.";
    DirectTimeout = "SC-DIRECT-TIMEOUT", 504, "connection_timeout",
        "The host of a direct route did not answer in time",
        "A route sends this host directly to the network instead of through the gateway.",
        "Check that the host is up, or change the route to send it through the gateway.";
    DirectLost = "SC-DIRECT-LOST", 502, "connection_terminated",
        "The server ended the connection before the end of its answer",
        "A route sends this host directly to the network. The request reached the server and may have been processed.",
        "Check whether it took effect before you repeat it. Contact the administrator of that server.";
    GatewayHost = "SC-GW-HOST", 404, "destination_not_found",
        "The gateway does not know this host",
        "The connection to the gateway works. It has no host of this name.",
        "Check the name, or ask the gateway's administrator to add the host.";
    GatewayIdentity = "SC-GW-IDENTITY", 403, "http_request_denied",
        "This host is only for registered computers",
        "The gateway has not accepted a certificate of this computer.",
        "Run `seacat-proxy enroll`, or open the page Identity in the window.";
    GatewayConnect = "SC-GW-CONNECT", 403, "http_request_denied",
        "The gateway opens no tunnel to this host or port",
        "The gateway allows CONNECT for some hosts and ports only.",
        "Use http:// for this host (the connection to the gateway is encrypted), or ask the gateway's administrator to allow tunnels.";
    GatewayConnectOnly = "SC-GW-CONNECT-ONLY", 405, "http_request_denied",
        "This host takes tunnels only",
        "The gateway forwards CONNECT to it and nothing else.",
        "Use https:// for this host.";
    GatewayRequest = "SC-GW-REQUEST", 400, "http_request_error",
        "The gateway cannot forward the request",
        "Its head cannot be written as HTTP/1.1 for the server.",
        "Fix or update the client program that sent it.";
    ServerRefused = "SC-GW-UNREACHABLE", 502, "destination_unavailable",
        "The server behind the gateway is not reachable",
        "The connection to the gateway works. The server refused the gateway's connection.",
        "Contact the administrator of that server.";
    ServerLost = "SC-GW-LOST", 502, "connection_terminated",
        "The server closed the connection without an answer",
        "The request reached the server behind the gateway and may have been processed.",
        "Check whether it took effect before you repeat it. Contact the administrator of that server.";
    ServerResponse = "SC-GW-RESPONSE", 502, "http_protocol_error",
        "The answer of the server is invalid",
        "The gateway could not forward it safely.",
        "Contact the administrator of that server.";
    ServerResponseHead = "SC-GW-RESPONSE-HEAD", 502, "http_response_header_section_size",
        "The head of the server's answer is too large",
        "It does not fit into one frame of 16 KiB.",
        "Delete the cookies of this host, or contact the administrator of that server.";
    GatewayError = "SC-GW-ERROR", 502, "proxy_internal_error",
        "The gateway answered with an error",
        "It comes from the gateway and not from the server behind it.",
        "Contact the gateway's administrator.";
    ClientGone = "SC-CLIENT-GONE", 499, "http_request_error",
        "The client went away",
        "It closed the connection before the response was complete. Appears in access log lines only.",
        "None, unless the client's own timeout is too short.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_speak_in_sentences() {
        let mut codes: Vec<_> = error_table().iter().map(|row| row.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), error_table().len());
        for row in error_table() {
            assert!(row.code.starts_with("SC-"), "{}", row.code);
            assert!((400..600).contains(&row.status), "{}", row.code);
            assert!(!row.title.ends_with('.'), "{}", row.code);
            assert!(row.meaning.ends_with('.') && row.advice.ends_with('.'), "{}", row.code);
        }
        assert_eq!(Code::Loop.row().code, "SC-LOOP");
        for row in error_table() {
            assert_eq!(Code::named(row.code).unwrap().row().code, row.code);
        }
        assert_eq!(Code::named("SC-"), None);
        assert_eq!(Code::ClientGone.to_string(), "SC-CLIENT-GONE");
    }
}
