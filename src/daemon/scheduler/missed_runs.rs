//! Whether a mirror missed a run while nobody was there to start it.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::config::Mirror;

/// How much later than now a run may have begun, by a clock that was set back a little.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Whether a run is to be made up: the schedule had one since the last that began, or there never was
/// one. However many were missed, one makes up for them.
pub(crate) fn is_missed(mirror: &Mirror, zone: Tz, last: Option<i64>, now: DateTime<Utc>) -> bool {
    if mirror.is_paused {
        return false;
    }
    let last = last.and_then(|last| DateTime::from_timestamp(last, 0));
    // A run that is yet to come was noted by a clock that was ahead; nobody knows when it was.
    let Some(last) = last.filter(|last| *last <= now + AHEAD) else {
        return true;
    };
    let due = mirror.schedule.next_after(last, zone);
    due.is_some_and(|due| due <= now)
}

#[cfg(test)]
mod tests;
