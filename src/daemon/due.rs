//! What to do with a mirror when its schedule ticks, and when the daemon starts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::config::Schedule;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Start a run: it is time.
    Start,
    /// Start no run: the one before is still under way.
    SkipOverlap,
    /// Start a run that should have been: one for all the ticks that were missed, or the first.
    MakeUp,
    /// Nothing.
    Nothing,
}

/// How a mirror stands.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// When it runs.
    pub schedule: &'a Schedule,
    /// The zone of the schedule.
    pub zone: Tz,
    /// When its last run started, whoever started it.
    pub last_start: Option<DateTime<Utc>>,
    /// Whether a run is under way.
    pub is_running: bool,
    /// Whether no schedule starts it.
    pub is_paused: bool,
}

impl Standing<'_> {
    /// What a tick of the schedule means.
    pub fn at_tick(&self) -> Due {
        match self {
            Self {
                is_paused: true, ..
            } => Due::Nothing,
            Self {
                is_running: true, ..
            } => Due::SkipOverlap,
            _ => Due::Start,
        }
    }

    /// What there is to do when the daemon starts, or the mirror is new in the file.
    pub fn at_start(&self, now: DateTime<Utc>) -> Due {
        let is_behind = match (self.last_start, self.schedule.last_before(now, self.zone)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(start), Some(tick)) => start < tick,
        };
        match self {
            Self {
                is_paused: true, ..
            } => Due::Nothing,
            _ if !is_behind => Due::Nothing,
            Self {
                is_running: true, ..
            } => Due::SkipOverlap,
            _ => Due::MakeUp,
        }
    }
}

/// How much later than its tick a run starts: less than `jitter`, so that the runs of one tick do
/// not all ask the registries at once.
pub fn draw(jitter: Duration, random: &mut fastrand::Rng) -> Duration {
    match u64::try_from(jitter.as_nanos()) {
        Ok(0) => Duration::ZERO,
        Ok(nanoseconds) => Duration::from_nanos(random.u64(..nanoseconds)),
        Err(_) => Duration::from_nanos(random.u64(..)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-01T12:30:00Z";

    /// What to do at 12:30 with a mirror that runs hourly.
    fn at_start(last_start: Option<&str>, change: impl FnOnce(&mut Standing<'_>)) -> Due {
        let schedule = Schedule::default();
        let mut standing = standing(&schedule);
        standing.last_start = last_start.map(|text| text.parse().unwrap());
        change(&mut standing);
        standing.at_start(NOW.parse().unwrap())
    }

    fn standing(schedule: &Schedule) -> Standing<'_> {
        Standing {
            schedule,
            zone: Tz::UTC,
            last_start: None,
            is_running: false,
            is_paused: false,
        }
    }

    #[test]
    fn a_tick_starts_a_run() {
        assert_eq!(standing(&Schedule::default()).at_tick(), Due::Start);
    }

    #[test]
    fn a_tick_during_a_run_is_skipped() {
        let schedule = Schedule::default();
        let mut standing = standing(&schedule);
        standing.is_running = true;
        assert_eq!(standing.at_tick(), Due::SkipOverlap);
    }

    #[test]
    fn a_paused_mirror_is_left_alone() {
        let schedule = Schedule::default();
        let mut standing = standing(&schedule);
        standing.is_paused = true;
        assert_eq!(standing.at_tick(), Due::Nothing);
        standing.is_running = true;
        assert_eq!(standing.at_tick(), Due::Nothing);
        assert_eq!(at_start(None, |s| s.is_paused = true), Due::Nothing);
    }

    #[test]
    fn what_was_missed_while_the_daemon_was_down_is_made_up() {
        for missed in ["2026-03-01T11:59:59Z", "2026-02-01T00:00:00Z"] {
            assert_eq!(at_start(Some(missed), |_| {}), Due::MakeUp, "{missed}");
        }
        let found = at_start(Some("2026-02-01T00:00:00Z"), |s| s.is_running = true);
        assert_eq!(found, Due::SkipOverlap);
    }

    #[test]
    fn what_ran_since_its_last_tick_waits_for_the_next() {
        for start in [
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:42Z",
            // The clock was set back since.
            "2026-03-02T00:00:00Z",
        ] {
            assert_eq!(at_start(Some(start), |_| {}), Due::Nothing, "{start}");
        }
    }

    #[test]
    fn a_mirror_that_never_ran_runs_when_the_daemon_starts() {
        assert_eq!(at_start(None, |_| {}), Due::MakeUp);
    }

    #[test]
    fn the_last_tick_is_by_the_clock_of_the_zone() {
        let daily: Schedule = "0 21 * * *".parse().unwrap();
        let mut standing = standing(&daily);
        standing.last_start = Some("2026-03-01T00:00:00Z".parse().unwrap());
        assert_eq!(standing.at_start(NOW.parse().unwrap()), Due::Nothing);
        standing.zone = chrono_tz::Asia::Tokyo;
        assert_eq!(standing.at_start(NOW.parse().unwrap()), Due::MakeUp);
    }

    #[test]
    fn a_delay_is_drawn_from_the_whole_of_the_jitter_and_stays_below_it() {
        let mut random = fastrand::Rng::with_seed(7);
        let jitter = Duration::from_secs(10);
        let drawn: Vec<Duration> = (0..1000).map(|_| draw(jitter, &mut random)).collect();
        assert!(drawn.iter().all(|delay| *delay < jitter));
        for second in 0..10 {
            assert!(drawn.iter().any(|delay| delay.as_secs() == second));
        }
        assert_eq!(draw(Duration::ZERO, &mut random), Duration::ZERO);
        assert_eq!(draw(Duration::from_nanos(1), &mut random), Duration::ZERO);
        assert!(draw(Duration::MAX, &mut random) < Duration::MAX);
    }
}
