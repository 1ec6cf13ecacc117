//! One request, from the gate's verdict to the answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming as Body;
use hyper::upgrade::OnUpgrade;
use seacat_channel::Channel;

use crate::access::{AccessLog, Record, Route};
use crate::activity::Activity;
use crate::body::{FromClient, Source, ToClient};
use crate::config::{Credentials, Limits, MappedPort, ProxyConfig};
use crate::errors::Code;
use crate::fields::Fields;
use crate::forward::Errand;
use crate::gate::Passed;
use crate::gated::Notes;
use crate::headers::{Incoming, Outgoing, Pseudonym, X_SC_HOST};
use crate::message::{Reply, RequestHead};
use crate::pages;
use crate::policy::origin;
use crate::policy::users::{Stranger, UserCheck};
use crate::reply::{Fault, render};
use crate::respond::Date;
use crate::routes::{Action, Routes};
use crate::syntax::authority;
use crate::target::{Target, gateway_name, is_loopback, path, without_query};
use crate::tunnel::{Afterwards, Wire};

/// The port of `http://` when none is given.
const HTTP_PORT: u16 = 80;

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) channel: Channel,
    pub(crate) routes: Routes,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) users: UserCheck,
    pub(crate) allow_remote: bool,
    pub(crate) limits: Limits,
    /// Every address we listen on.
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) pseudonym: Pseudonym,
    pub(crate) log: AccessLog,
    pub(crate) date: Date,
}

impl Shared {
    /// The same by another configuration.
    pub(crate) fn turned(&self, config: ProxyConfig, own: Vec<SocketAddr>) -> Self {
        Self {
            channel: self.channel.clone(),
            routes: config.routes,
            credentials: config.credentials,
            users: UserCheck::new(config.users),
            allow_remote: config.allow_remote,
            limits: config.limits,
            own,
            pseudonym: self.pseudonym.clone(),
            log: self.log.clone(),
            date: Date::default(),
        }
    }

    /// Who is at the other end of a new connection, if the user may not use this port.
    pub(crate) fn stranger(
        &self,
        door: &Door,
        peer: SocketAddr,
        here: SocketAddr,
    ) -> Option<Stranger> {
        match door {
            // Whoever has the credentials may use it.
            Door::Proxy if self.credentials.is_some() => None,
            _ => self.users.stranger(peer, here),
        }
    }
}

/// What a listening port is for.
#[derive(Debug, Clone)]
pub(crate) enum Door {
    /// The HTTP proxy.
    Proxy,
    /// One host of the gateway.
    Mapped(Arc<MappedPort>),
}

/// One client connection. In this order: what each request looks at, then the rest. Of ten thousand each is
/// fetched from memory for its request.
#[repr(C)]
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) door: Door,
    /// Its own end.
    pub(crate) peer: SocketAddr,
    /// One too many: it gets its 503 and is closed.
    pub(crate) surplus: bool,
    /// Another user's: its requests are refused.
    pub(crate) stranger: Option<Stranger>,
    /// Our end of it.
    pub(crate) here: SocketAddr,
    /// What the gate says, once there is one.
    pub(crate) notes: OnceLock<Arc<Notes>>,
    /// What follows hyper's last answer on this connection, if anything does.
    pub(crate) afterwards: Mutex<Option<Afterwards>>,
}

/// Where a request goes.
enum Aim<'a> {
    /// To one of our own pages.
    Here,
    /// To a host of the gateway that the port or X-SC-HOST names, whatever the routes say.
    Gateway(Target<'a>),
    /// To a host about which the routes decide.
    Routed(Target<'a>),
}

/// The answer to a request, not yet owning its record.
pub(crate) enum Answer {
    Own(Reply<Bytes>),
    Forwarded(Incoming, Source),
    Tunnel(Incoming, Box<dyn Wire>),
}

impl Client {
    /// Answers a request that hyper has read. `passed` is the gate's verdict on it.
    pub(crate) async fn answer_hyper(
        &self,
        mut request: Request<Body>,
        passed: Passed,
    ) -> Response<ToClient> {
        let upgrade = (passed == Passed::Tunnel).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let body = (!body.is_end_stream()).then_some(body);
        self.answer(&parts.into(), body, passed, upgrade).await.into()
    }

    /// Answers one request. `passed` is the gate's verdict on it, `upgrade` the rest of the
    /// connection if it wants a tunnel.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    pub(crate) fn answer(
        &self,
        request: &RequestHead,
        body: Option<Body>,
        passed: Passed,
        upgrade: Option<OnUpgrade>,
    ) -> impl Future<Output = Reply<ToClient>> {
        async move {
            let has_body = body.is_some();
            let named = Target::named(&request.target);
            let mut record = self.record(request, named.as_ref(), passed);
            let outcome = self.serve(request, named, body, passed, &mut record).await;

            // After an error nobody reads the rest of a body.
            let unread = has_body && outcome.is_err();
            let rejected = matches!(passed, Passed::Rejected(_));
            let close = rejected || self.surplus || unread || upgrade.is_some();
            let mut reply = match (outcome, upgrade) {
                (Ok(Answer::Tunnel(head, far)), Some(client)) => {
                    record.answered(head.status.as_u16(), None);
                    let record = Box::new(record);
                    self.then(Afterwards::Tunnel { client, far, record });
                    return Reply::new(head.status, head.fields, ToClient::nothing());
                }
                (outcome, upgrade) => {
                    if let Some(client) = upgrade {
                        self.then(Afterwards::Close(client));
                    }
                    self.finish(outcome, request, record)
                }
            };
            if close {
                reply.fields.set("connection", b"close");
            }
            reply
        }
    }

    fn record(&self, request: &RequestHead, named: Option<&Target<'_>>, passed: Passed) -> Record {
        let (host, path) = match (passed, named) {
            // What the substitute asks for means nothing.
            (Passed::Rejected(_), _) => ("", ""),
            (_, Some(named)) => (named.host, named.bare_path()),
            (_, None) => ("", without_query(&request.target)),
        };
        let busy = self.activity.begin();
        Record::begin(&self.shared.log, busy, self.peer, &request.method, host, path)
    }

    fn then(&self, afterwards: Afterwards) {
        *self.afterwards.lock().unwrap_or_else(PoisonError::into_inner) = Some(afterwards);
    }

    /// Makes the response of an answer that is not a tunnel.
    fn finish(
        &self,
        outcome: Result<Answer, Fault>,
        request: &RequestHead,
        mut record: Record,
    ) -> Reply<ToClient> {
        let (own, error) = match outcome {
            Ok(Answer::Forwarded(head, source)) => {
                record.answered(head.status.as_u16(), None);
                return forwarded(&request.method, head, source, record);
            }
            // Only a request that wants a tunnel gets one.
            Ok(Answer::Tunnel(head, _)) => {
                (Reply::new(head.status, head.fields, Bytes::new()), None)
            }
            Ok(Answer::Own(own)) => (own, None),
            Err(fault) => {
                // Whatever came of it: the request itself was broken.
                let fault = self
                    .notes
                    .get()
                    .and_then(|notes| notes.body_fault())
                    .map_or(fault, Fault::from);
                (render(&fault, &request.fields), Some(fault.code))
            }
        };
        record.answered(own.status.as_u16(), error);
        own.map(|bytes| ToClient::new(Source::Own(bytes), None, record))
    }

    /// What becomes of the request.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    fn serve(
        &self,
        request: &RequestHead,
        named: Option<Target<'_>>,
        body: Option<Body>,
        passed: Passed,
        record: &mut Record,
    ) -> impl Future<Output = Result<Answer, Fault>> {
        async move {
            if let Passed::Rejected(reject) = passed {
                return Err(reject.into());
            }
            if self.surplus {
                let limit = self.shared.limits.connections;
                return Err(Fault::new(
                    Code::Busy,
                    format!("{limit} connections are open already."),
                ));
            }
            if let Some(stranger) = self.stranger {
                return Err(stranger.into());
            }
            let (target, routed) = match self.aim(request, named)? {
                Aim::Here => {
                    return pages::answer(request, self.here, &self.shared.routes).map(Answer::Own);
                }
                Aim::Gateway(target) => (target, false),
                Aim::Routed(target) => (target, true),
            };
            record.host(target.host);
            if self.shared.pseudonym.is_in(&request.fields) {
                return Err(Fault::new(Code::Loop, "The Via field names this very proxy."));
            }
            let max_forwards = max_forwards(request);
            if max_forwards == Some(0) {
                let trace = request.method == Method::TRACE;
                return Ok(Answer::Own(if trace {
                    pages::trace(request)
                } else {
                    pages::options()
                }));
            }
            let body = body
                .map(|body| FromClient::new(body, record.up(), self.shared.limits.body))
                .transpose()
                .map_err(|error| Fault::new(Code::BodyTooLarge, format!("{error}.")))?;
            let errand = Errand {
                shared: &self.shared,
                method: &request.method,
                target: &target,
                outgoing: Outgoing {
                    version: request.version,
                    fields: &request.fields,
                    upgrade: passed == Passed::Tunnel && request.method != Method::CONNECT,
                    max_forwards: max_forwards.map(|count| count - 1),
                    pseudonym: &self.shared.pseudonym,
                },
                tunnel: passed == Passed::Tunnel,
            };
            match if routed { self.route(&target)? } else { Way::Gateway } {
                Way::Gateway => {
                    record.route(Route::Gateway);
                    errand.through_gateway(body, record).await
                }
                Way::Direct { loopback } => {
                    record.route(Route::Direct);
                    let port = target.port.unwrap_or(HTTP_PORT);
                    // Boxed, as all that is seldom: what has to be moved for each request is small.
                    Box::pin(errand.directly(body, port, loopback)).await
                }
            }
        }
    }

    /// Where the request wants to go, and whether its sender may ask.
    fn aim<'a>(
        &'a self,
        request: &'a RequestHead,
        named: Option<Target<'a>>,
    ) -> Result<Aim<'a>, Fault> {
        let host = match &self.door {
            Door::Mapped(port) => {
                self.check_mapped(request, port)?;
                &port.host
            }
            Door::Proxy => {
                let chosen = chosen_host(&request.fields)?;
                if named.is_some() || chosen.is_some() {
                    self.check_credentials(&request.fields)?;
                }
                if let Some(target) = named {
                    return Ok(Aim::Routed(target));
                }
                if !self.shared.allow_remote && !pages::host_is_ours(&request.fields) {
                    return Err(foreign_host());
                }
                origin::check(&request.fields, &[])?;
                match chosen {
                    None => return Ok(Aim::Here),
                    Some(value) => {
                        authority(value)
                            .ok_or_else(|| Fault::new(Code::BadHost, "X-SC-HOST is not a host."))?
                            .0
                    }
                }
            }
        };
        Ok(Aim::Gateway(Target { host, port: None, path: path(&request.target) }))
    }

    fn check_credentials(&self, fields: &Fields) -> Result<(), Fault> {
        match &self.shared.credentials {
            Some(credentials) if !credentials.are_in(fields) => {
                Err(Fault::new(Code::AuthRequired, "Proxy-Authorization is missing or wrong."))
            }
            _ => Ok(()),
        }
    }

    /// A mapped port takes what is meant for its host or for this computer: not the requests of
    /// a web site whose name was made to point here, nor those of other sites' pages.
    fn check_mapped(&self, request: &RequestHead, port: &MappedPort) -> Result<(), Fault> {
        if request.method == Method::CONNECT {
            let what = "This port stands for one host and opens no tunnels.";
            return Err(Fault::new(Code::BadTarget, what));
        }
        let typed = request.fields.get("host").and_then(authority);
        let by_name = typed.and_then(|(typed, _)| gateway_name(typed)) == Some(&port.host);
        if !by_name && !pages::host_is_ours(&request.fields) {
            return Err(foreign_host());
        }
        origin::check(&request.fields, &port.allow_origins)
    }

    /// What the routes say, once it is clear that the target is not ourselves.
    fn route(&self, target: &Target<'_>) -> Result<Way, Fault> {
        let decision = self.shared.routes.decide(target.host);
        let loopback = is_loopback(target.host);
        if self.shared.is_own(target.host, target.port.unwrap_or(HTTP_PORT)) {
            return Err(Fault::new(Code::OwnAddress, "The target is an address of this proxy."));
        }
        if loopback && !decision.explicit {
            return Err(Fault::new(Code::LoopbackTarget, "The target is this computer."));
        }
        match decision.action {
            Action::Gateway => Ok(Way::Gateway),
            Action::Direct => Ok(Way::Direct { loopback }),
            Action::Refuse => Err(Fault::new(Code::RouteRefused, "A route refuses this host.")),
        }
    }
}

/// The way of a routed request.
enum Way {
    Gateway,
    /// `loopback`: a rule allows this computer by name.
    Direct {
        loopback: bool,
    },
}

impl Shared {
    /// Whether a host as written, with its port, is where we listen.
    pub(crate) fn is_own(&self, host: &str, port: u16) -> bool {
        let is_here = |own: &SocketAddr| {
            is_loopback(host) || host.trim_matches(['[', ']']).parse() == Ok(own.ip())
        };
        self.own.iter().any(|own| own.port() == port && is_here(own))
    }
}

/// The one host that X-SC-HOST names, if the field is there.
fn chosen_host(fields: &Fields) -> Result<Option<&[u8]>, Fault> {
    let mut values = fields.all(X_SC_HOST);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Fault::new(Code::BadHost, "X-SC-HOST stands there twice.")),
        (one, None) => Ok(one),
    }
}

fn foreign_host() -> Fault {
    Fault::new(Code::ForeignHost, "The Host field names another computer.")
}

/// Max-Forwards, which counts for TRACE and OPTIONS only (RFC 9110 section 7.6.2).
fn max_forwards(request: &RequestHead) -> Option<u32> {
    if request.method != Method::TRACE && request.method != Method::OPTIONS {
        return None;
    }
    std::str::from_utf8(request.fields.get("max-forwards")?).ok()?.parse().ok()
}

/// The response of an answer from elsewhere, framed as its request and status demand.
fn forwarded(method: &Method, head: Incoming, source: Source, record: Record) -> Reply<ToClient> {
    let bodiless = method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless {
        ToClient::empty(source, record)
    } else {
        ToClient::new(source, head.length, record)
    };
    Reply::new(head.status, head.fields, body)
}
