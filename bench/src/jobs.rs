//! The load generator process: one thread, one job, results on standard output.

mod bodies;
mod small;

use std::io::{self, BufRead};
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::http::Target;
use crate::load::{Job, READY};

/// How long clients may take to reach the state in which they are held.
const GET_READY: Duration = Duration::from_secs(60);

/// Performs one job and prints its result.
pub(crate) fn run(job: &Job, target: &Target) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let done = match *job {
        Job::Small { clients, keep_alive, think_ms, warm_ms, seconds } => {
            let think = Duration::from_millis(think_ms);
            let client = small::Client::new(target, keep_alive, think);
            let warm_up = Duration::from_millis(warm_ms);
            say(runtime.block_on(small::served(&client, clients, warm_up, seconds)));
            Ok(())
        }
        Job::Burst { requests, at_once } => {
            let client = small::Client::new(target, false, Duration::ZERO);
            say(runtime.block_on(small::burst(&client, requests, at_once)));
            Ok(())
        }
        Job::Flood { clients, warm_ms, seconds } => {
            let warm_up = Duration::from_millis(warm_ms);
            let moved = runtime.block_on(bodies::flood(target, clients, warm_up, seconds));
            moved.map(say)
        }
        Job::Transfer { up: false, bytes } => {
            runtime.block_on(bodies::download(target, bytes)).map(say)
        }
        Job::Transfer { up: true, bytes } => {
            runtime.block_on(bodies::upload(target, bytes)).map(say)
        }
        Job::Stall { clients, bytes } => {
            runtime.block_on(bodies::begin_and_stop(target, clients, bytes)).and_then(|readers| {
                hold()?;
                say(runtime.block_on(bodies::resume(readers)));
                Ok(())
            })
        }
        Job::Round { clients, at_once, seconds } => {
            runtime.block_on(small::ask_once(target, clients)).and_then(|open| {
                hold()?;
                let client = small::Client::new(target, true, Duration::ZERO);
                say(runtime.block_on(small::go_round(&client, open, at_once, seconds)));
                Ok(())
            })
        }
        Job::Idle { clients } => {
            runtime.block_on(small::ask_once(target, clients)).and_then(|open| {
                hold()?;
                drop(open);
                Ok(())
            })
        }
    };
    done.map_err(|error| format!("{job:?}: {error}"))
}

#[allow(clippy::print_stdout, reason = "the result is standard output")]
fn say(result: impl Serialize) {
    // Plain numbers and strings: there is nothing that JSON could refuse.
    println!("{}", serde_json::to_string(&result).unwrap_or_default());
}

#[allow(clippy::print_stdout, reason = "the bench reads standard output")]
fn ready() {
    println!("{READY}");
}

/// Waits after `ready` for a line from the bench, or for its end.
fn hold() -> io::Result<()> {
    ready();
    io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

/// Waits with a time limit; the error names what took too long.
async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = |_| io::Error::other(format!("{what} took more than {limit:?}"));
    tokio::time::timeout(limit, work).await.map_err(late)?
}
