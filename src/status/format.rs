//! Formats durations, sizes, times and digests for people.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// `1h 12m`: two units are enough.
pub(crate) fn duration(seconds: i64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `12 tags`, `1 tag`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A number of bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A time in a zone.
pub(crate) fn time(seconds: i64, zone: Tz) -> String {
    format(seconds, zone, "%Y-%m-%d %H:%M:%S")
}

/// A time in a zone, of a day that is known.
pub(crate) fn clock(seconds: i64, zone: Tz) -> String {
    format(seconds, zone, "%H:%M")
}

/// The start of a digest, enough to distinguish two.
pub(crate) fn short_digest(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

fn format(seconds: i64, zone: Tz, format: &str) -> String {
    let time = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    time.with_timezone(&zone).format(format).to_string()
}
