//! One request and its response on a connection.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::Method;
use seacat_http1::{BodyDecoder, Decoded, Framing, ResponseHead, ResponseReader, Rule, Violation};

use crate::connection::Connection;
use crate::error::Error;
use crate::timer::Party;
use crate::upload::{Body, Upload};

/// Interim responses (1xx) before the response. Servers send a few, and those that show progress
/// some for each minute; one that sends more would never answer.
const MAX_INTERIM: usize = 1000;
/// Interim responses read in one turn: they are so short that one read holds thousands, and on
/// one thread all others would wait.
const INTERIM_A_TURN: usize = 16;
/// Pieces of a body below this are joined, up to [`JOINED`]: a server may write each byte as a chunk.
const SMALL: usize = 1024;
/// Close to the largest frame of SeaCat.
const JOINED: usize = 16_376;

/// How long either side may be inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the last byte of the request, or an interim response, to the head of the response.
    pub response: Duration,
    /// Between two pieces of a body, in either direction.
    pub body: Duration,
}

/// A request as it is written.
#[derive(Debug)]
pub struct Request<B> {
    /// The method, which decides whether the response has a body.
    pub method: Method,
    /// The whole head, its empty line included.
    pub head: Bytes,
    /// The body, in the chunked coding or as it is.
    pub body: Option<B>,
    /// Whether the head announces the chunked coding.
    pub chunked: bool,
}

/// An exchange under way. It owns the connection.
#[derive(Debug)]
pub struct Exchange<B> {
    connection: Box<Connection>,
    upload: Upload<B>,
    method: Method,
    limits: Limits,
    reader: ResponseReader,
    interim: usize,
    /// A byte of a response was received.
    begun: bool,
    decoder: BodyDecoder,
    keeps_alive: bool,
}

impl<B: Body> Exchange<B> {
    /// Starts an exchange; nothing is written before [`Exchange::head`] is polled.
    #[must_use]
    pub fn start(connection: Box<Connection>, request: Request<B>, limits: Limits) -> Self {
        let Request { method, head, body, chunked } = request;
        let mut exchange = Self {
            connection,
            upload: Upload::new(head, body, chunked),
            method,
            limits,
            reader: ResponseReader::default(),
            interim: 0,
            begun: false,
            decoder: BodyDecoder::for_response(Framing::Length(0)),
            keeps_alive: false,
        };
        exchange.connection.timer.restart();
        exchange
    }

    /// Waits for the head of the response; interim ones are passed over.
    ///
    /// # Errors
    /// [`Error`]; the exchange is over then.
    pub async fn head(&mut self) -> Result<ResponseHead, Error> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// Waits for the next piece of the response's body, `None` at its end.
    ///
    /// # Errors
    /// [`Error`]; the exchange is over then.
    pub async fn data(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Moves the request's body along while nothing is wanted from the server. Never ready but
    /// with an error.
    ///
    /// # Errors
    /// [`Error::Upload`].
    pub fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        match self.send(cx) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Whether the whole response has been read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.decoder.is_ended()
    }

    /// Whether the whole request has been written.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.upload.is_complete()
    }

    /// The connection, if it can carry another exchange: both messages are complete, and both
    /// ends keep it.
    #[must_use]
    pub fn into_idle(self) -> Option<Box<Connection>> {
        let reusable = self.keeps_alive && self.is_ended() && self.is_sent();
        let mut connection = self.connection;
        (reusable && connection.is_idle()).then(|| {
            connection.rest();
            connection
        })
    }

    /// The connection as it is: after a switch of protocols.
    #[must_use]
    pub fn into_connection(self) -> Connection {
        *self.connection
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Error>> {
        self.send(cx)?;
        let mut interim = 0;
        loop {
            if let Some((head, length)) = self.reader.read(&self.connection.input)? {
                self.connection.input.advance(length);
                if !head.is_interim() {
                    return Poll::Ready(self.begin_body(head));
                }
                self.pass_interim()?;
                interim += 1;
                if interim == INTERIM_A_TURN {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                continue;
            }
            match self.connection.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.ended())),
                Poll::Ready(Ok(_)) => self.begun = true,
                Poll::Ready(Err(error)) if self.begun => {
                    return Poll::Ready(Err(Error::Broken(error)));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Error::Lost(Some(error)))),
                Poll::Pending => {
                    let (party, limit, error) = match self.upload.is_hungry() {
                        true => (Party::Upload, self.limits.body, Error::UploadTimeout),
                        false => (Party::Response, self.limits.response, Error::ResponseTimeout),
                    };
                    return self.connection.timer.poll(cx, party, limit).map(|()| Err(error));
                }
            }
        }
    }

    /// Moves the request along.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if !self.upload.is_complete() && self.upload.poll(&self.connection.tcp, cx)? {
            self.connection.timer.restart();
        }
        Ok(())
    }

    /// The back end is at work: its time begins again.
    fn pass_interim(&mut self) -> Result<(), Error> {
        self.connection.timer.restart();
        self.interim += 1;
        if self.interim <= MAX_INTERIM {
            return Ok(());
        }
        let what = "More than 1000 interim responses come before the response.";
        Err(Violation { rule: Rule::Syntax, what }.into())
    }

    /// The connection has ended before the head was complete.
    fn ended(&mut self) -> Error {
        if self.begun {
            let what = "The connection ended in the middle of the head of the response.";
            return Violation { rule: Rule::Incomplete, what }.into();
        }
        Error::Lost(self.upload.take_refusal())
    }

    fn begin_body(&mut self, head: ResponseHead) -> Result<ResponseHead, Error> {
        let framing = head.framing(&self.method)?;
        self.keeps_alive = head.keeps_alive(framing);
        self.decoder = BodyDecoder::for_response(framing);
        self.connection.timer.restart();
        Ok(head)
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(piece) = self.decode()? {
                return Poll::Ready(Some(Ok(piece)));
            }
            if self.is_ended() {
                return Poll::Ready(None);
            }
            self.send(cx)?;
            match self.connection.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    self.keeps_alive = false;
                    self.decoder.finish()?;
                }
                Poll::Ready(Ok(_)) => self.connection.timer.restart(),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(Error::Broken(error)))),
                Poll::Pending => {
                    let limit = self.limits.body;
                    let over = self.connection.timer.poll(cx, Party::Body, limit);
                    return over.map(|()| Some(Err(Error::BodyTimeout)));
                }
            }
        }
    }

    /// The next piece of what has been read. Small ones are joined, so that each turn does a fair
    /// amount of work.
    fn decode(&mut self) -> Result<Option<Bytes>, Error> {
        let Decoded::Data(first) = self.decoder.decode(&mut self.connection.input)? else {
            return Ok(None);
        };
        if first.len() >= SMALL || self.connection.input.is_empty() {
            self.decoder.take_framing(&mut self.connection.input);
            return Ok(Some(first));
        }
        let mut joined = BytesMut::from(first);
        while joined.len() < JOINED
            && let Decoded::Data(more) = self.decoder.decode(&mut self.connection.input)?
        {
            joined.extend_from_slice(&more);
        }
        Ok(Some(joined.freeze()))
    }
}
