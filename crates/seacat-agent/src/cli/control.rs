//! Commands that talk to the running proxy.

use std::io::Write;

use serde::Serialize;

use super::{CliError, Here, runtime};
use crate::access;
use crate::control::{Answer, Client, ClientError, Request};
use crate::exit::Exit;
use crate::instance::Instance;
use crate::status::{self, StatusView, Word};

/// How the status is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    /// The six letters of the reference client.
    Reference,
}

impl Form {
    pub(super) fn of(json: bool, reference: bool) -> Self {
        match (json, reference) {
            (true, _) => Self::Json,
            (_, true) => Self::Reference,
            _ => Self::Text,
        }
    }
}

pub(super) fn status(
    here: &Here,
    form: Form,
    watch: bool,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    runtime()?.block_on(async {
        let mut client = client(here).await?;
        if !watch {
            let view = expect_status(client.ask(Request::Status).await?)?;
            show(&view, form, out)?;
            return Ok(exit_for(&view));
        }
        let mut answer = Some(client.ask(Request::Watch).await?);
        let mut exit = Exit::NotRunning;
        while let Some(view) = answer.take().map(expect_status).transpose()? {
            match form {
                Form::Json => line(&view, out)?,
                Form::Reference => writeln!(out, "{}", view.reference)?,
                Form::Text => writeln!(out, "{}", view.sentence)?,
            }
            out.flush()?;
            exit = exit_for(&view);
            answer = client.next().await?;
        }
        Ok(exit)
    })
}

fn expect_status(answer: Answer) -> Result<StatusView, CliError> {
    match answer {
        Answer::Status { status } => Ok(*status),
        other => Err(CliError::Unexpected(Box::new(other))),
    }
}

fn show(view: &StatusView, form: Form, out: &mut dyn Write) -> Result<(), CliError> {
    match form {
        Form::Json => {
            let text = serde_json::to_string_pretty(view).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
        }
        Form::Reference => writeln!(out, "{}", view.reference)?,
        Form::Text => write!(out, "{}", status::text(view))?,
    }
    Ok(())
}

fn exit_for(view: &StatusView) -> Exit {
    if view.state == Word::Connected { Exit::Ok } else { Exit::NotConnected }
}

/// One JSON value on one line.
pub(super) fn line(value: &impl Serialize, out: &mut dyn Write) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}

pub(super) fn requests(here: &Here, json: bool, out: &mut dyn Write) -> Result<Exit, CliError> {
    runtime()?.block_on(async {
        let mut client = client(here).await?;
        let mut answer = Some(client.ask(Request::Access).await?);
        while let Some(next) = answer.take() {
            match next {
                Answer::Access { line: access } if json => line(&access, out)?,
                Answer::Access { line } => writeln!(out, "{}", access::text(&line))?,
                Answer::Missed { .. } if json => line(&next, out)?,
                Answer::Missed { lines } => writeln!(out, "… {lines} more requests")?,
                other => return Err(CliError::Unexpected(Box::new(other))),
            }
            out.flush()?;
            answer = client.next().await?;
        }
        Ok(Exit::Ok)
    })
}

pub(super) fn connect(here: &Here, out: &mut dyn Write) -> Result<Exit, CliError> {
    let view = runtime()?.block_on(async {
        let mut client = client(here).await?;
        match client.ask(Request::Connect).await? {
            Answer::Done => expect_status(client.ask(Request::Status).await?),
            other => Err(CliError::Unexpected(Box::new(other))),
        }
    })?;
    match view.state {
        Word::Connected => writeln!(out, "{}", view.sentence)?,
        _ => writeln!(out, "connecting; see `seacat-proxy status`")?,
    }
    Ok(Exit::Ok)
}

pub(super) fn disconnect(here: &Here, out: &mut dyn Write) -> Result<Exit, CliError> {
    wish(here, Request::Disconnect, "disconnected", out)
}

pub(super) fn stop(here: &Here, out: &mut dyn Write) -> Result<Exit, CliError> {
    wish(here, Request::Stop, "stopping", out)
}

fn wish(here: &Here, request: Request, said: &str, out: &mut dyn Write) -> Result<Exit, CliError> {
    match runtime()?.block_on(async { client(here).await?.ask(request).await })? {
        Answer::Done => {
            writeln!(out, "{said}")?;
            Ok(Exit::Ok)
        }
        other => Err(CliError::Unexpected(Box::new(other))),
    }
}

pub(super) async fn client(here: &Here) -> Result<Client, ClientError> {
    let path = here.places.control_socket();
    Client::connect(&path).await.map_err(|error| match error {
        // The lock knows better than the socket.
        ClientError::NotRunning => match Instance::holder(&here.places.state_dir) {
            Some(pid) => ClientError::SocketGone { pid, path },
            None => error,
        },
        error => error,
    })
}
