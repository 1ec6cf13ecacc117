//! `diagnose` and `support-bundle`: for whoever has to help.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::gateway::{follow, print};
use super::{CliError, Here, control, runtime};
use crate::config::apply;
use crate::control::{Answer, Client, ClientError, Request};
use crate::diagnose::{FindingView, Report, Scene, StepState, StepView, diagnose as take_steps};
use crate::exit::Exit;
use crate::support;

/// Steps and finding as JSON has them.
#[derive(serde::Serialize)]
struct Whole<'a> {
    steps: &'a [StepView],
    finding: &'a FindingView,
}

pub(super) fn diagnose(
    here: &Here,
    host: Option<String>,
    json: bool,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let mut steps = Vec::new();
    let show = |step: &StepView| {
        if step.state != StepState::Running {
            steps.push(step.clone());
        }
        if json { Ok(()) } else { print(step, out) }
    };
    let finding = runtime()?.block_on(find(here, host, show))?;
    if json {
        let whole = Whole { steps: &steps, finding: &finding };
        let text = serde_json::to_string_pretty(&whole).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        write!(out, "\n{}", finding.text())?;
    }
    Ok(if finding.ok { Exit::Ok } else { Exit::NotConnected })
}

/// The same for another program: the answers that the running proxy would give, one a line.
pub(super) fn stream(
    here: &Here,
    host: Option<String>,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let line = |answer: &Answer, out: &mut dyn Write| -> Result<(), CliError> {
        let text = serde_json::to_string(answer).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    };
    let show = |step: &StepView| line(&Answer::Step { step: step.clone() }, out);
    let finding = runtime()?.block_on(find(here, host, show))?;
    line(&Answer::Finding { finding }, out)?;
    Ok(Exit::Ok)
}

/// By the running proxy, else by ourselves.
async fn find(
    here: &Here,
    host: Option<String>,
    show: impl FnMut(&StepView) -> Result<(), CliError>,
) -> Result<FindingView, CliError> {
    match control::client(here).await {
        Ok(client) => ask(client, host, show).await,
        Err(ClientError::NotRunning) => alone(here, show).await,
        Err(error) => Err(error.into()),
    }
}

async fn ask(
    mut client: Client,
    host: Option<String>,
    mut show: impl FnMut(&StepView) -> Result<(), CliError>,
) -> Result<FindingView, CliError> {
    let mut answer = Some(client.ask(Request::Diagnose { host, path: None }).await?);
    while let Some(next) = answer.take() {
        match next {
            Answer::Step { step } => show(&step)?,
            Answer::Finding { finding } => return Ok(finding),
            other => return Err(CliError::Unexpected(Box::new(other))),
        }
        answer = client.next().await?;
    }
    Err(ClientError::NotRunning.into())
}

async fn alone(
    here: &Here,
    show: impl FnMut(&StepView) -> Result<(), CliError>,
) -> Result<FindingView, CliError> {
    let config = here.load()?.config;
    let scene = Scene {
        gateways: config.gateways.iter().map(apply::gateway).collect(),
        network: here.network(&config)?,
        environment: here.sources.environment.clone(),
        status: None,
        way: None,
        targets: Vec::new(),
        config,
    };
    let (report, steps) = Report::channel();
    follow(steps, take_steps(&scene, &report), show).await
}

/// Everything that helps, in one text without secrets; `-` prints it.
pub(super) fn support_bundle(
    here: &Here,
    file: &Path,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    let (status, mut steps) = runtime()?.block_on(async {
        let status = match control::client(here).await {
            Ok(mut client) => match client.ask(Request::Status).await? {
                Answer::Status { status } => Some(*status),
                other => return Err(CliError::Unexpected(Box::new(other))),
            },
            Err(ClientError::NotRunning) => None,
            Err(error) => return Err(error.into()),
        };
        let mut text = String::new();
        let show = |step: &StepView| {
            text += &step.text();
            Ok(())
        };
        let said = match find(here, None, show).await {
            Ok(finding) => finding.text(),
            // A configuration that is not right is what support must see.
            Err(error) => format!("{error}\n"),
        };
        Ok((status, text + &said))
    })?;
    if steps.is_empty() {
        steps.push_str("no result\n");
    }
    let loaded = here.load().map_err(|error| error.to_string());
    let text = support::bundle(&here.places, loaded.as_ref().ok(), status.as_ref(), &steps);
    if file == Path::new("-") {
        out.write_all(text.as_bytes())?;
    } else {
        fs::write(file, text)
            .map_err(|source| CliError::System { doing: "write the bundle", source })?;
        writeln!(out, "{}", file.display())?;
    }
    Ok(Exit::Ok)
}
