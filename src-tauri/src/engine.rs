//! The engine as the window sees it: a control socket, and a program to start when there is none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use seacat_agent::control::{Answer, Client, ClientError, Request};
use seacat_agent::exit::Exit;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep};

/// The engine's program, beside ours or on the path.
const PROGRAM: &str = "seacat-proxy";

/// How long it may take to listen: it waits for the desktop's key store while it starts.
const START: Duration = Duration::from_secs(20);

/// How often it is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Why its program did not do what it was started for.
#[derive(Debug, Error)]
pub(crate) enum EngineError {
    #[error("{} does not start: {source}", path.display())]
    Start { path: PathBuf, source: std::io::Error },
    #[error("the proxy ended at once: {0}")]
    Ended(String),
    #[error("the proxy was started and does not answer")]
    Silent,
    #[error("{0}")]
    Bundle(String),
}

/// Where the engine is reached, and how one is started.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    socket: PathBuf,
    /// `--config` and `--state-dir`, as we were given them.
    arguments: Vec<OsString>,
}

impl Engine {
    pub(crate) fn new(socket: PathBuf, arguments: Vec<OsString>) -> Self {
        Self { socket, arguments }
    }

    /// Asks, on a connection of its own: a slow answer holds up no other.
    ///
    /// A refusal is an answer; an error means that there is no engine, or that it is not ours.
    pub(crate) async fn ask(&self, request: Request) -> Result<Answer, ClientError> {
        refusal(Client::connect(&self.socket).await?.ask(request).await)
    }

    /// Begins a stream: where its answers come from, and the first of them. A diagnosis needs no
    /// engine: without one its program takes the steps.
    pub(crate) async fn open(&self, request: Request) -> Result<(Source, Answer), ClientError> {
        let mut client = match (Client::connect(&self.socket).await, request.clone()) {
            (Ok(client), _) => client,
            (Err(ClientError::NotRunning), Request::Diagnose { host, .. }) => {
                let mut source = self.diagnose(host.as_deref())?;
                let first = source.next().await.unwrap_or_else(nothing_said);
                return Ok((source, first));
            }
            (Err(error), _) => return Err(error),
        };
        let first = refusal(client.ask(request).await)?;
        Ok((Source::Engine(client), first))
    }

    /// The diagnosis of its program, whose lines are the answers that an engine would give.
    fn diagnose(&self, host: Option<&str>) -> Result<Source, ClientError> {
        let (_, mut command) = self.command();
        command.args(["diagnose", "--stream"]);
        command.args(host.into_iter().flat_map(|host| ["--host", host]));
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or(ClientError::NotRunning)?;
        let lines = BufReader::new(output).lines();
        Ok(Source::Program(Box::new(Program { lines, _child: child })))
    }

    /// Whether one runs.
    pub(crate) async fn runs(&self) -> bool {
        Client::connect(&self.socket).await.is_ok()
    }

    /// Starts the proxy with its icon, in a process that outlives ours, and waits until it answers.
    pub(crate) async fn start(&self) -> Result<(), EngineError> {
        let (path, mut command) = self.command();
        command.args(["app", "--background"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: what ends us at a terminal does not end it.
        #[cfg(unix)]
        command.process_group(0);
        let mut child =
            command.spawn().map_err(|source| EngineError::Start { path: path.clone(), source })?;
        let deadline = Instant::now() + START;
        while !self.runs().await {
            if let Some(why) = ended(&mut child) {
                return Err(EngineError::Ended(why));
            }
            if Instant::now() > deadline {
                return Err(EngineError::Silent);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Lets its program write all that helps support to `place`. It does so without an engine, too,
    /// and that is when it is needed most.
    pub(crate) async fn support_bundle(&self, place: &Path) -> Result<(), EngineError> {
        let (path, mut command) = self.command();
        let ended = command.arg("support-bundle").arg(place).output().await;
        let output = ended.map_err(|source| EngineError::Start { path, source })?;
        if output.status.success() {
            return Ok(());
        }
        Err(EngineError::Bundle(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Its program, beside ours or on the path, with our arguments.
    fn command(&self) -> (PathBuf, Command) {
        let beside = std::env::current_exe().map(|ours| ours.with_file_name(PROGRAM));
        let path = beside.ok().filter(|it| it.is_file()).unwrap_or_else(|| PROGRAM.into());
        let mut command = Command::new(&path);
        command.args(&self.arguments).stdin(Stdio::null());
        (path, command)
    }
}

/// Where the answers of a stream come from.
pub(crate) enum Source {
    /// The engine.
    Engine(Client),
    /// Its program.
    Program(Box<Program>),
}

/// A program that writes a JSON object a line, and ends with the stream.
pub(crate) struct Program {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Source {
    /// The next answer; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        match self {
            Self::Engine(client) => client.next().await.ok().flatten(),
            Self::Program(program) => {
                let line = program.lines.next_line().await.ok().flatten()?;
                serde_json::from_str(&line).ok()
            }
        }
    }
}

fn nothing_said() -> Answer {
    Answer::Error { message: "The check could not be started.".to_owned() }
}

fn refusal(answer: Result<Answer, ClientError>) -> Result<Answer, ClientError> {
    match answer {
        Err(ClientError::Refused(message)) => Ok(Answer::Error { message }),
        other => other,
    }
}

/// How it ended, if it has, in the words of its exit code.
fn ended(child: &mut Child) -> Option<String> {
    let status = child.try_wait().ok()??;
    let known = Exit::ALL.iter().find(|(exit, _)| status.code() == Some(*exit as i32));
    Some(known.map_or_else(|| status.to_string(), |(_, why)| (*why).to_owned()))
}
