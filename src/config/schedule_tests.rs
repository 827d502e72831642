use proptest::prelude::*;

use super::*;

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every run of a span of time, as local times with their offsets.
fn runs(text: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
    let (schedule, to) = (schedule(text), utc(to));
    let mut at = utc(from) - TimeDelta::seconds(1);
    let mut runs = Vec::new();
    while let Some(next) = schedule.next_after(at, zone).filter(|next| *next < to) {
        runs.push(
            next.with_timezone(&zone)
                .format("%m-%d %H:%M %z")
                .to_string(),
        );
        at = next;
    }
    runs
}

#[test]
fn a_daily_run_stays_at_its_time_on_the_wall_over_both_changes() {
    let zone = chrono_tz::America::New_York;
    let spring = runs(
        "7 9 * * *",
        zone,
        "2026-03-07T05:00:00Z",
        "2026-03-10T04:00:00Z",
    );
    assert_eq!(
        spring,
        [
            "03-07 09:07 -0500",
            "03-08 09:07 -0400",
            "03-09 09:07 -0400"
        ]
    );
    let autumn = runs(
        "7 9 * * *",
        zone,
        "2026-10-31T04:00:00Z",
        "2026-11-03T05:00:00Z",
    );
    assert_eq!(
        autumn,
        [
            "10-31 09:07 -0400",
            "11-01 09:07 -0500",
            "11-02 09:07 -0500"
        ]
    );
}

#[test]
fn a_time_that_the_clock_skips_comes_at_the_first_moment_after_it() {
    let zone = chrono_tz::Europe::Berlin;
    let found = runs(
        "30 2 * * *",
        zone,
        "2026-03-27T23:00:00Z",
        "2026-03-30T22:00:00Z",
    );
    assert_eq!(
        found,
        [
            "03-28 02:30 +0100",
            "03-29 03:00 +0200",
            "03-30 02:30 +0200"
        ]
    );
    let half = runs(
        "15 2 * * *",
        chrono_tz::Australia::Lord_Howe,
        "2026-10-02T14:00:00Z",
        "2026-10-04T13:00:00Z",
    );
    assert_eq!(half, ["10-03 02:15 +1030", "10-04 02:30 +1100"]);
}

#[test]
fn a_time_of_day_that_comes_twice_runs_once() {
    let zone = chrono_tz::Europe::Berlin;
    let found = runs(
        "30 2 * * *",
        zone,
        "2026-10-23T22:00:00Z",
        "2026-10-26T23:00:00Z",
    );
    assert_eq!(
        found,
        [
            "10-24 02:30 +0200",
            "10-25 02:30 +0200",
            "10-26 02:30 +0100"
        ]
    );
}

#[test]
fn an_hourly_run_comes_every_real_hour() {
    for zone in [chrono_tz::Europe::Berlin, chrono_tz::America::New_York] {
        for (from, to) in [
            ("2026-03-07T00:00:00Z", "2026-03-30T00:00:00Z"),
            ("2026-10-24T00:00:00Z", "2026-11-03T00:00:00Z"),
        ] {
            let hourly = schedule("17 * * * *");
            let mut at = utc(from);
            while at < utc(to) {
                let next = hourly.next_after(at, zone).unwrap();
                let following = hourly.next_after(next, zone).unwrap();
                assert_eq!(following - next, TimeDelta::hours(1), "{next} in {zone}");
                at = next;
            }
        }
    }
}

#[test]
fn a_zone_without_changes_has_none() {
    let zone = chrono_tz::Asia::Shanghai;
    let found = runs(
        "17 */8 * * *",
        zone,
        "2026-03-28T16:00:00Z",
        "2026-03-29T16:00:00Z",
    );
    assert_eq!(
        found,
        [
            "03-29 00:17 +0800",
            "03-29 08:17 +0800",
            "03-29 16:17 +0800"
        ]
    );
}

#[test]
fn seconds_may_stand_first_and_words_stand_for_expressions() {
    let every = schedule("*/5 * * * * *");
    assert_eq!(
        every.interval(utc("2026-01-01T00:00:01Z"), Tz::UTC),
        Duration::from_secs(5)
    );
    assert_eq!(schedule("@daily").pattern(), "0 0 0 * * *");
    let hour = schedule("@hourly").interval(utc("2026-01-01T00:00:00Z"), Tz::UTC);
    assert_eq!(hour, Duration::from_secs(3600));
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |text: &str| Schedule::parse(text).unwrap_err();
    assert_eq!(
        wrong("61 * * * *"),
        "`61` is no minute: it may hold 0 to 59"
    );
    assert_eq!(wrong("0 25 * * *"), "`25` is no hour: it may hold 0 to 23");
    assert!(
        wrong("0 0 * *").contains("4 fields"),
        "{}",
        wrong("0 0 * *")
    );
    assert!(
        wrong("0 0 1 * MON").contains("both"),
        "{}",
        wrong("0 0 1 * MON")
    );
    assert!(
        wrong("@fortnightly").contains("@weekly"),
        "{}",
        wrong("@fortnightly")
    );
    assert_eq!(wrong("0 0 30 2 *"), "no day ever matches it");
}

proptest! {
    #[test]
    fn runs_of_a_year_only_go_forward_and_match_the_wall(minute in 0_u32..60, hour in 0_u32..24, zone in 0..4_usize) {
        let zone = [chrono_tz::Europe::Berlin, chrono_tz::America::New_York, chrono_tz::Australia::Lord_Howe, Tz::UTC][zone];
        let daily = schedule(&format!("{minute} {hour} * * *"));
        let mut at = utc("2026-01-01T00:00:00Z");
        let mut days = 0;
        while at < utc("2027-01-01T00:00:00Z") {
            let next = daily.next_after(at, zone).unwrap();
            prop_assert!(next > at);
            let local = next.with_timezone(&zone);
            let is_exact = (local.hour(), local.minute()) == (hour, minute);
            let exact = local.date_naive().and_hms_opt(hour, minute, 0).unwrap();
            prop_assert!(is_exact || zone.from_local_datetime(&exact) == LocalResult::None);
            (at, days) = (next, days + 1);
        }
        prop_assert!((365..=366).contains(&days), "{days} runs");
    }
}
