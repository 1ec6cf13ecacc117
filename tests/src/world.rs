//! A whole set-up: origins, a gateway, a proxy.

use crate::gateway::{Gateway, Host};
use crate::nginx::Nginx;
use crate::origin::Origin;
use crate::proxy::Proxy;

/// What most scenarios need. The gateway's hosts are `web` (nginx), `origin` (ours), `secure`
/// (nginx with TLS, by CONNECT) and `ws` (a WebSocket server, when one is given).
#[derive(Debug)]
pub struct World {
    /// The proxy, whose mapped port leads to `origin` (to `ws`, when there is one).
    pub proxy: Proxy,
    /// The gateway.
    pub gateway: Gateway,
    /// Behind `web` and `secure`.
    pub nginx: Nginx,
    /// Behind `origin`.
    pub origin: Origin,
}

impl World {
    /// Starts everything and waits until a request has succeeded.
    pub fn start() -> Self {
        Self::with_websocket(None)
    }

    /// The same with a WebSocket server on `port` as the host `ws`.
    pub fn with_websocket(port: Option<u16>) -> Self {
        let nginx = Nginx::start();
        let origin = Origin::start();
        let host = |name, port, tunnel| Host { name, port, tunnel };
        let mut hosts = vec![
            host("web", nginx.port(), false),
            host("origin", origin.port(), false),
            host("secure", nginx.tls_port(), true),
        ];
        hosts.extend(port.map(|port| host("ws", port, true)));
        let gateway = Gateway::start(&hosts);
        let mapped = if port.is_some() { "ws" } else { "origin" };
        let proxy = Proxy::start(gateway.port(), &gateway.ca(), mapped);
        let world = Self { proxy, gateway, nginx, origin };
        let hello = world.proxy.client().get("http://web.seacat/hello.txt").expect("an answer");
        assert_eq!(hello.status, 200, "the first request: {}", hello.text());
        assert_eq!(hello.text(), crate::nginx::HELLO);
        world
    }
}
