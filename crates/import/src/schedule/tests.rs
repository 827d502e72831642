//! Durations of Go and expressions of robfig/cron.

use super::*;

fn text(key: &'static str, text: &str) -> When {
    (key, Setting::Text(text.into()))
}

#[test]
fn durations_are_read_as_go_writes_them() {
    for (written, expected) in [
        ("60m", "1h"),
        ("1h15m", "1h15m"),
        ("1.5h", "1h30m"),
        ("7000s", "1h56m40s"),
        ("1500ms", "1s"),
        ("2700000000000", "45m"),
    ] {
        let every = every(duration(written).unwrap());
        assert_eq!(every, text("every", expected), "{written}");
    }
    for wrong in ["h", "1d", "1h30", "-1h", "1e400h"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn cron_expressions_keep_fields_and_zone() {
    let (when, zone) = cron("CRON_TZ=Asia/Tokyo 15 01 * * *").unwrap();
    assert_eq!(
        (when, zone),
        (text("schedule", "15 01 * * *"), Some("Asia/Tokyo"))
    );
    assert_eq!(cron("@every 1h").unwrap().0, text("every", "1h"));
    assert_eq!(cron("@midnight").unwrap().0, text("schedule", "@daily"));
    for wrong in ["", "1 2 3", "1 2 3 4 5 6"] {
        assert!(cron(wrong).is_err(), "{wrong}");
    }
}
