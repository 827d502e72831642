//! When a mirror runs: the ticks of a cron expression, in the wall-clock time of a zone.

pub(crate) mod cron;
pub(crate) mod interval;
#[cfg(test)]
mod tests;
pub(crate) mod timing;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::Cron;

use crate::config::schedule::{cron::BadSchedule, interval::Spacing};

/// A cron expression.
///
/// Its fields speak of the local time of a zone, which is passed along. Where a clock is set:
/// - A schedule that names its hours ticks once for each local time that it names: at the first
///   moment after the gap when the clock skips that time, and the first time when it comes twice.
/// - A schedule of every hour ticks in every hour that passes: in an hour that comes twice it
///   ticks twice, and not at all in one that is skipped. Where a clock skips less than an hour
///   (Lord Howe), no hour is skipped, so what falls into the gap ticks after it.
#[derive(Clone)]
pub struct Schedule {
    written: String,
    with_seconds: String,
    cron: Arc<Cron>,
    is_every_hour: bool,
    spacing: Spacing,
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
    /// Whether both have the same fields.
    fn eq(&self, other: &Self) -> bool {
        self.with_seconds == other.with_seconds
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
            with_seconds,
            is_every_hour: cron.pattern.hours.is_all_set(),
            cron: Arc::new(cron),
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

    /// The expression with six fields, seconds first, whatever was written.
    pub fn with_seconds(&self) -> &str {
        &self.with_seconds
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
        let local = moment.with_timezone(&zone).naive_local();
        let ahead = self.next_from(local, moment, zone);
        let again = repeated(local, zone).and_then(|length| {
            // Where a time comes twice, what was passed for the first time may yet come.
            self.next_from(local - length, moment, zone)
        });
        ahead.into_iter().chain(again).min()
    }

    /// The last tick at or before a moment.
    pub fn last_before(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&zone).naive_local();
        let behind = self.last_from(local, moment, zone);
        let again = repeated(local, zone).and_then(|length| {
            // A time that comes twice was passed once, though the clock says that it is to come.
            self.last_from(local + length, moment, zone)
        });
        behind.into_iter().chain(again).max()
    }

    fn next_from(
        &self,
        mut local: NaiveDateTime,
        moment: DateTime<Utc>,
        zone: Tz,
    ) -> Option<DateTime<Utc>> {
        loop {
            // In UTC no clock is set: this is arithmetic on the fields alone.
            let from = local.with_nanosecond(0)?.and_utc();
            local = self
                .cron
                .find_next_occurrence(&from, false)
                .ok()?
                .naive_utc();
            let ticks = self.ticks(local, zone).into_iter().flatten();
            if let Some(tick) = ticks.filter(|tick| *tick > moment).min() {
                return Some(tick);
            }
        }
    }

    fn last_from(
        &self,
        mut local: NaiveDateTime,
        moment: DateTime<Utc>,
        zone: Tz,
    ) -> Option<DateTime<Utc>> {
        loop {
            let from = local.with_nanosecond(0)?.and_utc();
            local = self
                .cron
                .find_previous_occurrence(&from, true)
                .ok()?
                .naive_utc();
            let ticks = self.ticks(local, zone).into_iter().flatten();
            if let Some(tick) = ticks.filter(|tick| *tick <= moment).max() {
                return Some(tick);
            }
            local -= TimeDelta::seconds(1);
        }
    }

    /// The moments at which a local time that fits the fields is a tick.
    fn ticks(&self, local: NaiveDateTime, zone: Tz) -> [Option<DateTime<Utc>>; 2] {
        let found = zone.from_local_datetime(&local);
        let first = found.earliest().map(|time| time.to_utc());
        match found.latest() {
            Some(latest) if self.is_every_hour => [first, Some(latest.to_utc())],
            Some(_) => [first, None],
            None => [self.after_gap(local, zone), None],
        }
    }

    /// The first moment after the gap that a local time is in, if it ticks there.
    fn after_gap(&self, local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
        let gap = GapInfo::new(&local, &zone)?;
        let (begin, end) = (gap.begin?.0, gap.end?);
        let is_an_hour = end.naive_local() - begin >= TimeDelta::hours(1);
        (!(self.is_every_hour && is_an_hour)).then(|| end.to_utc())
    }
}

/// The length of the time that comes twice, if a local time is in one.
fn repeated(local: NaiveDateTime, zone: Tz) -> Option<TimeDelta> {
    let found = zone.from_local_datetime(&local);
    let length = found.latest()? - found.earliest()?;
    (length > TimeDelta::zero()).then_some(length)
}
