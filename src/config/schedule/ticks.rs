//! The ticks of a cron expression in the wall-clock time of a zone.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::Cron;

/// The ticks of one cron expression.
#[derive(Clone)]
pub(crate) struct CronTicks {
    cron: Arc<Cron>,
    is_every_hour: bool,
}

impl CronTicks {
    pub(crate) fn new(cron: Cron) -> Self {
        Self {
            is_every_hour: cron.pattern.hours.is_all_set(),
            cron: Arc::new(cron),
        }
    }

    /// The first tick after a moment. There is none only at the end of the calendar.
    pub(crate) fn next_after(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&zone).naive_local();
        let ahead = self.next_from(local, moment, zone);
        let again = repeated(local, zone).and_then(|length| {
            // Where a time comes twice, what was passed for the first time may yet come.
            self.next_from(local - length, moment, zone)
        });
        ahead.into_iter().chain(again).min()
    }

    /// The last tick at or before a moment.
    pub(crate) fn last_before(&self, moment: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
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
            // In UTC no clock is set: this is arithmetic on nothing but the fields.
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
