//! How every mirror stands and what a day brought: one model, and its renderings.

mod status;

pub use status::{Behind, Known, MirrorStatus, RUNS, RunMark, State, Status, TargetStatus};
