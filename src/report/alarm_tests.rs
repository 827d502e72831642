use std::path::Path;

use super::*;
use crate::{
    config::{Config, Counted, Period, TrafficBudget},
    report::Known,
};

/// The status of one mirror of which nothing is known, changed as a test wants it.
fn status(change: impl FnOnce(&mut MirrorStatus)) -> Status {
    let text = "[[mirror]]\nname = \"app\"\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"\n\
                max_lag = \"1h\"\nschedule = \"@hourly\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mut mirror = Known::default().at(&config, &config.mirrors[0], 100_000);
    change(&mut mirror);
    Status {
        now: 100_000,
        mirrors: vec![mirror],
    }
}

fn topics(status: &Status, around: &Surroundings) -> Vec<Topic> {
    let found = alarms(status, around);
    found.iter().map(|alarm| alarm.topic).collect()
}

#[test]
fn lag_is_trouble_above_the_objective_and_not_below() {
    let at = |lag| {
        topics(
            &status(|mirror| mirror.lag_seconds = lag),
            &Surroundings::default(),
        )
    };
    assert_eq!(at(3600), []);
    assert_eq!(at(3601), [Topic::Lag]);
}

#[test]
fn a_source_that_is_not_compared_is_stale_unless_the_mirror_is_paused_or_new() {
    let at = |checked, paused| {
        let status = status(|mirror| {
            mirror.last_checked = checked;
            mirror.paused = paused;
        });
        topics(&status, &Surroundings::default())
    };
    assert_eq!(at(Some(100_000 - 3 * 3600 - 1), false), [Topic::Stale]);
    assert_eq!(at(Some(100_000 - 3 * 3600 - 1), true), []);
    assert_eq!(at(None, false), []);
}

fn usage(used_bytes: u64) -> Usage {
    Usage {
        budget: TrafficBudget {
            bytes: 1000,
            per: Period::Month,
            counts: Counted::Both,
        },
        used_bytes,
        ends: "2026-12-01".parse().unwrap(),
    }
}

#[test]
fn the_traffic_is_trouble_from_eighty_percent_on_and_its_words_say_what_follows() {
    let message = |used| {
        let around = Surroundings {
            traffic: Some(usage(used)),
            ..Surroundings::default()
        };
        let found = alarms(&status(|_| {}), &around);
        found.first().map(|alarm| alarm.message.clone())
    };
    assert_eq!(message(799), None);
    assert!(message(800).unwrap().contains("80% of the traffic budget"));
    assert!(message(900).unwrap().contains("images that lack more than"));
    let spent = message(1000).unwrap();
    assert!(
        spent.ends_with("nothing more is copied before 2026-12-01"),
        "{spent}"
    );
}

#[test]
fn registries_channels_the_disk_and_the_config_have_trouble_of_their_own() {
    let around = Surroundings {
        config_error: Some("bad".into()),
        refusing: vec!["docker.io".into()],
        pausing: vec![("quay.io".into(), 100_600), ("gcr.io".into(), 100_010)],
        mute: vec![("ops".into(), "410 gone".into())],
        disk_available: Some(1 << 20),
        traffic: Some(usage(800)),
        zone: Tz::UTC,
    };
    let expected = [
        Topic::Config,
        Topic::Disk,
        Topic::Traffic,
        Topic::Auth,
        Topic::Throttled,
        Topic::Failing,
    ];
    assert_eq!(topics(&status(|_| {}), &around), expected);
}

#[test]
fn trouble_is_told_once_and_then_that_it_is_over() {
    let late = status(|mirror| mirror.lag_seconds = 7200);
    let mut found = alarms(&late, &Surroundings::default());
    let first = compare(&[], &mut found);
    assert_eq!((first.raised.len(), first.recovered.len()), (1, 0));
    let told = vec![AlarmRecord {
        since: 90_000,
        ..found[0].record()
    }];
    let mut still = alarms(&late, &Surroundings::default());
    assert_eq!(compare(&told, &mut still), AlarmChanges::default());
    assert_eq!(still[0].since, 90_000);
    let over = compare(&told, &mut []);
    assert_eq!((over.raised.len(), over.recovered.len()), (0, 1));
    let text = recovered(&over.recovered, 100_000).to_text();
    assert!(text.contains("over after 2h 46m"), "{text}");
}
