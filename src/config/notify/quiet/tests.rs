use chrono::DateTime;

use crate::config::notify::quiet::*;

fn hours(from: &str, to: &str) -> QuietHours {
    QuietHours {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        urgent: URGENT.into(),
    }
}

fn holds(hours: &QuietHours, topic: Topic, time: &str) -> bool {
    let at = format!("2026-11-29T{time}:00+08:00");
    hours.hold(topic, &DateTime::parse_from_rfc3339(&at).unwrap())
}

#[test]
fn quiet_hours_pass_midnight() {
    let night = hours("22:00:00", "07:00:00");
    for (time, is_held) in [
        ("21:59", false),
        ("22:00", true),
        ("03:00", true),
        ("07:00", false),
    ] {
        assert_eq!(holds(&night, Topic::Lag, time), is_held, "{time}");
    }
    let noon = hours("12:00:00", "13:30:00");
    for (time, is_held) in [
        ("11:59", false),
        ("12:00", true),
        ("13:30", false),
        ("23:00", false),
    ] {
        assert_eq!(holds(&noon, Topic::Lag, time), is_held, "{time}");
    }
}

#[test]
fn urgent_alarms_pass_quiet_hours() {
    let night = hours("22:00:00", "07:00:00");
    for topic in URGENT {
        assert!(!holds(&night, topic, "03:00"), "{topic:?}");
    }
}
