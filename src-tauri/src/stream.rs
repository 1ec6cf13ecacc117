//! Streams of answers for the pages: read as fast as they come, shown ten times a second.

use std::collections::HashMap;
use std::future::pending;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use seacat_agent::control::Answer;
use tauri::async_runtime::{JoinHandle, spawn};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::engine::Source;

/// From one message to the page to the next. The first comes at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers that wait for the page. More than the pages keep would be shown to nobody; when it is full the
/// engine waits, and then says how many lines we missed.
const WAITING: usize = 2_000;

/// The open streams by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u32,
    tasks: HashMap<u32, JoinHandle<()>>,
}

impl Streams {
    /// Passes on `first` and what follows to `show`, in batches, and an empty batch at the end. The number
    /// is for [`Streams::close`]. `show` says whether somebody still looks.
    pub(crate) fn open(
        &self,
        source: Source,
        first: Answer,
        show: impl Fn(Vec<Answer>) -> bool + Send + 'static,
    ) -> u32 {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.tasks.retain(|_, task| !task.inner().is_finished());
        open.last = open.last.wrapping_add(1);
        let id = open.last;
        open.tasks.insert(id, spawn(pump(source, first, show)));
        id
    }

    /// Ends a stream; the engine sees its reader leave.
    pub(crate) fn close(&self, id: u32) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = open.tasks.remove(&id) {
            task.abort();
        }
    }

    /// Ends them all: the page that opened them is gone.
    pub(crate) fn close_all(&self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, task) in open.tasks.drain() {
            task.abort();
        }
    }
}

async fn pump(source: Source, first: Answer, show: impl Fn(Vec<Answer>) -> bool) {
    if !show(vec![first]) {
        return;
    }
    let (sender, answers) = mpsc::channel(WAITING);
    // A line that is half read must not be forgotten when the time for a batch has come: reading and
    // showing are two loops. The end of showing is the end; after the end of reading the rest is shown.
    tokio::select! {
        () = batches(answers, show) => {}
        () = async { read(source, sender).await; pending().await } => {}
    }
}

async fn read(mut source: Source, sender: mpsc::Sender<Answer>) {
    while let Some(answer) = source.next().await {
        if sender.send(answer).await.is_err() {
            return;
        }
    }
}

async fn batches(mut answers: mpsc::Receiver<Answer>, show: impl Fn(Vec<Answer>) -> bool) {
    let mut batch = Vec::new();
    loop {
        sleep(PAUSE).await;
        if answers.recv_many(&mut batch, WAITING).await == 0 {
            show(Vec::new());
            return;
        }
        if !show(mem::take(&mut batch)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn ten_batches_a_second_in_order_and_an_empty_one_at_the_end() {
        const LINES: u64 = 300;
        let (sender, answers) = mpsc::channel(WAITING);
        let engine = tokio::spawn(async move {
            for lines in 0..LINES {
                // A millisecond or two apart: 40 000 requests a minute.
                sleep(Duration::from_millis(1)).await;
                sender.send(Answer::Missed { lines }).await.unwrap();
            }
        });
        let shown = Arc::new(Mutex::new(Vec::new()));
        let began = std::time::Instant::now();
        let page = shown.clone();
        batches(answers, move |batch| {
            page.lock().unwrap().push(batch);
            true
        })
        .await;
        engine.await.unwrap();
        let tenths = began.elapsed().as_millis() / 100;
        let batches = shown.lock().unwrap();
        assert!(batches.len() as u128 <= tenths + 1, "{} in {tenths} tenths", batches.len());
        let (last, rest) = batches.split_last().unwrap();
        assert!(last.is_empty());
        assert!(rest.iter().all(|batch| !batch.is_empty()));
        let lines: Vec<Answer> = rest.iter().flatten().cloned().collect();
        let all: Vec<Answer> = (0..LINES).map(|lines| Answer::Missed { lines }).collect();
        assert!(lines == all);
    }

    #[tokio::test]
    async fn a_page_that_is_gone_ends_it() {
        let (sender, answers) = mpsc::channel(WAITING);
        sender.send(Answer::Done).await.unwrap();
        batches(answers, |_| false).await;
        assert!(sender.is_closed());
    }
}
