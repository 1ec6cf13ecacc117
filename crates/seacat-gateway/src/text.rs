//! Short responses of the gateway.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use seacat_link::SendHalf;
use seacat_proto::{HeadTooLarge, ReplyHead, RequestHead};

use crate::fault::Failed;

pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// A short text response.
pub(crate) struct Text {
    status: StatusCode,
    content_type: &'static str,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    text: Bytes,
}

impl Text {
    pub(crate) fn new(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, content_type: PLAIN, fields: Vec::new(), text: text.into() }
    }

    pub(crate) fn html(mut self) -> Self {
        self.content_type = HTML;
        self
    }

    /// Adds one more field.
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Sends it as the response; HEAD gets the head only.
    pub(crate) fn send(self, request: &RequestHead, reply: &mut SendHalf) -> Result<(), Failed> {
        let mut answer = head(self.status, self.content_type)?;
        answer.push(b"Content-Length", self.text.len().to_string().as_bytes())?;
        // A browser must not interpret text from a request as anything else.
        answer.push(b"X-Content-Type-Options", b"nosniff")?;
        for (name, value) in self.fields {
            answer.push(name.as_bytes(), value.as_bytes())?;
        }
        let end = request.method() == b"HEAD";
        reply.reply(answer, end)?;
        if !end {
            reply.send(self.text)?;
            reply.finish()?;
        }
        Ok(())
    }
}

/// The start of every response head that the gateway makes.
pub(crate) fn head(status: StatusCode, content_type: &str) -> Result<ReplyHead, HeadTooLarge> {
    let mut head = ReplyHead::new(status.as_u16());
    head.push(b"Content-Type", content_type.as_bytes())?;
    Ok(head)
}
