//! One request, from its head to its response.

use http::Method;
use seacat_http1::{Framing, RequestHead};

use crate::access::{Record, Route};
use crate::errors::Code;
use crate::fault::{Fault, render};
use crate::forward::fields::Outgoing;
use crate::forward::{Forward, Forwarded};
use crate::pages;
use crate::policy::{self, Addressee, Destination, HTTP_PORT, RouteChoice};
use crate::request_code::RequestCode;
use crate::response::Response;
use crate::server::client::Client;
use crate::server::request_body::ClientBody;
use crate::server::response_body::{ResponseBody, Source};
use crate::server::tunnel::OpenTunnel;
use bytes::Bytes;

/// What has become of a request.
pub(crate) enum Served {
    Response(Response<ResponseBody>),
    /// The rest of the connection is a tunnel.
    Tunnel(Box<OpenTunnel>),
}

/// The source of the response to a request.
enum Origin {
    Own(Response<Bytes>),
    Forwarded(Forwarded),
}

impl Client {
    /// Answers one request.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
    )]
    pub(crate) fn answer(
        &self,
        request: &RequestHead,
        body: Option<ClientBody>,
    ) -> impl Future<Output = Served> {
        async move {
            let has_body = body.is_some();
            let named = Destination::named(request);
            let mut record = self.record(request, named.as_ref());
            let outcome = self.serve(request, body, &mut record).await;
            if is_failure(&outcome) || self.shared.log.programs().is_looked_at() {
                // Its socket is open until it has the response.
                record.program(Box::pin(self.program()).await);
            }
            let (response, error) = match outcome {
                Ok(Origin::Forwarded(Forwarded::Response(head, source))) => {
                    record.answered(head.status.as_u16(), None);
                    let bodiless = request.method == Method::HEAD || head.is_bodiless();
                    let body = if bodiless {
                        ResponseBody::empty(source, record)
                    } else {
                        ResponseBody::new(source, head.length, record)
                    };
                    return Served::Response(head.into_response(body));
                }
                Ok(Origin::Forwarded(Forwarded::Tunnel(head, far))) => {
                    record.answered(head.status.as_u16(), None);
                    let tunnel = OpenTunnel::new(request.version, &head, far, record);
                    return Served::Tunnel(Box::new(tunnel));
                }
                Ok(Origin::Own(own)) => (own, None),
                Err(fault) => {
                    let id = RequestCode::random();
                    record.identify(id);
                    let mut response = render(&fault, &request.fields, id);
                    // After an error nothing reads the rest of a body.
                    if has_body {
                        response.fields.push(b"Connection", b"close");
                    }
                    (response, Some(fault.code))
                }
            };
            record.answered(response.status.as_u16(), error);
            let mut response =
                response.map(|bytes| ResponseBody::new(Source::Own(bytes), None, record));
            if self.surplus {
                response.fields.set("Connection", b"close");
            }
            Served::Response(response)
        }
    }

    /// The response to a head that is refused.
    pub(crate) fn refuse(&self, fault: &Fault) -> Response<ResponseBody> {
        let log = &self.shared.log;
        let mut record = Record::begin(log, self.activity.begin(), self.peer, &Method::GET, "", "");
        let id = RequestCode::random();
        record.identify(id);
        let response = render(fault, &seacat_http1::Fields::default(), id);
        record.answered(response.status.as_u16(), Some(fault.code));
        response.map(|bytes| ResponseBody::new(Source::Own(bytes), None, record))
    }

    fn record(&self, request: &RequestHead, named: Option<&Destination<'_>>) -> Record {
        let host = named.map_or("", |named| named.host);
        let path = String::from_utf8_lossy(pages::without_query(request.target.path()));
        let busy = self.activity.begin();
        Record::begin(&self.shared.log, busy, self.peer, &request.method, host, &path)
    }

    /// What becomes of the request.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn captures its arguments twice (rust-lang/rust#62958), which makes the task larger"
    )]
    fn serve(
        &self,
        request: &RequestHead,
        body: Option<ClientBody>,
        record: &mut Record,
    ) -> impl Future<Output = Result<Origin, Fault>> {
        async move {
            if self.surplus {
                let limit = self.shared.limits.connections;
                let what = format!("{limit} connections are open.");
                return Err(Fault::new(Code::Busy, what));
            }
            policy::admit(self, request)?;
            let (destination, routed) = match policy::address(self, request)? {
                Addressee::Here => {
                    return pages::answer(request, self.here, &self.shared.routes).map(Origin::Own);
                }
                Addressee::Gateway(destination) => (destination, false),
                Addressee::Routed(destination) => (destination, true),
            };
            record.host(destination.host);
            if self.shared.pseudonym.is_in(&request.fields) {
                return Err(Fault::new(
                    Code::Loop,
                    "The Via field contains the name of this proxy.",
                ));
            }
            let max_forwards = max_forwards(request)?;
            if max_forwards == Some(0) {
                let trace = request.method == Method::TRACE;
                let own = if trace { pages::trace(request) } else { pages::options() };
                return Ok(Origin::Own(own));
            }
            let body = body
                .map(|body| body.limited(record.up(), &self.shared.limits))
                .transpose()
                .map_err(|error| Fault::new(Code::BodyTooLarge, format!("{error}.")))?;
            let tunnel = request.framing == Framing::Tunnel;
            let forward = Forward {
                shared: &self.shared,
                method: &request.method,
                destination: &destination,
                outgoing: Outgoing {
                    request,
                    host: destination.typed,
                    connection: self.named.as_ref().map(|named| named.id()),
                    upgrade: tunnel && request.method != Method::CONNECT,
                    empty: body.is_none() && request.framing == Framing::Chunked,
                    max_forwards: max_forwards.map(|count| count - 1),
                    pseudonym: &self.shared.pseudonym,
                },
                tunnel,
            };
            let choice = if routed {
                policy::route(&self.shared, &destination)?
            } else {
                RouteChoice::Gateway
            };
            match choice {
                RouteChoice::Gateway => {
                    record.route(Route::Gateway);
                    forward.through_gateway(body, record).await
                }
                RouteChoice::Direct { loopback } => {
                    record.route(Route::Direct);
                    let port = destination.port.unwrap_or(HTTP_PORT);
                    // Boxed, as all that is seldom: what has to be moved for each request is small.
                    Box::pin(forward.directly(body, port, loopback)).await
                }
            }
            .map(Origin::Forwarded)
        }
    }
}

/// Whether the client does not get what it asked for.
fn is_failure(outcome: &Result<Origin, Fault>) -> bool {
    let status = match outcome {
        Ok(Origin::Own(own)) => own.status,
        Ok(Origin::Forwarded(Forwarded::Response(head, _) | Forwarded::Tunnel(head, _))) => {
            head.status
        }
        Err(_) => return true,
    };
    status.is_client_error() || status.is_server_error()
}

/// Max-Forwards, which counts for TRACE and OPTIONS only (RFC 9110 section 7.6.2).
///
/// # Errors
/// It is not one plain number.
fn max_forwards(request: &RequestHead) -> Result<Option<u32>, Fault> {
    if request.method != Method::TRACE && request.method != Method::OPTIONS {
        return Ok(None);
    }
    let mut values = request.fields.all("max-forwards");
    let Some(value) = values.next() else { return Ok(None) };
    let plain = value.iter().all(u8::is_ascii_digit) && values.next().is_none();
    let count = std::str::from_utf8(value).ok().filter(|_| plain).and_then(|it| it.parse().ok());
    match count {
        Some(count) => Ok(Some(count)),
        None => Err(Fault::new(Code::BadRequest, "Max-Forwards is not one plain number.")),
    }
}
