use std::{collections::BTreeSet, ops::Range};

use chrono::{DateTime, Utc};
use chrono::{Datelike as _, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _};
use proptest::prelude::*;

use crate::config::*;

const NEW_YORK: Tz = chrono_tz::America::New_York;
const BERLIN: Tz = chrono_tz::Europe::Berlin;
const SHANGHAI: Tz = chrono_tz::Asia::Shanghai;
const LORD_HOWE: Tz = chrono_tz::Australia::Lord_Howe;
const ZONES: [Tz; 4] = [NEW_YORK, BERLIN, SHANGHAI, LORD_HOWE];

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The ticks of some local days, as they are read from a clock with its offset.
fn ticks(text: &str, zone: Tz, from: &str, days: i64) -> Vec<String> {
    let from: NaiveDateTime = format!("{from}T00:00:00").parse().unwrap();
    let start = zone.from_local_datetime(&from).unwrap().to_utc();
    let end = zone
        .from_local_datetime(&(from + TimeDelta::days(days)))
        .unwrap();
    walk(&schedule(text), zone, start..end.to_utc())
        .iter()
        .map(|tick| tick.with_timezone(&zone).format("%d %H:%M%z").to_string())
        .collect()
}

/// The ticks from the start of a time to its end, one after the other.
fn walk(schedule: &Schedule, zone: Tz, time: Range<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let mut ticks = Vec::new();
    let mut at = time.start - TimeDelta::seconds(1);
    while let Some(tick) = schedule
        .next_after(at, zone)
        .filter(|tick| *tick < time.end)
    {
        assert!(tick > at, "{schedule} in {zone}: {tick} after {at}");
        ticks.push(tick);
        at = tick;
    }
    ticks
}

#[test]
fn skipped_hour_ticks_once_after_it() {
    for hour in ["30 2 * * *", "0 2 * * *", "0 0,30 2 * * *", "*/10 2 * * *"] {
        let found = ticks(hour, NEW_YORK, "2026-03-08", 1);
        assert_eq!(found, ["08 03:00-0400"], "{hour}");
        let found = ticks(hour, BERLIN, "2026-03-29", 1);
        assert_eq!(found, ["29 03:00+0200"], "{hour}");
    }
    assert_eq!(
        ticks("15 2 * * *", LORD_HOWE, "2026-10-03", 3),
        ["03 02:15+1030", "04 02:30+1100", "05 02:15+1100"]
    );
}

#[test]
fn a_daily_tick_in_a_repeated_hour_comes_once() {
    assert_eq!(
        ticks("30 1 * * *", NEW_YORK, "2026-10-31", 3),
        ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]
    );
    assert_eq!(
        ticks("30 2 * * *", BERLIN, "2026-10-24", 3),
        ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]
    );
    assert_eq!(
        ticks("45 1 * * *", LORD_HOWE, "2026-04-05", 1),
        ["05 01:45+1100"]
    );
}

#[test]
fn an_hourly_tick_comes_once_in_every_hour_that_passes() {
    let hour = TimeDelta::hours(1);
    for (zone, text) in [
        (NEW_YORK, "0 * * * *"),
        (NEW_YORK, "17 * * * *"),
        (BERLIN, "@hourly"),
        (SHANGHAI, "59 0-23 * * *"),
    ] {
        let year = utc("2026-01-01T12:00:00Z")..utc("2027-01-01T12:00:00Z");
        let found = walk(&schedule(text), zone, year);
        assert_eq!(found.len(), 365 * 24, "{text} in {zone}");
        assert!(found.windows(2).all(|pair| pair[1] - pair[0] == hour));
    }
}

#[test]
fn half_hour_shift_keeps_hourly_ticks() {
    assert_eq!(
        ticks("0 * * * *", LORD_HOWE, "2026-10-04", 1)[1..4],
        ["04 01:00+1030", "04 02:30+1100", "04 03:00+1100"]
    );
    assert_eq!(
        ticks("45 * * * *", LORD_HOWE, "2026-04-05", 1)[1..4],
        ["05 01:45+1100", "05 01:45+1030", "05 02:45+1030"]
    );
}

#[test]
fn a_daily_tick_stays_at_its_time_of_the_day() {
    for zone in ZONES {
        let year = utc("2026-01-01T12:00:00Z")..utc("2027-01-01T12:00:00Z");
        let found = walk(&schedule("7 9 * * *"), zone, year);
        assert_eq!(found.len(), 365, "{zone}");
        for tick in found {
            let local = tick.with_timezone(&zone);
            assert_eq!((local.hour(), local.minute()), (9, 7), "{local}");
        }
    }
}

#[test]
fn a_part_of_a_second_hides_no_tick_and_makes_none() {
    let hourly = schedule("@hourly");
    let tick = utc("2026-05-05T05:00:00Z");
    let next = |from: &str| hourly.next_after(utc(from), Tz::UTC);
    assert_eq!(next("2026-05-05T04:59:59.999Z"), Some(tick));
    assert_eq!(
        next("2026-05-05T05:00:00Z"),
        Some(tick + TimeDelta::hours(1))
    );
    assert_eq!(
        next("2026-05-05T05:00:00.001Z"),
        Some(tick + TimeDelta::hours(1))
    );
    let last = |at: &str| hourly.last_before(utc(at), Tz::UTC);
    assert_eq!(last("2026-05-05T05:00:00Z"), Some(tick));
    assert_eq!(last("2026-05-05T05:59:59.9Z"), Some(tick));
    assert_eq!(
        last("2026-05-05T04:59:59.999Z"),
        Some(tick - TimeDelta::hours(1))
    );
}

#[test]
fn the_last_tick_is_the_one_that_was_next() {
    for zone in ZONES {
        for text in [
            "30 1,2 * * *",
            "*/20 * * * *",
            "0 0 1 * *",
            "17 */2 * * MON",
        ] {
            let schedule = schedule(text);
            let year = utc("2026-01-01T12:00:00Z")..utc("2027-01-01T12:00:00Z");
            for pair in walk(&schedule, zone, year).windows(2) {
                let just_before = pair[1] - TimeDelta::milliseconds(1);
                assert_eq!(schedule.last_before(pair[0], zone), Some(pair[0]));
                assert_eq!(schedule.last_before(just_before, zone), Some(pair[0]));
            }
        }
    }
}

#[test]
fn intervals_are_those_between_ticks() {
    let interval = |text: &str, from: &str| schedule(text).interval(utc(from), NEW_YORK).as_secs();
    let hours = |count: u64| count * 3600;
    assert_eq!(interval("@hourly", "2026-03-08T06:30:00Z"), hours(1));
    assert_eq!(interval("0 12 * * *", "2026-03-06T18:00:00Z"), hours(23));
    assert_eq!(interval("0 12 * * *", "2026-05-06T18:00:00Z"), hours(24));
    assert_eq!(interval("0 9 * * 1-5", "2026-05-08T12:00:00Z"), hours(72));
    assert_eq!(interval("0 9 * * 1-5", "2026-05-08T14:00:00Z"), hours(24));
    assert_eq!(interval("0 9 * * 1-5", "2026-05-06T14:00:00Z"), hours(24));
}

#[test]
fn the_shortest_and_the_longest_interval_are_known() {
    let extremes = |text: &str| {
        let schedule = schedule(text);
        let both = (schedule.shortest_interval(), schedule.longest_interval());
        (both.0.as_secs(), both.1.as_secs())
    };
    let (minute, hour, day) = (60, 3600, 86_400);
    assert_eq!(extremes("@hourly"), (hour, hour));
    assert_eq!(extremes("*/15 * * * *"), (15 * minute, 15 * minute));
    assert_eq!(extremes("*/7 * * * *"), (4 * minute, 7 * minute));
    assert_eq!(extremes("17 */2 * * *"), (2 * hour, 2 * hour));
    assert_eq!(extremes("0 9 * * 1-5"), (day, 3 * day));
    assert_eq!(extremes("0 9-17 * * MON-FRI"), (hour, 2 * day + 16 * hour));
    assert_eq!(extremes("0,30 * * * * *"), (30, 30));
    assert_eq!(extremes("0-5,20 0 3 * * *"), (1, day - 20));
    assert_eq!(extremes("@weekly"), (7 * day, 7 * day));
    assert_eq!(extremes("@monthly"), (28 * day, 31 * day));
    assert_eq!(extremes("@yearly"), (365 * day, 366 * day));
    assert_eq!(extremes("0 0 29 2 *"), (1461 * day, 1461 * day));
    assert_eq!(extremes("0 0 * * FRIL"), (28 * day, 35 * day));
    assert_eq!(extremes("0 0 * 2 MON#5"), (10_220 * day, 10_220 * day));
}

#[test]
fn what_was_written_is_shown_and_the_fields_are_compared() {
    assert_eq!(schedule(" @Daily ").to_string(), " @Daily ");
    assert_eq!(schedule("@daily").with_seconds(), "0 0 0 * * *");
    assert_eq!(schedule("@daily"), schedule("0  0 * * *"));
    assert_ne!(schedule("@daily"), schedule("@hourly"));
    assert_eq!(format!("{:?}", schedule("@daily")), "Schedule(\"@daily\")");
    assert_eq!(Schedule::default().to_string(), "@hourly");
}

/// Fields as sets, which need no parser.
#[derive(Debug)]
struct Fields {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    days: BTreeSet<u32>,
    weekdays: BTreeSet<u32>,
}

impl Fields {
    fn expression(&self) -> String {
        let field = |values: &BTreeSet<u32>, all: usize| match values.len() == all {
            true => "*".to_owned(),
            false => values
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(","),
        };
        let (minutes, hours) = (field(&self.minutes, 60), field(&self.hours, 24));
        let (days, weekdays) = (field(&self.days, 31), field(&self.weekdays, 7));
        format!("{minutes} {hours} {days} * {weekdays}")
    }

    fn fit(&self, local: NaiveDateTime) -> bool {
        self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && self.days.contains(&local.day())
            && self
                .weekdays
                .contains(&local.weekday().num_days_from_sunday())
    }

    /// The ticks by the rules in words, found by looking at a clock every minute.
    fn ticks(&self, zone: Tz, time: Range<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
        let minute = TimeDelta::minutes(1);
        let is_every_hour = self.hours.len() == 24;
        let read = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
        // The clock is watched from long before, so that it is known which times come again.
        let mut at = time.start - TimeDelta::days(1);
        let mut latest = read(at) - minute;
        let mut ticks = Vec::new();
        while at < time.end {
            let local = read(at);
            let is_again = local <= latest;
            let mut is_tick = self.fit(local) && (is_every_hour || !is_again);
            let skipped = local - latest - minute;
            let is_whole_hour = is_every_hour && skipped >= TimeDelta::hours(1);
            if !is_again && !is_whole_hour {
                let mut gone = latest + minute;
                while gone < local {
                    is_tick |= self.fit(gone);
                    gone += minute;
                }
            }
            if is_tick && at >= time.start {
                ticks.push(at);
            }
            latest = latest.max(local);
            at += minute;
        }
        ticks
    }
}

fn values(from: u32, to: u32) -> impl Strategy<Value = BTreeSet<u32>> {
    let all = (from..=to).collect::<BTreeSet<_>>();
    prop_oneof![
        1 => Just(all),
        1 => prop::collection::btree_set(from..=to, 1..4),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    let all = |from: u32, to: u32| (from..=to).collect::<BTreeSet<_>>();
    let days = prop_oneof![
        2 => Just((all(1, 31), all(0, 6))),
        1 => values(1, 31).prop_map(move |days| (days, all(0, 6))),
        1 => values(0, 6).prop_map(move |weekdays| (all(1, 31), weekdays)),
    ];
    // Hours at which clocks are set should be frequent.
    let hours = prop_oneof![values(0, 23), values(0, 3)];
    (values(0, 59), hours, days).prop_map(|(minutes, hours, (days, weekdays))| Fields {
        minutes,
        hours,
        days,
        weekdays,
    })
}

/// Some days of 2026 around the changes of the clocks, and others.
fn start() -> impl Strategy<Value = DateTime<Utc>> {
    let days = prop::sample::select(vec![
        "2026-03-07",
        "2026-03-28",
        "2026-04-04",
        "2026-10-03",
        "2026-10-24",
        "2026-10-31",
        "2026-06-30",
    ]);
    (days, 0_i64..48 * 60)
        .prop_map(|(day, minutes)| utc(&format!("{day}T00:00:00Z")) + TimeDelta::minutes(minutes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn ticks_are_those_that_a_clock_shows(
        fields in fields(),
        start in start(),
        zone in prop::sample::select(ZONES.to_vec()),
    ) {
        let text = fields.expression();
        let schedule = schedule(&text);
        let time = start..start + TimeDelta::days(3);
        let expected = fields.ticks(zone, time.clone());
        prop_assert_eq!(&walk(&schedule, zone, time.clone()), &expected, "{} in {}", text, zone);
        let mut at = start;
        while at < time.end {
            let next = expected.iter().find(|tick| **tick > at);
            let last = expected.iter().rfind(|tick| **tick <= at);
            let (found, before) = (schedule.next_after(at, zone), schedule.last_before(at, zone));
            // Beyond the days that were watched nothing is known.
            let found = found.filter(|tick| *tick < time.end);
            let before = before.filter(|tick| *tick >= time.start);
            prop_assert_eq!(found.as_ref(), next, "{} in {}, after {}", text, zone, at);
            prop_assert_eq!(before.as_ref(), last, "{} in {}, before {}", text, zone, at);
            at += TimeDelta::seconds(1301);
        }
    }
}
