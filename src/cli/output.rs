//! Printing on standard output.

use std::io::{self, Write as _};

use chrono_tz::Tz;
use serde::Serialize;

pub(crate) use crate::status::format::{bytes, count, duration, time};

/// Prints a line on standard output. A reader that went away, as `head` does, is no error.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// How long ago something was, or that the clock must be wrong.
pub(crate) fn ago(at: i64, now: i64) -> String {
    match now - at {
        past if past >= 0 => format!("{} ago", duration(past)),
        _ => "in the future: is the clock right?".into(),
    }
}

/// What is said of a tag that verification found damaged.
pub(crate) fn damaged(at: i64, zone: Tz) -> String {
    let at = time(at, zone);
    format!("found by verify at {at}; the next sync brings it again")
}

/// Prints one JSON object on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// A TOML string. TOML's basic strings take the escapes of JSON
/// ([TOML 1.0](https://toml.io/en/v1.0.0#string)).
pub(crate) fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
