//! Printing on standard output, and how values read there.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

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

/// `1h 12m`: two units are enough.
pub(super) fn duration(seconds: i64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `12 tags`, `1 tag`.
pub(super) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A number of bytes.
pub(super) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A time in the config's zone.
pub(super) fn time(seconds: i64, zone: Tz) -> String {
    let time = DateTime::<Utc>::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .with_timezone(&zone);
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}
