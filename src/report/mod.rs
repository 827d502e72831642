//! How every mirror stands and what a day brought: one model, and its renderings.

mod absent;
mod alarm;
mod board;
mod day;
mod document;
mod explain;
mod status;
mod told;
pub mod words;

pub use alarm::{Alarm, Surroundings, alarms, raised, recovered};
pub use board::Board;
pub use day::{Day, Detail};
pub use document::{Block, Document, Line, Mood, Section, Span, Style, Table};
pub use explain::{Answer, Arrival, Copy, CopyState, Explanation, Failure, explain};
pub use status::{Behind, Known, MirrorStatus, RUNS, RunMark, State, Status, TargetStatus};
pub use told::{AlarmChanges, Told};
