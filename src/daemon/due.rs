//! Whether a mirror missed a run while nobody was there to start it.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::config::Mirror;

/// How much later than now a run may have begun, by a clock that was set back a little.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Whether a run is to be made up: the schedule had one since the last that began, or there never was
/// one. However many were missed, one makes up for them.
pub(super) fn is_missed(mirror: &Mirror, zone: Tz, last: Option<i64>, now: DateTime<Utc>) -> bool {
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
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn is_missed_at(keys: &str, last: Option<&str>, now: &str) -> bool {
        let text = format!("[[mirror]]\nfrom = \"nginx:1\"\ntarget = \"t.example/m\"\n{keys}");
        let config = Config::parse(Path::new("mirror.toml"), &text).unwrap();
        let utc = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let last = last.map(|last| utc(last).timestamp());
        is_missed(&config.mirrors[0], Tz::UTC, last, utc(now))
    }

    #[test]
    fn a_mirror_that_never_ran_runs_at_the_start() {
        assert!(is_missed_at("", None, "2026-01-01T00:30:00Z"));
        assert!(!is_missed_at("paused = true", None, "2026-01-01T00:30:00Z"));
    }

    #[test]
    fn a_run_that_was_missed_is_made_up_and_one_that_was_not_is_not() {
        let hourly = "schedule = \"@hourly\"";
        let last = Some("2026-01-01T00:00:05Z");
        assert!(!is_missed_at(hourly, last, "2026-01-01T00:59:00Z"));
        assert!(is_missed_at(hourly, last, "2026-01-01T09:30:00Z"));
    }

    #[test]
    fn a_run_of_a_clock_that_was_ahead_is_made_up() {
        let ahead = Some("2026-01-01T08:30:00Z");
        assert!(is_missed_at(
            "schedule = \"@hourly\"",
            ahead,
            "2026-01-01T00:40:00Z"
        ));
    }
}
