//! How far apart the ticks of a cron expression are.

use std::time::Duration;

use chrono::{Datelike as _, NaiveDate};
use croner::{Cron, errors::CronError};

const DAY_SECONDS: u64 = 86_400;

/// In so many years every date falls on every day of the week.
const CYCLE_YEARS: usize = 28;

/// The least and the most time between two ticks, on a clock that is never set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spacing {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl Spacing {
    /// The spacing of an expression; `None` if it never fires.
    pub(crate) fn of(cron: &Cron) -> Option<Self> {
        let pattern = &cron.pattern;
        let hours = matching(24, |hour| pattern.hour_match(hour));
        let minutes = matching(60, |minute| pattern.minute_match(minute));
        let seconds = matching(60, |second| pattern.second_match(second));
        let (first_second, last_second) = (seconds.first()?, seconds.last()?);
        let minutes_of_day: Vec<u64> = hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |minute| (hour * 60 + minute) * 60))
            .collect();
        let within_a_minute = seconds.windows(2).map(|pair| pair[1] - pair[0]);
        let between_minutes = minutes_of_day
            .windows(2)
            .map(|pair| pair[1] + first_second - pair[0] - last_second);
        let first = minutes_of_day.first()? + first_second;
        let last = minutes_of_day.last()? + last_second;
        let between_days = days_between(cron)?.map(|days| days * DAY_SECONDS + first - last);
        let all = || {
            let in_a_day = within_a_minute.clone().chain(between_minutes.clone());
            in_a_day.chain(between_days)
        };
        Some(Self {
            shortest: Duration::from_secs(all().min()?),
            longest: Duration::from_secs(all().max()?),
        })
    }
}

/// The values below a limit that a field matches.
fn matching(limit: u32, matches: impl Fn(u32) -> Result<bool, CronError>) -> Vec<u64> {
    let values = (0..limit).filter(|value| matches(*value).is_ok_and(|is_match| is_match));
    values.map(u64::from).collect()
}

/// The least and the most days between two days that match; `None` if none does.
fn days_between(cron: &Cron) -> Option<[u64; 2]> {
    let from = NaiveDate::from_ymd_opt(2000, 1, 1)?;
    let dates = from.iter_days().take(CYCLE_YEARS * 366);
    let mut matches = dates.enumerate().filter(|(_, date)| is_match(cron, *date));
    let (mut previous, _) = matches.next()?;
    let (mut least, mut most) = (u64::MAX, 0);
    for (count, (day, _)) in matches.enumerate() {
        let days = (day - previous) as u64;
        (least, most, previous) = (least.min(days), most.max(days), day);
        // What comes at least monthly has shown all its distances by now.
        if count > 36 && day > 3 * 366 {
            break;
        }
    }
    Some(match most {
        // A date that falls on its day of the week once in a cycle.
        0 => [CYCLE_YEARS as u64 * 365; 2],
        _ => [least, most],
    })
}

fn is_match(cron: &Cron, date: NaiveDate) -> bool {
    let month = cron.pattern.month_match(date.month());
    month.is_ok_and(|is_match| is_match)
        && cron
            .pattern
            .day_match(date.year(), date.month(), date.day())
            .is_ok_and(|is_match| is_match)
}
