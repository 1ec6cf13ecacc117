//! Forwarding of a request: through the channel, or directly to the network.

#[cfg(test)]
mod client_tests;
pub(crate) mod direct;
pub(crate) mod fields;
mod gateway_error;

use http::{Method, StatusCode};
use seacat_channel::{Duplex, Replay, Reply, ReplyHead, Tunnel};

use crate::access::Record;
use crate::errors::Code;
use crate::fault::{Fault, add_proxy_status};
use crate::policy::Destination;
use crate::policy::host::gateway_name;
use crate::server::client::Shared;
use crate::server::request_body::ClientBody;
use crate::server::response_body::Source;
use direct::DirectTunnel;
use fields::{BadReply, Incoming, Outgoing, from_gateway};

/// A request to forward.
pub(crate) struct Forward<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) method: &'a Method,
    pub(crate) destination: &'a Destination<'a>,
    pub(crate) outgoing: Outgoing<'a>,
    /// CONNECT or Upgrade.
    pub(crate) tunnel: bool,
}

/// The result of forwarding.
pub(crate) enum Forwarded {
    Response(Incoming, Source),
    Tunnel(Incoming, Far),
}

/// The far end of a tunnel.
pub(crate) enum Far {
    Gateway(Duplex),
    Direct(DirectTunnel),
}

impl Forward<'_> {
    /// One exchange, or one tunnel, on the channel.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
    )]
    pub(crate) fn through_gateway(
        &self,
        body: Option<ClientBody>,
        record: &mut Record,
    ) -> impl Future<Output = Result<Forwarded, Fault>> {
        async move {
            let host = gateway_name(self.destination.host)
                .ok_or_else(|| Fault::new(Code::BadTarget, "The target names no host."))?;
            let head = self
                .outgoing
                .seacat(host, self.method.as_str(), self.destination.path)
                .map_err(|_| {
                    Fault::new(Code::HeadTooLarge, "The head does not fit in one frame of 16 KiB.")
                })?;
            let channel = &self.shared.channel;
            if self.tunnel {
                match Box::pin(channel.tunnel(head, self.opens())).await? {
                    Tunnel::Open(head, far, timings) => {
                        record.waited(timings.waited());
                        Ok(Forwarded::Tunnel(
                            self.tunnel_head(self.read(&head)?),
                            Far::Gateway(far),
                        ))
                    }
                    Tunnel::Refused(reply) => {
                        record.waited(reply.timings.waited());
                        self.refused(reply)
                    }
                }
            } else {
                let replay =
                    if self.method.is_idempotent() { Replay::Idempotent } else { Replay::Never };
                let reply = channel.exchange(head, body, replay).await?;
                record.waited(reply.timings.waited());
                self.forwarded(reply)
            }
        }
    }

    /// The statuses that open a tunnel.
    fn opens(&self) -> fn(u16) -> bool {
        if self.method == Method::CONNECT {
            |status| (200..300).contains(&status)
        } else {
            |status| status == 101
        }
    }

    fn read(&self, head: &ReplyHead) -> Result<Incoming, BadReply> {
        from_gateway(head, self.outgoing.upgrade, self.outgoing.pseudonym)
    }

    fn forwarded(&self, reply: Reply) -> Result<Forwarded, Fault> {
        let head = self.read(&reply.head)?;
        if let Some(fault) = gateway_error::read(&head) {
            return Err(fault);
        }
        let bodiless = self.method == Method::HEAD || head.is_bodiless();
        if !bodiless && reply.body.is_ended() && head.length.is_some_and(|length| length > 0) {
            return Err(BadReply("The answer announces a body and has none.").into());
        }
        Ok(Forwarded::Response(head, Source::Gateway(reply.body)))
    }

    /// The gateway answered, but opened no tunnel: the application gets its response, marked in
    /// Proxy-Status, or our explanation where it has no body or the gateway made it. (A 2xx or 3xx without a body is an answer: RFC 9110
    /// section 7.8 lets a server ignore Upgrade.)
    fn refused(&self, reply: Reply) -> Result<Forwarded, Fault> {
        let mut answer = self.forwarded(reply)?;
        if let Forwarded::Response(head, Source::Gateway(body)) = &mut answer
            && (self.method == Method::CONNECT || head.status.as_u16() >= 400)
        {
            if body.is_ended() || head.length == Some(0) {
                return Err(Fault::tunnel_refused(head.status));
            }
            add_proxy_status(&mut head.fields, Code::TunnelRefused);
        }
        Ok(answer)
    }

    /// The head that opens a tunnel towards the client: it has no framing, and after an Upgrade
    /// it names the protocol.
    fn tunnel_head(&self, mut head: Incoming) -> Incoming {
        head.fields.remove("content-length");
        if head.status == StatusCode::SWITCHING_PROTOCOLS
            && !head.fields.contains("upgrade")
            && let Some(asked) = self.outgoing.request.fields.get("upgrade")
        {
            head.fields.set("Upgrade", asked);
            head.fields.set("Connection", b"Upgrade");
        }
        head
    }
}
