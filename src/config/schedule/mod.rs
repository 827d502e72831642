//! When a mirror runs: at the ticks of a cron expression, or at a fixed interval.

pub(crate) mod cron;
pub(crate) mod interval;
#[cfg(test)]
mod tests;
mod ticks;
pub(crate) mod timing;

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike as _, Utc};
use chrono_tz::Tz;

use crate::config::schedule::{cron::BadSchedule, interval::Spacing, ticks::CronTicks};

/// What a fixed interval may be, in seconds.
const INTERVALS: std::ops::RangeInclusive<u64> = 2..=366 * 86_400;
/// A valid expression for the scheduler, which never computes ticks itself.
const ANY_EXPRESSION: &str = "0 * * * * *";

/// A cron expression, or a fixed interval that is counted from the Unix epoch.
///
/// The fields of an expression are in the local time of a zone, which is passed along. Where a
/// clock is set:
/// - A schedule that names its hours ticks once for each local time that it names: at the first
///   moment after the gap when the clock skips that time, and the first time when it comes twice.
/// - A schedule of every hour ticks in every hour that passes: in an hour that comes twice it
///   ticks twice, and not at all in one that is skipped. Where a clock skips less than an hour
///   (Lord Howe), no hour is skipped, so what falls into the gap ticks after it.
#[derive(Clone)]
pub struct Schedule {
    written: String,
    rhythm: Rhythm,
    spacing: Spacing,
}

#[derive(Clone)]
enum Rhythm {
    Cron {
        ticks: CronTicks,
        with_seconds: String,
    },
    Every(TimeDelta),
}

impl Default for Schedule {
    /// `@hourly`.
    fn default() -> Self {
        "@hourly"
            .parse()
            .unwrap_or_else(|_| unreachable!("it is a constant"))
    }
}

impl PartialEq for Schedule {
    /// Whether both have the same fields, or the same interval.
    fn eq(&self, other: &Self) -> bool {
        match (&self.rhythm, &other.rhythm) {
            (Rhythm::Every(own), Rhythm::Every(other)) => own == other,
            (Rhythm::Cron { .. }, Rhythm::Cron { .. }) => {
                self.with_seconds() == other.with_seconds()
            }
            _ => false,
        }
    }
}

impl Eq for Schedule {}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.written).finish()
    }
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let (cron, with_seconds) = cron::parse(text)?;
        let spacing = Spacing::of(&cron).ok_or_else(|| {
            let message = "it never fires: no month that it names has such a day";
            let help = "write a day that exists; `L` is the last day of each month";
            BadSchedule::new(message, help)
        })?;
        Ok(Self {
            written: text.to_owned(),
            rhythm: Rhythm::Cron {
                ticks: CronTicks::new(cron),
                with_seconds,
            },
            spacing,
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Schedule {
    /// Once a day at a time.
    pub fn daily(at: NaiveTime) -> Self {
        let expression = format!("{} {} {} * * *", at.second(), at.minute(), at.hour());
        let parsed = expression.parse();
        parsed.unwrap_or_else(|_| unreachable!("every time of a day has an expression"))
    }

    /// A fixed interval: whole seconds, from two seconds to a year.
    pub fn every(interval: Duration) -> Result<Self, BadSchedule> {
        let seconds = interval.as_secs();
        if interval.subsec_nanos() > 0 || !INTERVALS.contains(&seconds) {
            let help = "write whole seconds, from \"2s\" to a year, such as \"45m\"";
            return Err(BadSchedule::new("the interval is out of range", help));
        }
        let (shortest, longest) = (interval, interval);
        Ok(Self {
            written: format!("every {}", humantime::format_duration(interval)),
            rhythm: Rhythm::Every(TimeDelta::seconds(seconds.cast_signed())),
            spacing: Spacing { shortest, longest },
        })
    }

    /// The cron expression with six fields, seconds first. A fixed interval has none, and returns
    /// one that is only valid.
    pub fn with_seconds(&self) -> &str {
        match &self.rhythm {
            Rhythm::Cron { with_seconds, .. } => with_seconds,
            Rhythm::Every(_) => ANY_EXPRESSION,
        }
    }

    /// The least time between two ticks, as if the clock were never set.
    pub fn shortest_interval(&self) -> Duration {
        self.spacing.shortest
    }

    /// The most time between two ticks, as if the clock were never set: three days for one that
    /// fires on working days.
    pub fn longest_interval(&self) -> Duration {
        self.spacing.longest
    }

    /// The time between the next two ticks after `from`, clock changes included.
    pub fn interval(&self, from: DateTime<Utc>, zone: Tz) -> Duration {
        let between = || {
            let first = self.next_after(from, zone)?;
            (self.next_after(first, zone)? - first).to_std().ok()
        };
        between().unwrap_or(self.spacing.longest)
    }

    /// The first tick after a moment. There is none only at the end of the calendar.
    pub fn next_after(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match &self.rhythm {
            Rhythm::Cron { ticks, .. } => ticks.next_after(moment, zone),
            Rhythm::Every(interval) => {
                multiple_at_or_before(*interval, moment)?.checked_add_signed(*interval)
            }
        }
    }

    /// The last tick at or before a moment.
    pub fn last_before(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match &self.rhythm {
            Rhythm::Cron { ticks, .. } => ticks.last_before(moment, zone),
            Rhythm::Every(interval) => multiple_at_or_before(*interval, moment),
        }
    }
}

/// The last multiple of an interval since the Unix epoch, so that ticks survive a restart.
fn multiple_at_or_before(interval: TimeDelta, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let seconds = interval.num_seconds();
    DateTime::from_timestamp(moment.timestamp().div_euclid(seconds) * seconds, 0)
}
