//! Remarks at places of a file, and errors that end an import.

use std::{fmt, sync::Arc};

/// A line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the caller named it.
    pub file: Arc<str>,
    /// The line, counted from 1. 0 is the whole file.
    pub line: usize,
}

/// A message about one place of the file. It also stands in the output as a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What the remark is about.
    pub place: Place,
    /// One line of text.
    pub text: String,
    /// Whether the original does something that the output does not do.
    pub is_loss: bool,
}

impl Remark {
    pub(crate) fn loss(place: Place, text: impl AsRef<str>) -> Self {
        let text = transship_text::one_line(text.as_ref());
        let is_loss = true;
        Self {
            place,
            text,
            is_loss,
        }
    }
}

/// Why a file cannot be imported.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An option does not fit the tool.
    #[error("{0}")]
    Usage(String),
    /// The file cannot be read as one of the known formats.
    #[error("{place}: {message}\n  help: {help}")]
    File {
        /// Where the fault is.
        place: Place,
        /// What is wrong.
        message: String,
        /// What to do about it.
        help: &'static str,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}
