//! Finds runs that mirrors missed while no daemon ran.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::config::Mirror;

/// How far in the future the start of a run may be, after the clock was set back a little.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Whether a run was missed: the schedule had one since the last start, or none ever started. One run
/// makes up for all that were missed.
pub(crate) fn is_missed(mirror: &Mirror, zone: Tz, last: Option<i64>, now: DateTime<Utc>) -> bool {
    if mirror.is_paused {
        return false;
    }
    let last = last.and_then(|last| DateTime::from_timestamp(last, 0));
    // A start in the future was recorded by a clock that was ahead. The real time is unknown.
    let Some(last) = last.filter(|last| *last <= now + AHEAD) else {
        return true;
    };
    let due = mirror.schedule.next_after(last, zone);
    due.is_some_and(|due| due <= now)
}

#[cfg(test)]
mod tests;
