//! Steps on their way to whoever watches.

use std::time::Instant;

use tokio::sync::mpsc;

use super::evidence::Fact;
use super::view::{FindingView, StepId, StepState, StepView};

/// Where steps go. Whoever watches may have left; the steps are taken all the same.
#[derive(Debug, Clone)]
pub struct Report {
    steps: mpsc::Sender<StepView>,
}

/// Steps that wait to be shown: they come one after the other, each after some time.
const STEPS: usize = 8;

impl Report {
    /// A report, and the end it comes out of.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<StepView>) {
        let (steps, shown) = mpsc::channel(STEPS);
        (Self { steps }, shown)
    }

    async fn tell(&self, step: StepView) {
        let _ = self.steps.send(step).await;
    }

    /// A step begins.
    pub(super) async fn begin(&self, id: StepId) -> Begun<'_> {
        self.tell(StepView::new(id, StepState::Running)).await;
        Begun { report: self, id, since: Instant::now(), ms: None }
    }

    /// A step is left out.
    pub(super) async fn skip(&self, id: StepId, why: Fact) {
        let step = StepView::new(id, StepState::Skipped);
        self.tell(StepView { evidence: why.to_string(), facts: vec![why], ..step }).await;
    }
}

/// A step that has begun.
pub(super) struct Begun<'a> {
    report: &'a Report,
    id: StepId,
    since: Instant,
    ms: Option<f64>,
}

impl Begun<'_> {
    /// It took this long, and not as long as the program waited.
    pub(super) fn took(mut self, time: std::time::Duration) -> Self {
        self.ms = Some(millis(time));
        self
    }

    /// All is well.
    pub(super) async fn ok(self, facts: impl Into<Vec<Fact>>) {
        self.end(StepState::Ok, facts.into(), None).await;
    }

    /// It could not be finished for a reason that another step names.
    pub(super) async fn skip(self, facts: impl Into<Vec<Fact>>) {
        self.end(StepState::Skipped, facts.into(), None).await;
    }

    /// It works, and yet.
    pub(super) async fn warn(self, facts: impl Into<Vec<Fact>>, finding: &FindingView) {
        self.end(StepState::Warning, facts.into(), Some(finding)).await;
    }

    /// It does not work.
    pub(super) async fn fail(self, facts: impl Into<Vec<Fact>>, finding: &FindingView) {
        self.end(StepState::Failed, facts.into(), Some(finding)).await;
    }

    async fn end(self, state: StepState, facts: Vec<Fact>, finding: Option<&FindingView>) {
        let ms = Some(self.ms.unwrap_or_else(|| millis(self.since.elapsed())));
        let advice = finding.map(|it| it.advice.clone()).filter(|advice| !advice.is_empty());
        let code = finding.map(|it| it.code.clone());
        let (id, evidence) = (self.id, Fact::text(&facts));
        self.report.tell(StepView { id, state, ms, evidence, facts, advice, code }).await;
    }
}

/// Milliseconds with one decimal.
pub(super) fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
