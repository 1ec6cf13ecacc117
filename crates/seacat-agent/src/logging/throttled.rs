//! Lines of one kind, at a rate that nothing outside can choose: a network that is down or a client that
//! comes again and again must not rotate everything else out of the log.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// So many lines of a kind are written as they come: what happens once is rarely one line.
const BURST: u32 = 5;
/// After them one in this time. An hour of one line every two seconds leaves 60, not 1800.
const PAUSE: Duration = Duration::from_secs(60);
/// Kinds that are remembered. The program has about a hundred; texts of peers make more.
const KINDS: usize = 512;

/// A writer of whole lines that leaves out those of a kind that has been written often. Lines of
/// DEBUG and TRACE all pass: they are asked for to see everything.
#[derive(Debug)]
pub(super) struct Throttled<W>(Mutex<State<W>>);

#[derive(Debug)]
struct State<W> {
    out: W,
    /// A line that says that so many were left out.
    note: fn(u64) -> String,
    kinds: HashMap<Vec<u8>, Kind>,
}

#[derive(Debug)]
struct Kind {
    /// How many more may be written before the pause.
    burst: u32,
    written: Instant,
    skipped: u64,
}

/// The note for people.
pub(super) fn text_note(skipped: u64) -> String {
    format!("({skipped} lines like the next one were left out)\n")
}

/// The note as a line of JSON.
pub(super) fn json_note(skipped: u64) -> String {
    format!(
        "{{\"level\":\"INFO\",\"fields\":{{\"message\":\"{skipped} lines like the next one were left \
         out\"}}}}\n"
    )
}

impl<W: Write> Throttled<W> {
    pub(super) fn new(out: W, note: fn(u64) -> String) -> Self {
        Self(Mutex::new(State { out, note, kinds: HashMap::new() }))
    }

    fn line(&self, throttled: bool) -> Line<'_, W> {
        Line { state: self.0.lock().unwrap_or_else(PoisonError::into_inner), throttled }
    }
}

impl<W: Write> State<W> {
    fn write_line(&mut self, line: &[u8], now: Instant) -> io::Result<()> {
        let Some(skipped) = self.pass(line, now) else {
            return Ok(());
        };
        if skipped > 0 {
            self.out.write_all((self.note)(skipped).as_bytes())?;
        }
        self.out.write_all(line)
    }

    /// Whether the line may be written now: then with how many of its kind were not. A kind is what is
    /// left of a line without its digits: times, ports and counts differ.
    fn pass(&mut self, line: &[u8], now: Instant) -> Option<u64> {
        let kind: Vec<u8> = line.iter().copied().filter(|byte| !byte.is_ascii_digit()).collect();
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            self.kinds.retain(|_, kind| now.saturating_duration_since(kind.written) < PAUSE);
            if self.kinds.len() >= KINDS {
                // Many kinds at one time: there is no telling them apart any more.
                self.kinds.clear();
            }
        }
        let kind =
            self.kinds.entry(kind).or_insert(Kind { burst: BURST, written: now, skipped: 0 });
        if now.saturating_duration_since(kind.written) >= PAUSE {
            // Silent for that long, it is news again.
            kind.burst = if kind.skipped == 0 { BURST } else { 1 };
        }
        if kind.burst == 0 {
            kind.skipped += 1;
            return None;
        }
        kind.burst -= 1;
        kind.written = now;
        Some(std::mem::take(&mut kind.skipped))
    }
}

/// One event's line, which the formatter writes at once.
pub(super) struct Line<'a, W> {
    state: MutexGuard<'a, State<W>>,
    throttled: bool,
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.throttled {
            true => self.state.write_line(line, Instant::now())?,
            false => self.state.out.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.state.out.flush()
    }
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Throttled<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        self.line(true)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        self.line(*meta.level() <= Level::INFO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a line each of `seconds` after the start; what came out.
    fn written(lines: impl IntoIterator<Item = (u64, String)>) -> String {
        let throttled = Throttled::new(Vec::new(), text_note);
        let start = Instant::now();
        let mut state = throttled.0.lock().unwrap();
        for (second, line) in lines {
            state.write_line(line.as_bytes(), start + Duration::from_secs(second)).unwrap();
            assert!(state.kinds.len() <= KINDS);
        }
        String::from_utf8(std::mem::take(&mut state.out)).unwrap()
    }

    #[test]
    fn an_hour_without_a_network_leaves_a_line_a_minute() {
        let text = written((0..3600).step_by(2).map(|at| (at, format!("at {at}: no network\n"))));
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("at ")).collect();
        assert!((59..=66).contains(&lines.len()), "{}", lines.len());
        assert_eq!(lines[..6].concat().matches("no network").count(), 6);
        assert!(text.contains("(29 lines like the next one were left out)\nat "), "{text}");
    }

    #[test]
    fn kinds_do_not_hide_each_other_and_rare_lines_all_pass() {
        let down = (0..100).map(|at| (at, format!("code=SC-DNS after {at} ms\n")));
        let text = written(down.chain([(100, "code=SC-CERT-CA after 1 ms\n".to_owned())]));
        assert!(text.ends_with("code=SC-CERT-CA after 1 ms\n"), "{text}");
        let rare = |at: u64| (at * 61, format!("{at} restarts\n"));
        assert_eq!(written((0..50).map(rare)).lines().count(), 50);
    }

    #[test]
    fn many_kinds_do_not_grow_it() {
        let name = |n: u64| format!("{}\n", "x".repeat(n as usize));
        assert_eq!(written((0..2000).map(|n| (0, name(n)))).lines().count(), 2000);
    }
}
