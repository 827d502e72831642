//! What may be asked and moved in a time: bandwidths by time of day, and budgets of traffic.

use std::num::NonZeroU64;

use bytesize::ByteSize;
use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use serde::Serialize;
use toml::Spanned;

use crate::{
    config::parse::{diagnostics::Problems, table_reader::TableReader},
    registry::settings::{Bandwidth, BandwidthWindow},
};

const RATE_HELP: &str = "write a rate such as \"20 MiB/s\", \"5 MB/s\" or \"200 Mbit/s\"";
const TIME_HELP: &str =
    "write `from` and `to` as times of the day, such as \"08:00\" and \"22:00\"";
const TRAFFIC_HELP: &str = "write traffic = { bytes = \"1 TB\", per = \"month\" }";

/// `[limits]`: what holds for all registries together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How fast blobs may move, in both directions together.
    pub bandwidth: Option<Bandwidth>,
    /// How much may move.
    pub traffic: Option<TrafficBudget>,
}

/// How many bytes of blobs may move in a time of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficBudget {
    /// How many.
    pub bytes: u64,
    /// In what time.
    pub per: Period,
    /// Which of them.
    pub counts: Counted,
}

/// A time of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first to the last.
    Month,
}

/// Which bytes a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those sent to targets.
    Sent,
    /// Those received from sources.
    Received,
    /// All of them.
    Both,
}

impl TrafficBudget {
    /// What counts of the bytes that were moved.
    pub fn count(&self, sent: u64, received: u64) -> u64 {
        match self.counts {
            Counted::Sent => sent,
            Counted::Received => received,
            Counted::Both => sent.saturating_add(received),
        }
    }
}

impl Period {
    /// The first day of the period that a day is in.
    pub fn start(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// The first day of the period after that.
    pub fn end(self, day: NaiveDate) -> NaiveDate {
        let start = self.start(day);
        let end = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        end.unwrap_or(NaiveDate::MAX)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

/// `[limits]` as written.
#[derive(Debug, Default)]
pub(crate) struct LimitsEntry {
    bandwidth: Option<RateEntry>,
    traffic: Option<TrafficEntry>,
}

/// The value of `bandwidth`.
#[derive(Debug)]
pub(crate) enum RateEntry {
    /// One rate.
    Always(Spanned<String>),
    /// Rates by time of day.
    Windows(Vec<WindowEntry>),
}

/// One rate of several.
#[derive(Debug)]
pub(crate) struct WindowEntry {
    span: std::ops::Range<usize>,
    is_whole: bool,
    from: Option<Spanned<String>>,
    to: Option<Spanned<String>>,
    rate: Option<Spanned<String>>,
}

#[derive(Debug)]
struct TrafficEntry {
    span: std::ops::Range<usize>,
    is_whole: bool,
    bytes: Option<Spanned<String>>,
    per: Option<Spanned<String>>,
    counts: Option<Spanned<String>>,
}

/// Reads `[limits]`.
pub(crate) fn read(mut section: TableReader<'_, '_>) -> LimitsEntry {
    let entry = LimitsEntry {
        bandwidth: read_bandwidth(&mut section),
        traffic: section.section("traffic").map(|mut section| TrafficEntry {
            span: section.span(),
            bytes: section.take("bytes", "a number of bytes such as \"1 TB\""),
            per: section.take("per", "\"day\" or \"month\""),
            counts: section.take("counts", "\"sent\", \"received\" or \"both\""),
            is_whole: section.finish(),
        }),
    };
    section.finish();
    entry
}

/// Reads a key `bandwidth`.
pub(crate) fn read_bandwidth(section: &mut TableReader<'_, '_>) -> Option<RateEntry> {
    let help = "write a rate such as \"20 MiB/s\", or a list of { from = \"08:00\", to = \
                \"22:00\", rate = \"5 MiB/s\" }";
    let read = |mut section: TableReader<'_, '_>| WindowEntry {
        span: section.span(),
        from: section.take("from", "a time such as \"08:00\""),
        to: section.take("to", "a time such as \"22:00\""),
        rate: section.take("rate", "a rate such as \"20 MiB/s\""),
        is_whole: section.finish(),
    };
    Some(match section.string_or_each("bandwidth", help, read)? {
        Err(text) => RateEntry::Always(text),
        Ok(windows) => RateEntry::Windows(windows),
    })
}

/// Validates `[limits]`.
pub(crate) fn validate(entry: &LimitsEntry, zone: Tz, problems: &mut Problems) -> Limits {
    Limits {
        bandwidth: bandwidth(entry.bandwidth.as_ref(), zone, problems),
        traffic: entry
            .traffic
            .as_ref()
            .and_then(|entry| traffic(entry, problems)),
    }
}

/// Validates `bandwidth`.
pub(crate) fn bandwidth(
    entry: Option<&RateEntry>,
    zone: Tz,
    problems: &mut Problems,
) -> Option<Bandwidth> {
    let windows: Vec<BandwidthWindow> = match entry? {
        RateEntry::Always(written) => {
            let bytes_per_second = rate(written, problems)?;
            vec![BandwidthWindow {
                hours: None,
                bytes_per_second,
            }]
        }
        RateEntry::Windows(entries) => {
            let mut is_day_full = false;
            let windows = entries.iter().filter_map(|entry| {
                if is_day_full {
                    let help = "put it before the one that names no times";
                    problems.error(entry.span.clone(), "this rate never holds", help);
                    return None;
                }
                is_day_full = entry.from.is_none() && entry.to.is_none();
                window(entry, problems)
            });
            windows.collect()
        }
    };
    Some(Bandwidth::new(windows, zone))
}

fn window(entry: &WindowEntry, problems: &mut Problems) -> Option<BandwidthWindow> {
    let Some(written) = &entry.rate else {
        if entry.is_whole {
            problems.error(
                entry.span.clone(),
                "`bandwidth` has an entry without a `rate`",
                RATE_HELP,
            );
        }
        return None;
    };
    let bytes_per_second = rate(written, problems);
    let hours = match (&entry.from, &entry.to) {
        (None, None) => None,
        (Some(from), Some(to)) => {
            let (start, end) = (time(from, problems), time(to, problems));
            let (start, end) = (start?, end?);
            if start == end {
                let message = "`from` and `to` are the same time";
                let help = "leave both out for the whole day";
                problems.error(to.span(), message, help);
            }
            Some((start, end))
        }
        (Some(single), None) | (None, Some(single)) => {
            if entry.is_whole {
                problems.error(
                    single.span(),
                    "one of `from` and `to` is missing",
                    TIME_HELP,
                );
            }
            return None;
        }
    };
    Some(BandwidthWindow {
        hours,
        bytes_per_second: bytes_per_second?,
    })
}

fn time(written: &Spanned<String>, problems: &mut Problems) -> Option<NaiveTime> {
    let text = match written.get_ref().as_str() {
        "24:00" => "00:00",
        text => text,
    };
    NaiveTime::parse_from_str(text, "%H:%M")
        .inspect_err(|_| {
            let message = format!("`{text}` is not a time of the day");
            problems.error(written.span(), message, TIME_HELP);
        })
        .ok()
}

fn rate(written: &Spanned<String>, problems: &mut Problems) -> Option<NonZeroU64> {
    parse_rate(written.get_ref())
        .map_err(|(message, help)| problems.error(written.span(), message, help))
        .ok()
}

/// Bytes a second, or what is wrong with them and what to do.
fn parse_rate(text: &str) -> Result<NonZeroU64, (String, &'static str)> {
    let wrong = || (format!("`{text}` is not a rate"), RATE_HELP);
    let amount = text.trim().strip_suffix("/s").ok_or_else(wrong)?.trim_end();
    let bytes = if let Some(bits) = amount.strip_suffix("bit") {
        let bits: ByteSize = format!("{bits}B").parse().map_err(|_| wrong())?;
        bits.as_u64() / 8
    } else if amount.ends_with('b') {
        let message = format!("`{text}` may mean bits or bytes");
        return Err((message, "write \"MB/s\" for bytes, or \"Mbit/s\" for bits"));
    } else {
        amount.parse::<ByteSize>().map_err(|_| wrong())?.as_u64()
    };
    NonZeroU64::new(bytes).ok_or_else(|| {
        let help = "write a rate above 0; `paused = true` stops a mirror";
        (format!("`{text}` moves nothing"), help)
    })
}

/// Validates `requests_per_second`.
pub(crate) fn requests_per_second(
    written: Option<&Spanned<f64>>,
    problems: &mut Problems,
) -> Option<f64> {
    let written = written?;
    let rate = *written.get_ref();
    if (0.001..=10_000.0).contains(&rate) {
        return Some(rate);
    }
    let message = format!("`requests_per_second = {rate}` is out of range");
    let help = "write a number from 0.001 to 10000, such as 20 or 0.5";
    problems.error(written.span(), message, help);
    None
}

fn traffic(entry: &TrafficEntry, problems: &mut Problems) -> Option<TrafficBudget> {
    let per = match entry.per.as_ref().map(|per| (per, per.get_ref().as_str())) {
        None | Some((_, "month")) => Period::Month,
        Some((_, "day")) => Period::Day,
        Some((written, other)) => {
            let message = format!("`per = \"{other}\"` is no period");
            problems.error(written.span(), message, "write \"day\" or \"month\"");
            Period::Month
        }
    };
    let counts = match entry
        .counts
        .as_ref()
        .map(|written| (written, written.get_ref().as_str()))
    {
        None | Some((_, "both")) => Counted::Both,
        Some((_, "sent")) => Counted::Sent,
        Some((_, "received")) => Counted::Received,
        Some((written, other)) => {
            let message = format!("`counts = \"{other}\"` is unknown");
            problems.error(
                written.span(),
                message,
                "write \"sent\", \"received\" or \"both\"",
            );
            Counted::Both
        }
    };
    let Some(written) = &entry.bytes else {
        if entry.is_whole {
            problems.error(
                entry.span.clone(),
                "`traffic` names no `bytes`",
                TRAFFIC_HELP,
            );
        }
        return None;
    };
    match written.get_ref().parse::<ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Some(TrafficBudget {
            bytes: size.as_u64(),
            per,
            counts,
        }),
        _ => {
            let message = format!("`{}` is not a number of bytes above 0", written.get_ref());
            problems.error(written.span(), message, TRAFFIC_HELP);
            None
        }
    }
}

#[cfg(test)]
mod tests;
