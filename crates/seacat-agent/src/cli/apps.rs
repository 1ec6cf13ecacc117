//! `apps` and `requests CODE`: which programs use the proxy, and why a request failed.

use std::io::Write;
use std::time::{Duration, SystemTime};

use super::control::{client, line};
use super::{CliError, Here, runtime};
use crate::control::{Answer, Request};
use crate::exit::Exit;
use crate::history::{ApplicationView, ExplanationView};

/// When there is nothing to list.
const NONE: &str = "\
no application yet: programs are looked up while this list is watched (--watch, or the page
Applications in the window), and for every request that fails";

pub(super) fn apps(
    here: &Here,
    json: bool,
    watch: bool,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    runtime()?.block_on(async {
        let mut client = client(here).await?;
        let mut answer = Some(client.ask(Request::Applications).await?);
        while let Some(next) = answer.take() {
            match next {
                Answer::Applications { applications } if json => line(&applications, out)?,
                Answer::Applications { applications } => list(&applications, out)?,
                other => return Err(CliError::Unexpected(Box::new(other))),
            }
            out.flush()?;
            if watch {
                answer = client.next().await?;
            }
        }
        Ok(Exit::Ok)
    })
}

fn list(applications: &[ApplicationView], out: &mut dyn Write) -> Result<(), CliError> {
    if applications.is_empty() {
        return Ok(writeln!(out, "{NONE}")?);
    }
    writeln!(out, "{:<28} {:>8} {:>8} {:>8}  STATE", "APPLICATION", "REQUESTS", "FAILED", "LAST")?;
    for it in applications {
        let (program, last) = (it.program.to_string(), age(it.last_request_ms));
        let (requests, failures, verdict) = (it.requests, it.failures, it.verdict());
        writeln!(out, "{program:<28} {requests:>8} {failures:>8} {last:>8}  {verdict}")?;
    }
    Ok(())
}

pub(super) fn explain(
    here: &Here,
    code: String,
    json: bool,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let asked = async { client(here).await?.ask(Request::Explain { code }).await };
    match runtime()?.block_on(asked)? {
        Answer::Explained { explanation } if json => line(&explanation, out)?,
        Answer::Explained { explanation } => write!(out, "{}", text(&explanation))?,
        Answer::Error { message } => return Err(CliError::Usage(message)),
        other => return Err(CliError::Unexpected(Box::new(other))),
    }
    Ok(Exit::Ok)
}

fn text(it: &ExplanationView) -> String {
    let request = &it.line;
    let program = request.program.as_ref().map_or("unknown".to_owned(), ToString::to_string);
    let status = request.status.map_or("no answer".to_owned(), |status| status.to_string());
    let others: Vec<String> =
        it.programs.iter().map(ToString::to_string).chain(it.hosts.iter().cloned()).collect();
    let rows = [
        ("request", format!("{} {}{}", request.method, request.host, request.path)),
        ("answer", format!("{status}, by {}, {} ago", request.answered_by, age(request.time_ms))),
        ("program", program),
        ("what happened", it.what.clone()),
        ("what it means", it.means.clone()),
        ("what to do", it.advice.clone()),
        ("since", format!("{} ago, {} times within 24 hours", age(it.since_ms), it.times)),
        ("also", others.join(", ")),
        ("code", request.code.clone().unwrap_or_default()),
    ];
    let row = |(name, value): &(&str, String)| format!("{name:<14} {value}\n");
    rows.iter().filter(|(_, value)| !value.is_empty()).map(row).collect()
}

/// How long ago, as "12 s", "5 min" or "3 h".
fn age(time_ms: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time_ms);
    let seconds = SystemTime::now().duration_since(time).unwrap_or_default().as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
