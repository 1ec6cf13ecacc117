//! The ONLY place where an error becomes HTTP: status, Proxy-Status, code, and a body that says
//! what happened, what it means and what to do, in the form the client asks for.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use seacat_channel::{ExchangeError, Failure, Reason, StreamError};
use seacat_http1::syntax::{list, trim};
use seacat_http1::{Fields, Rule, Violation};

use crate::errors::Code;
use crate::forward::fields::BadReply;
use crate::request_code::RequestCode;
use crate::response::Response;
use crate::server::request_body::{BodyStalled, BodyTooLarge};

/// Retry-After of a 503 when nothing better is known.
const SOON: Duration = Duration::from_secs(5);
/// Retry-After when a user has to act first: one request per minute is harmless.
const AFTER_A_HUMAN: Duration = Duration::from_secs(60);

/// Why a request has no proper answer.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// What happened this time, a full sentence without secrets.
    what: Cow<'static, str>,
    /// In place of the table's status: what the gateway said itself.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    /// In place of the table's: what this very cause means and asks for.
    explained: Option<(&'static str, String)>,
    /// Of an answer that the gateway made: the fields that stay, its own Proxy-Status among them.
    kept: Option<Box<Fields>>,
}

impl Fault {
    pub(crate) fn new(code: Code, what: impl Into<Cow<'static, str>>) -> Self {
        let what = what.into();
        Fault { code, what, status: None, retry_after: None, explained: None, kept: None }
    }

    /// An error that the gateway made and described in its Proxy-Status. `kept` are the fields of its
    /// answer that stay.
    pub(crate) fn of_gateway(code: Code, status: StatusCode, details: &str, kept: Fields) -> Self {
        let (status, kept) = (Some(status), Some(Box::new(kept)));
        Fault { status, kept, ..Fault::new(code, sentence(details)) }
    }

    /// The gateway answered a request for a tunnel with `status` and nothing else.
    pub(crate) fn tunnel_refused(status: StatusCode) -> Self {
        let what = format!("The gateway answered {status} to the request for a tunnel.");
        Fault { status: Some(status), ..Fault::new(Code::TunnelRefused, what) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        let table = StatusCode::from_u16(self.code.row().status);
        self.status.or(table.ok()).unwrap_or(StatusCode::BAD_GATEWAY)
    }

    fn meaning(&self) -> &str {
        self.explained.as_ref().map_or(self.code.row().meaning, |it| it.0)
    }

    fn advice(&self) -> &str {
        self.explained.as_ref().map_or(self.code.row().advice, |it| &it.1)
    }
}

impl From<Violation> for Fault {
    fn from(Violation { rule, what }: Violation) -> Self {
        let code = match rule {
            Rule::Syntax => Code::BadRequest,
            Rule::Length => Code::AmbiguousLength,
            Rule::TransferCoding | Rule::MethodTooLong => Code::NotImplemented,
            Rule::Chunk => Code::BadChunk,
            Rule::Host => Code::BadHost,
            Rule::Target => Code::BadTarget,
            Rule::Scheme => Code::Scheme,
            Rule::Protocol => Code::NotHttp,
            Rule::Version => Code::Version,
            Rule::TargetTooLong => Code::TargetTooLong,
            Rule::HeadTooLarge => Code::HeadTooLarge,
            Rule::Incomplete => Code::BodyCut,
        };
        Fault::new(code, what)
    }
}

/// A request whose own body could not be read to its end.
pub(crate) fn of_broken_request(cause: &(dyn Error + 'static)) -> Fault {
    if let Some(violation) = cause.downcast_ref::<Violation>() {
        return (*violation).into();
    }
    if cause.is::<BodyTooLarge>() {
        return Fault::new(Code::BodyTooLarge, sentence(&cause.to_string()));
    }
    if cause.is::<BodyStalled>() {
        return Fault::new(Code::BodyTimeout, sentence(&cause.to_string()));
    }
    Fault::new(Code::BodyCut, "The request's body could not be read to its end.")
}

impl From<BadReply> for Fault {
    fn from(BadReply(what): BadReply) -> Self {
        Fault::new(Code::BadReply, what)
    }
}

impl From<ExchangeError> for Fault {
    fn from(error: ExchangeError) -> Self {
        let what = sentence(&error.to_string());
        match error {
            ExchangeError::NotConnected { why, retry_after } => {
                let (what, explained) = not_connected(why.as_ref(), retry_after.is_some());
                Fault {
                    retry_after: Some(retry_after.unwrap_or(AFTER_A_HUMAN)),
                    explained: Some(explained),
                    ..Fault::new(Code::NotConnected, what)
                }
            }
            ExchangeError::Lost { .. } => Fault::new(Code::Lost, what),
            ExchangeError::Reset(reason) => Fault::new(of_reset(reason), what),
            ExchangeError::Busy => Fault::new(Code::Busy, what),
            ExchangeError::Draining => Fault::new(Code::Stopping, what),
            ExchangeError::Body(error) => of_broken_request(&*error),
            ExchangeError::BadReply(_) => Fault::new(Code::BadReply, what),
        }
    }
}

/// What happened, what it means and what to do when there is no connection. Without a failure the
/// channel is either off or not decided yet; then `trying`.
fn not_connected(why: Option<&Failure>, trying: bool) -> (String, (&'static str, String)) {
    match why {
        Some(why) => {
            let what = format!("Not connected to a gateway: {why} ({}).", why.code());
            (what, (why.meaning(), sentence(why.advice())))
        }
        None if trying => (
            "Not connected to a gateway yet.".to_owned(),
            ("The connection is being made.", "Try again in a moment.".to_owned()),
        ),
        None => (
            "SeaCat Proxy was disconnected from the gateway.".to_owned(),
            (
                "It stays disconnected until you run `seacat-proxy connect`.",
                "Choose Connect in its menu or window, or run `seacat-proxy connect`.".to_owned(),
            ),
        ),
    }
}

/// The code for a stream the gateway has reset (wire specification 3.4).
fn of_reset(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::GatewayRefused,
        Reason::CONNECTION_TIMEOUT => Code::BackEndUnreachable,
        Reason::RESPONSE_TIMEOUT => Code::BackEndTimeout,
        _ => Code::GatewayReset,
    }
}

/// The code for an answer that broke off after its head.
pub(crate) fn of_broken_body(error: &StreamError) -> Code {
    match error {
        StreamError::Reset(reason) => of_reset(*reason),
        _ => Code::Lost,
    }
}

/// `not connected: why` -> `Not connected: why.`
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Html,
    Problem,
}

impl Form {
    /// The first form, by quality and then in the client's order, of those its Accept names;
    /// plain text when it names none (RFC 9110 section 12.5.1).
    fn wanted(fields: &Fields) -> Form {
        let mut best = (Form::Plain, 0);
        for value in fields.all("accept") {
            for range in list(value) {
                let mut parts = range.split(|&b| b == b';').map(trim);
                let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_slice() {
                    b"text/html" | b"application/xhtml+xml" => Form::Html,
                    b"application/problem+json" | b"application/json" => Form::Problem,
                    b"text/plain" | b"text/*" | b"*/*" => Form::Plain,
                    _ => continue,
                };
                let quality = parts.find_map(quality).unwrap_or(1000);
                if quality > best.1 {
                    best = (form, quality);
                }
            }
        }
        best.0
    }
}

/// `q=0.8` in thousandths. An invalid value counts as 0.
fn quality(parameter: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(parameter).ok()?;
    let number = text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))?;
    let value: f32 = number.parse().unwrap_or(0.0);
    Some((value.clamp(0.0, 1.0) * 1000.0) as u16)
}

/// Makes the answer. `request` are the fields of the request, for its Accept; `id` finds it again.
pub(crate) fn render(fault: &Fault, request: &Fields, id: RequestCode) -> Response<Bytes> {
    let status = fault.status();
    let (content_type, body) = match Form::wanted(request) {
        Form::Plain => ("text/plain; charset=utf-8", plain(fault, id)),
        Form::Html => ("text/html; charset=utf-8", html(fault, id)),
        Form::Problem => ("application/problem+json", problem(fault, status, id)),
    };
    let mut fields = our_fields(content_type);
    match &fault.kept {
        Some(kept) => kept.iter().for_each(|(name, value)| fields.push(name, value)),
        None => add_proxy_status(&mut fields, fault.code),
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = fault.retry_after.unwrap_or(SOON).as_secs_f32().ceil().max(1.0) as u64;
        fields.push(b"Retry-After", seconds.to_string().as_bytes());
    }
    match fault.code {
        Code::AuthRequired => {
            let challenge = b"Basic realm=\"SeaCat Proxy\", charset=\"UTF-8\"";
            fields.push(b"Proxy-Authenticate", challenge);
        }
        Code::PageMethod => fields.push(b"Allow", b"GET, HEAD"),
        _ => {}
    }
    Response::new(status, fields, body.into())
}

/// The fields of every error body: no content sniffing, no caching.
pub(crate) fn our_fields(content_type: &str) -> Fields {
    [
        ("Content-Type", content_type),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        // No web page may embed it.
        ("Content-Security-Policy", "frame-ancestors 'none'"),
    ]
    .into_iter()
    .collect()
}

/// Says in `Proxy-Status` (RFC 9209) which error of ours this answer carries.
pub(crate) fn add_proxy_status(fields: &mut Fields, code: Code) {
    let row = code.row();
    let value = format!("seacat-proxy; error={}; details=\"{}\"", row.proxy_error, row.code);
    fields.push(b"Proxy-Status", value.as_bytes());
}

fn plain(fault: &Fault, id: RequestCode) -> String {
    let row = fault.code.row();
    format!(
        "{}. [{}]\n\nWhat happened: {}\nWhat it means: {}\nWhat to do: {}\n\n\
         -- SeaCat Proxy, request {id}\n",
        row.title,
        row.code,
        fault.what,
        fault.meaning(),
        fault.advice()
    )
}

fn html(fault: &Fault, id: RequestCode) -> String {
    let row = fault.code.row();
    page(
        row.title,
        &format!(
            "<h1>{}</h1>\n<p><strong>What happened:</strong> {}</p>\n\
             <p><strong>What it means:</strong> {}</p>\n<p><strong>What to do:</strong> {}</p>\n\
             <p><small>SeaCat Proxy · {} · request <code>{id}</code></small></p>",
            escape(row.title),
            escape(&fault.what),
            escape(fault.meaning()),
            escape(fault.advice()),
            row.code
        ),
    )
}

fn problem(fault: &Fault, status: StatusCode, id: RequestCode) -> String {
    let row = fault.code.row();
    serde_json::json!({
        "type": format!("urn:seacat-proxy:error:{}", row.code),
        "title": row.title,
        "status": status.as_u16(),
        "detail": fault.what,
        "code": row.code,
        "request": id.to_string(),
        "meaning": fault.meaning(),
        "advice": fault.advice(),
    })
    .to_string()
}

/// A whole HTML page. No script, nothing loaded, so that it is safe under any name.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>:root{{color-scheme:light dark}}\
         body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}\
         </style>\n{body}\n</html>\n",
        escape(title)
    )
}

/// Text made safe inside an HTML element.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' | '>' | '&' | '"' | '\'' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::error_table;

    fn accept(value: &str) -> Fields {
        [("Accept", value)].into_iter().collect()
    }

    fn field<'a>(reply: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        reply.fields.get(name).map(|value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn accept_chooses_the_form() {
        for (value, form) in [
            ("*/*", Form::Plain),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html),
            ("application/json", Form::Problem),
            ("application/problem+json, text/html;q=0.9", Form::Problem),
            ("text/html;q=0.5, application/json;q=0.9", Form::Problem),
            ("text/html;q=0, */*", Form::Plain),
            ("TEXT/HTML", Form::Html),
            ("text/html; q=x, text/plain;q=0.1", Form::Plain),
            ("image/png", Form::Plain),
            ("", Form::Plain),
        ] {
            assert_eq!(Form::wanted(&accept(value)), form, "{value:?}");
        }
        assert_eq!(Form::wanted(&Fields::default()), Form::Plain);
    }

    #[test]
    fn no_connection_is_explained_by_its_cause() {
        let text = |why: Option<Failure>, retry_after| {
            let fault = Fault::from(ExchangeError::NotConnected { why, retry_after });
            String::from_utf8(
                render(&fault, &Fields::default(), RequestCode::random()).body.to_vec(),
            )
            .unwrap()
        };
        let refused = Failure::Refused { address: ([192, 0, 2, 1], 443).into() };
        for failure in [refused, Failure::UnknownCa { issuer: "CN=X".into() }, Failure::NoGateway] {
            let (code, meaning, advice) = (failure.code(), failure.meaning(), failure.advice());
            let said = text(Some(failure), Some(Duration::from_secs(3)));
            assert!(said.contains(code) && said.contains(meaning), "{said}");
            assert!(said.contains(&advice[1..]), "{said}");
        }
        let off = text(None, None);
        assert!(off.contains("disconnected") && off.contains("Choose Connect"), "{off}");
        assert!(text(None, Some(Duration::from_secs(1))).contains("being made"));
    }

    #[test]
    fn every_form_says_the_same() {
        let fault = Fault::new(Code::RouteRefused, "The rule <b> & \"c\" refuses it.");
        let id = RequestCode::random();
        let text = |value: &str| {
            let reply = render(&fault, &accept(value), id);
            assert_eq!(reply.status, 403);
            assert_eq!(
                field(&reply, "proxy-status"),
                Some("seacat-proxy; error=http_request_denied; details=\"SC-REFUSED\"")
            );
            let content_type = field(&reply, "content-type").unwrap().to_owned();
            (content_type, String::from_utf8(reply.body.to_vec()).unwrap())
        };
        let (kind, plain) = text("text/plain");
        assert_eq!(kind, "text/plain; charset=utf-8");
        assert!(plain.contains("[SC-REFUSED]") && plain.contains("rule <b> & \"c\""), "{plain}");
        let (kind, html) = text("text/html");
        assert_eq!(kind, "text/html; charset=utf-8");
        assert!(html.contains("rule &#60;b&#62; &#38; &#34;c&#34;"), "{html}");
        assert!(html.contains("SC-REFUSED") && !html.contains("<b>"), "{html}");
        let (kind, json) = text("application/json");
        assert_eq!(kind, "application/problem+json");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["status"], 403);
        assert_eq!(json["code"], "SC-REFUSED");
        assert_eq!(json["request"], id.to_string());
        assert!(html.contains(&id.to_string()) && plain.contains(&id.to_string()));
        assert_eq!(json["detail"], "The rule <b> & \"c\" refuses it.");
    }

    #[test]
    fn exchange_errors_have_their_status() {
        for (error, status, code) in [
            (ExchangeError::Reset(Reason::RESPONSE_TIMEOUT), 504, Code::BackEndTimeout),
            (ExchangeError::Reset(Reason::CONNECTION_TIMEOUT), 504, Code::BackEndUnreachable),
            (ExchangeError::Reset(Reason::REFUSED_STREAM), 503, Code::GatewayRefused),
            (ExchangeError::Reset(Reason::INTERNAL_ERROR), 502, Code::GatewayReset),
            (ExchangeError::Draining, 503, Code::Stopping),
            (ExchangeError::Busy, 503, Code::Busy),
            (ExchangeError::BadReply(7), 502, Code::BadReply),
            (ExchangeError::Body(Box::new(BodyTooLarge)), 413, Code::BodyTooLarge),
            (ExchangeError::Body(Box::new(BodyStalled)), 408, Code::BodyTimeout),
            (
                ExchangeError::Body(Box::new(Violation { rule: Rule::Chunk, what: "x" })),
                400,
                Code::BadChunk,
            ),
        ] {
            let fault = Fault::from(error);
            let reply = render(&fault, &Fields::default(), RequestCode::random());
            assert_eq!((reply.status.as_u16(), fault.code), (status, code));
            assert_eq!(reply.fields.contains("retry-after"), status == 503);
        }
    }

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        let retry = |retry_after| {
            let fault = Fault::from(ExchangeError::NotConnected { why: None, retry_after });
            let reply = render(&fault, &Fields::default(), RequestCode::random());
            field(&reply, "retry-after").map(str::to_owned)
        };
        assert_eq!(retry(Some(Duration::from_millis(1200))).as_deref(), Some("2"));
        assert_eq!(retry(Some(Duration::ZERO)).as_deref(), Some("1"));
        assert_eq!(retry(None).as_deref(), Some("60"));
    }

    #[test]
    fn challenges_and_allowances() {
        let reply =
            |code| render(&Fault::new(code, "x"), &Fields::default(), RequestCode::random());
        assert_eq!(
            field(&reply(Code::AuthRequired), "proxy-authenticate"),
            Some("Basic realm=\"SeaCat Proxy\", charset=\"UTF-8\"")
        );
        assert_eq!(field(&reply(Code::PageMethod), "allow"), Some("GET, HEAD"));
        assert_eq!(Fault::tunnel_refused(StatusCode::NOT_FOUND).status(), 404);
        assert_eq!(error_table()[0].status, 400);
    }
}
