//! How every mirror stands and what a day brought: one model, and its renderings.

mod document;

pub use document::{Block, Document, Line, Mood, Section, Span, Style, Table};
