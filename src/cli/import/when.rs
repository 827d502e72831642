//! When other tools run: intervals and cron expressions, as schedules of `mirror.toml`.

use std::time::Duration;

use crate::{config::Schedule, registry::go_seconds};

/// Seconds between runs that a schedule can say exactly, and the schedule.
const STEPS: [(u64, &str); 29] = [
    (1, "* * * * * *"),
    (2, "*/2 * * * * *"),
    (3, "*/3 * * * * *"),
    (4, "*/4 * * * * *"),
    (5, "*/5 * * * * *"),
    (6, "*/6 * * * * *"),
    (10, "*/10 * * * * *"),
    (12, "*/12 * * * * *"),
    (15, "*/15 * * * * *"),
    (20, "*/20 * * * * *"),
    (30, "*/30 * * * * *"),
    (60, "* * * * *"),
    (120, "*/2 * * * *"),
    (180, "*/3 * * * *"),
    (240, "*/4 * * * *"),
    (300, "*/5 * * * *"),
    (360, "*/6 * * * *"),
    (600, "*/10 * * * *"),
    (720, "*/12 * * * *"),
    (900, "*/15 * * * *"),
    (1200, "*/20 * * * *"),
    (1800, "*/30 * * * *"),
    (3600, "@hourly"),
    (7200, "0 */2 * * *"),
    (14_400, "0 */4 * * *"),
    (21_600, "0 */6 * * *"),
    (43_200, "0 */12 * * *"),
    (86_400, "@daily"),
    (604_800, "@weekly"),
];

/// A schedule, and what it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    pub(super) schedule: String,
    /// The zone by whose clock it goes, where it names one.
    pub(super) zone: Option<String>,
    /// Whether it names hours or days, so that it is not the same by every clock.
    pub(super) has_hours: bool,
    /// Why it is not quite the original.
    pub(super) differs: Option<String>,
}

/// The schedule of an interval, or of the next shorter one that a schedule can say.
pub(super) fn every(interval: Duration) -> When {
    let seconds = interval.as_secs().max(1);
    let fitting = STEPS.iter().rev().find(|(step, _)| *step <= seconds);
    let (step, schedule) = fitting.copied().unwrap_or(STEPS[0]);
    let differs = (step != seconds).then(|| {
        let [wanted, given] = [seconds, step].map(Duration::from_secs);
        format!(
            "a schedule cannot say every {}; it is every {}",
            humantime::format_duration(wanted),
            humantime::format_duration(given)
        )
    });
    When {
        schedule: schedule.into(),
        zone: None,
        has_hours: false,
        differs,
    }
}

/// The schedule that an expression of robfig/cron says, or what is wrong with it.
pub(super) fn cron(text: &str) -> Result<When, String> {
    let zoned = text
        .strip_prefix("CRON_TZ=")
        .or_else(|| text.strip_prefix("TZ="))
        .and_then(|rest| rest.split_once(' '));
    let (zone, fields) = match zoned {
        Some((zone, fields)) => (Some(zone.to_owned()), fields),
        None => (None, text),
    };
    if let Some(interval) = fields.trim().strip_prefix("@every ") {
        return duration(interval.trim()).map(every);
    }
    let schedule = match fields.trim() {
        "@midnight" => "@daily",
        "@annually" => "@yearly",
        other => other,
    };
    // Six fields would be seconds first here, and are none there.
    if schedule.split_whitespace().count() == 6 {
        return Err("it has six fields".into());
    }
    schedule
        .parse::<Schedule>()
        .map_err(|bad| bad.to_string())?;
    Ok(When {
        has_hours: match schedule.strip_prefix('@') {
            Some(name) => name != "hourly",
            None => schedule
                .split_whitespace()
                .skip(1)
                .any(|field| field != "*"),
        },
        schedule: schedule.into(),
        zone,
        differs: None,
    })
}

/// A duration as Go writes it, `1h15m`; a bare number is nanoseconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(nanoseconds) = text.parse() {
        return Ok(Duration::from_nanos(nanoseconds));
    }
    let wrong = || format!("`{text}` is no duration such as 1h15m");
    let seconds = match text {
        "" => 0.0,
        text => go_seconds(text).ok_or_else(wrong)?,
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_schedule_of_that_interval() {
        for (seconds, text) in STEPS {
            let schedule: Schedule = text.parse().unwrap();
            let interval = Duration::from_secs(seconds);
            assert_eq!(schedule.shortest_interval(), interval, "{text}");
            assert_eq!(schedule.longest_interval(), interval, "{text}");
        }
    }

    #[test]
    fn an_interval_that_no_schedule_says_is_shortened_and_told() {
        let when = every(Duration::from_secs(45 * 60));
        assert_eq!(when.schedule, "*/30 * * * *");
        let differs = when.differs.unwrap();
        assert!(
            differs.contains("45m") && differs.contains("30m"),
            "{differs}"
        );
        assert_eq!(every(Duration::from_secs(3600)).differs, None);
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, seconds) in [
            ("60m", 3600.0),
            ("1h15m", 4500.0),
            ("1.5h", 5400.0),
            ("90s", 90.0),
            ("1500ms", 1.5),
            ("3600000000000", 3600.0),
        ] {
            assert_eq!(duration(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for wrong in ["h", "1", "1d", "1h30", "-1h", "1e400h"] {
            let read = duration(wrong);
            assert!(read.is_err() || wrong == "1", "{wrong}: {read:?}");
        }
    }

    #[test]
    fn cron_expressions_keep_their_fields_and_tell_their_zone() {
        let when = cron("CRON_TZ=Asia/Tokyo 15 01 * * *").unwrap();
        assert_eq!(when.schedule, "15 01 * * *");
        assert_eq!(when.zone.as_deref(), Some("Asia/Tokyo"));
        assert_eq!(cron("@every 1h").unwrap().schedule, "@hourly");
        assert_eq!(cron("@midnight").unwrap().schedule, "@daily");
        for wrong in ["", "1 2 3", "0 0 1 * 1", "1 2 3 4 5 6"] {
            assert!(cron(wrong).is_err(), "{wrong}");
        }
    }
}
