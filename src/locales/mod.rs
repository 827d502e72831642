//! The languages of pages, reports and alarms, and how durations and times read in them.

mod error_class;
mod localized;
pub(crate) mod words;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

use crate::locales::words::{CHINESE, ENGLISH, Words};

pub use crate::locales::localized::Localized;

/// Seconds from which on durations are shown in whole minutes.
const PRECISE: i64 = 600;

/// A language of pages, reports and alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

/// A point in time, in three forms.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Its distance from now, such as `2h ago`.
    pub(crate) text: String,
    /// Its date and time in the configured time zone.
    pub(crate) full: String,
    /// Its date and time by RFC 3339, for the `datetime` attribute.
    pub(crate) machine: String,
}

impl Language {
    /// Parses a language tag such as `zh-CN`.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The preferred language of an `Accept-Language` header, the first of several equal ones
    /// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4)).
    pub(crate) fn preferred(header: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in header.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = match weight.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse().unwrap_or(0.0),
                None => 1.0,
            };
            let language = match tag.trim() {
                "*" => Some(Self::English),
                tag => Self::parse(tag),
            };
            if let Some(language) = language.filter(|_| weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }

    /// Its tag, as `?lang=` has it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The texts in this language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }

    /// The other language: its tag for `?lang=`, and its own name.
    pub(crate) fn other(self) -> (&'static str, &'static str) {
        match self {
            Self::English => ("zh", "中文"),
            Self::Chinese => ("en", "English"),
        }
    }

    /// Formats seconds with at most two units, such as `1h 12m`.
    pub(crate) fn duration(self, seconds: i64) -> String {
        let mut rest = match seconds.max(0) {
            long if long >= PRECISE => long - long % 60,
            short => short,
        };
        let words = &self.words().time;
        let units = [words.day, words.hour, words.minute, words.second];
        let mut parts = Vec::new();
        for (length, unit) in [86_400, 3600, 60, 1].into_iter().zip(units) {
            parts.push((rest / length, unit));
            rest %= length;
        }
        let first = parts.iter().position(|(count, _)| *count > 0);
        let parts = parts.into_iter().skip(first.unwrap_or(3)).take(2);
        let parts = parts
            .enumerate()
            .filter(|(at, (count, _))| *at == 0 || *count > 0);
        let parts = parts.map(|(_, (count, unit))| format!("{count}{unit}"));
        parts.collect::<Vec<_>>().join(" ")
    }

    /// Describes a point in time, relative to `now`. All times are seconds since 1970.
    pub(crate) fn moment(self, at: i64, now: i64, zone: Tz) -> Moment {
        let words = self.words();
        let text = match at - now {
            0 => words.time.now.into(),
            ahead if ahead > 0 => words.time.within(self.duration(ahead)),
            past => words.time.ago(self.duration(-past)),
        };
        let time = DateTime::<Utc>::from_timestamp(at, 0).unwrap_or_default();
        Moment {
            text,
            full: time
                .with_timezone(&zone)
                .format("%Y-%m-%d %H:%M:%S")
                .to_string(),
            machine: time.to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }
}

#[cfg(test)]
mod tests;
