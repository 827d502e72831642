//! Validates when a mirror runs: `schedule`, `every`, `jitter`, `max_lag` and `paused`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use toml::Spanned;

use crate::config::{
    Mirror, Schedule,
    parse::{diagnostics::Problems, table_reader::TableReader},
    schedule::cron::BadSchedule,
};

/// The default jitter is a part of the shortest interval, and never more than this.
const MOST_JITTER: Duration = Duration::from_secs(60);

/// More often than this, one run could not even start before the next.
const SHORTEST: Duration = Duration::from_secs(2);

/// The keys as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimingEntry {
    schedule: Option<Spanned<String>>,
    every: Option<Spanned<String>>,
    jitter: Option<Spanned<String>>,
    max_lag: Option<Spanned<String>>,
    paused: Option<Spanned<bool>>,
}

impl TimingEntry {
    /// Takes the keys out of a `[[mirror]]`, or of `[defaults]`.
    pub(crate) fn read(section: &mut TableReader<'_, '_>) -> Self {
        Self {
            schedule: section.take("schedule", "a cron expression such as \"17 */2 * * *\""),
            every: section.take("every", "a duration such as \"45m\""),
            jitter: section.take("jitter", "a duration such as \"30s\""),
            max_lag: section.take("max_lag", "a duration such as \"3h\""),
            paused: section.take("paused", "true or false"),
        }
    }

    /// The entry with the defaults filled in where it says nothing.
    pub(crate) fn or(self, defaults: Self) -> Self {
        // Either of the two replaces both of the defaults.
        let (schedule, every) = match (self.schedule, self.every) {
            (None, None) => (defaults.schedule, defaults.every),
            own => own,
        };
        Self {
            schedule,
            every,
            jitter: self.jitter.or(defaults.jitter),
            max_lag: self.max_lag.or(defaults.max_lag),
            paused: self.paused.or(defaults.paused),
        }
    }
}

/// When a mirror runs.
pub(crate) struct Timing {
    pub(crate) schedule: Schedule,
    pub(crate) jitter: Duration,
    pub(crate) max_lag: Duration,
    pub(crate) is_paused: bool,
}

/// Validates the keys of an entry that has the defaults filled in.
pub(crate) fn validate(entry: &TimingEntry, problems: &mut Problems) -> Timing {
    let schedule = match (&entry.schedule, &entry.every) {
        (None, None) => Some(Schedule::default()),
        (Some(text), None) => schedule(text, problems),
        (None, Some(text)) => every(text, problems),
        (Some(_), Some(every)) => {
            let help =
                "keep one of them: `every` is a fixed interval, `schedule` times of the clock";
            problems.error(every.span(), "`every` beside `schedule`", help);
            None
        }
    };
    // The keys that depend on the schedule are checked once it is valid.
    let shortest = schedule.as_ref().map(Schedule::shortest_interval);
    let schedule = schedule.unwrap_or_default();
    let jitter = match &entry.jitter {
        Some(text) => jitter(text, shortest, problems),
        None => (schedule.shortest_interval() / 10).min(MOST_JITTER),
    };
    let max_lag = entry
        .max_lag
        .as_ref()
        .and_then(|text| max_lag(text, problems));
    Timing {
        jitter,
        max_lag: max_lag.unwrap_or(schedule.longest_interval() * 2),
        is_paused: entry
            .paused
            .as_ref()
            .is_some_and(|paused| *paused.get_ref()),
        schedule,
    }
}

fn schedule(written: &Spanned<String>, problems: &mut Problems) -> Option<Schedule> {
    let bad = match written.get_ref().parse::<Schedule>() {
        Ok(schedule) if schedule.shortest_interval() >= SHORTEST => return Some(schedule),
        Ok(_) => {
            let help =
                "write five fields, without seconds, as in \"*/5 * * * *\"; or every = \"5m\"";
            BadSchedule::new("it fires every second", help)
        }
        Err(bad) => bad,
    };
    problems.error(
        written.span(),
        format!("bad `schedule`: {}", bad.message),
        bad.help,
    );
    None
}

fn every(written: &Spanned<String>, problems: &mut Problems) -> Option<Schedule> {
    let (message, help) = match humantime::parse_duration(written.get_ref()) {
        Err(_) => (
            format!("`{}` is not a duration", written.get_ref()),
            "write the time between two runs, such as \"45m\"".into(),
        ),
        Ok(interval) => match Schedule::every(interval) {
            Ok(schedule) => return Some(schedule),
            Err(bad) => (format!("bad `every`: {}", bad.message), bad.help),
        },
    };
    problems.error(written.span(), message, help);
    None
}

fn jitter(
    written: &Spanned<String>,
    shortest: Option<Duration>,
    problems: &mut Problems,
) -> Duration {
    let Ok(jitter) = humantime::parse_duration(written.get_ref()) else {
        let message = format!("`{}` is not a duration", written.get_ref());
        let help = "write how late a run may start, such as \"30s\"; \"0s\" for not at all";
        problems.error(written.span(), message, help);
        return Duration::ZERO;
    };
    if let Some(shortest) = shortest.filter(|shortest| jitter >= *shortest) {
        let interval = humantime::format_duration(shortest);
        let message = format!("a `jitter` of {} reaches the next tick", written.get_ref());
        let help = format!("write less than {interval}, the schedule's shortest interval");
        problems.error(written.span(), message, help);
    }
    jitter
}

fn max_lag(written: &Spanned<String>, problems: &mut Problems) -> Option<Duration> {
    match humantime::parse_duration(written.get_ref()) {
        Ok(lag) if !lag.is_zero() => Some(lag),
        _ => {
            let message = format!("`{}` is not a duration", written.get_ref());
            let help = "write how far the mirror may lag before that is an alarm, such as \"3h\"";
            problems.error(written.span(), message, help);
            None
        }
    }
}

impl Mirror {
    /// The Unix time of the next tick after another; `None` while the mirror is paused.
    pub fn next_run(&self, zone: Tz, now: i64) -> Option<i64> {
        let now = DateTime::from_timestamp(now, 0).filter(|_| !self.is_paused)?;
        let next = self.schedule.next_after(now, zone)?;
        Some(next.timestamp())
    }

    /// The most seconds between two ticks, so that no weekend looks like a stop; where the next
    /// two are further apart, as a clock change makes them, theirs.
    pub fn interval_seconds(&self, zone: Tz, now: i64) -> i64 {
        let now = DateTime::from_timestamp(now, 0).unwrap_or_default();
        let next = self.schedule.interval(now, zone);
        let longest = next.max(self.schedule.longest_interval());
        i64::try_from(longest.as_secs()).unwrap_or(i64::MAX)
    }
}
