//! Sending a request on: through the channel, or straight to the network.

use http::header::HeaderValue;
use http::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use seacat_channel::{Replay, Reply, ReplyHead, Tunnel};

use crate::access::Record;
use crate::body::{FromClient, Source};
use crate::direct;
use crate::errors::Code;
use crate::fields::Fields;
use crate::headers::{BadReply, Incoming, Outgoing, from_gateway, incoming};
use crate::reply::{Fault, add_proxy_status};
use crate::service::{Answer, Shared};
use crate::target::{Target, gateway_name, is_loopback_address};

/// A request that is to be sent on.
pub(crate) struct Errand<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target<'a>,
    pub(crate) outgoing: Outgoing<'a>,
    /// CONNECT or Upgrade.
    pub(crate) tunnel: bool,
}

impl Errand<'_> {
    /// One exchange, or one tunnel, on the channel.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    pub(crate) fn through_gateway(
        &self,
        body: Option<FromClient>,
        record: &mut Record,
    ) -> impl Future<Output = Result<Answer, Fault>> {
        async move {
            let host = gateway_name(self.target.host)
                .ok_or_else(|| Fault::new(Code::BadTarget, "The target names no host."))?;
            let head = self
                .outgoing
                .seacat(host, self.method.as_str(), &self.target.path)
                .map_err(|_| {
                    Fault::new(Code::HeadTooLarge, "The head does not fit in one frame of 16 KiB.")
                })?;
            let channel = &self.shared.channel;
            if self.tunnel {
                match Box::pin(channel.tunnel(head, self.opens())).await? {
                    Tunnel::Open(head, far, timings) => {
                        record.waited(timings.waited());
                        Ok(Answer::Tunnel(self.tunnel_head(self.read(&head)?), Box::new(far)))
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

    fn forwarded(&self, reply: Reply) -> Result<Answer, Fault> {
        let head = self.read(&reply.head)?;
        let bodiless = self.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        if !bodiless && reply.body.is_ended() && head.length.is_some_and(|length| length > 0) {
            return Err(BadReply("The answer announces a body and has none.").into());
        }
        Ok(Answer::Forwarded(head, Source::Gateway(reply.body)))
    }

    /// The gateway answered, but opened no tunnel: the application gets what it said, marked in
    /// Proxy-Status, and our explanation where it said nothing. (A 2xx or 3xx without a body is an answer: RFC 9110
    /// section 7.8 lets a server ignore Upgrade.)
    fn refused(&self, reply: Reply) -> Result<Answer, Fault> {
        let mut answer = self.forwarded(reply)?;
        if let Answer::Forwarded(head, Source::Gateway(body)) = &mut answer
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
            && let Some(asked) = self.outgoing.fields.get("upgrade")
        {
            head.fields.set("upgrade", asked);
            head.fields.set("connection", b"Upgrade");
        }
        head
    }

    /// The same on a connection of its own. `loopback`: this computer may be reached.
    pub(crate) async fn directly(
        &self,
        body: Option<FromClient>,
        port: u16,
        loopback: bool,
    ) -> Result<Answer, Fault> {
        let limit = self.shared.limits.direct_connect;
        let tcp = direct::dial(self.target.host, port, limit, |address| {
            if self.shared.own.contains(&address) {
                return Some(Fault::new(Code::OwnAddress, "The name points to this proxy."));
            }
            let forbidden = is_loopback_address(address.ip()) && !loopback;
            forbidden.then(|| Fault::new(Code::LoopbackTarget, "The name points to this computer."))
        })
        .await?;
        if self.method == Method::CONNECT {
            let head = incoming(StatusCode::OK, Fields::default(), false, self.outgoing.pseudonym)?;
            return Ok(Answer::Tunnel(head, Box::new(tcp)));
        }
        let mut response = direct::exchange(tcp, self.direct_request(body)?).await?;
        let switched = self.outgoing.upgrade && response.status() == 101;
        let far = switched.then(|| hyper::upgrade::on(&mut response));
        let (parts, body) = response.into_parts();
        let pseudonym = self.outgoing.pseudonym;
        let head = incoming(parts.status, (&parts.headers).into(), switched, pseudonym)?;
        match far {
            None => Ok(Answer::Forwarded(head, Source::Direct(body))),
            Some(far) => {
                let far = far.await.map_err(|error| {
                    Fault::new(Code::Lost, format!("The upgrade failed: {error}."))
                })?;
                Ok(Answer::Tunnel(self.tunnel_head(head), Box::new(TokioIo::new(far))))
            }
        }
    }

    fn direct_request(&self, body: Option<FromClient>) -> Result<Request<FromClient>, Fault> {
        let invalid = |_| Fault::new(Code::BadTarget, "The target is not valid.");
        let host = match self.target.port {
            Some(port) => format!("{}:{port}", self.target.host),
            None => self.target.host.to_owned(),
        };
        let host = HeaderValue::try_from(host).map_err(http::Error::from).map_err(invalid)?;
        let mut request = Request::builder()
            .method(self.method)
            .uri(&*self.target.path)
            .body(body.unwrap_or_else(FromClient::nothing))
            .map_err(invalid)?;
        *request.headers_mut() = self.outgoing.http(host);
        Ok(request)
    }
}
