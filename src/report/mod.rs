//! How every mirror stands and what a day brought: one model, and its renderings.

mod document;
mod status;

pub use document::{Block, Document, Line, Mood, Section, Span, Style, Table};
pub use status::{Behind, Known, MirrorStatus, RUNS, RunMark, State, Status, TargetStatus};
