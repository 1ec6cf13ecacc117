//! "Why doesn't it work?": the way of a request, step by step, with time, evidence and advice.

mod view;

pub use view::{FindingView, StepId, StepState, StepView};
