//! Printing on standard output.

use std::io::{self, Write as _};

use serde::Serialize;

pub(super) use crate::report::words::{bytes, count, duration, time};

/// Prints a line on standard output. A reader that went away, as `head` does, is no error.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints one JSON object on standard output.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}
