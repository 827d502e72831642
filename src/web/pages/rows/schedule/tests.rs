use std::time::Duration;

use crate::web::pages::rows::schedule::*;

#[test]
fn usual_schedules_have_words() {
    for (written, english, chinese) in [
        (
            "17 */2 * * *",
            "every 2h at minute 17",
            "每 2 小时的第 17 分",
        ),
        ("*/15 * * * *", "every 15m", "每 15 分"),
        ("@hourly", "every hour at minute 00", "每小时的第 00 分"),
        ("@daily", "every day at 00:00", "每天 00:00"),
        (
            "7 9,21 * * *",
            "every day at 09:07, 21:07",
            "每天 09:07、21:07",
        ),
        (
            "30 6 * * 1-5",
            "Monday to Friday, 06:30",
            "周一至周五，06:30",
        ),
        (
            "30 6 * * 0,6",
            "Sunday, Saturday, 06:30",
            "周日、周六，06:30",
        ),
    ] {
        let schedule: Schedule = written.parse().unwrap();
        let both = [Language::English, Language::Chinese].map(|l| words(&schedule, l));
        assert_eq!(
            both,
            [Some(english.into()), Some(chinese.into())],
            "{written}"
        );
    }
    let every = Schedule::every(Duration::from_secs(45 * 60)).unwrap();
    assert_eq!(
        words(&every, Language::English).as_deref(),
        Some("every 45m")
    );
}

#[test]
fn unusual_schedules_have_none() {
    // `*/7` is not every seven minutes at the end of an hour.
    for written in [
        "*/7 * * * *",
        "0 0 1 * *",
        "0 0 * 1 *",
        "0-30 * * * *",
        "0 9 * * MON",
    ] {
        let schedule: Schedule = written.parse().unwrap();
        assert_eq!(words(&schedule, Language::English), None, "{written}");
    }
}
