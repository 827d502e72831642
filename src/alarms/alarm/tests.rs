use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    alarms::alarm::*,
    config::{Config, Counted, Period, TrafficBudget},
    oci::Digest,
    status::Known,
    store::{Store, StoreEvent, TagKey, Verdict},
};

/// The status of one mirror of which nothing is known, changed as a test wants it.
fn status(change: impl FnOnce(&mut MirrorStatus)) -> Status {
    status_of(&Known::default(), change)
}

fn status_of(known: &Known, change: impl FnOnce(&mut MirrorStatus)) -> Status {
    let text = "[[mirror]]\nname = \"app\"\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"\n\
                max_lag = \"1h\"\nschedule = \"@hourly\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mut mirror = known.at(&config, &config.mirrors[0], 100_000);
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

#[test]
fn a_run_under_way_is_no_excuse_for_a_source_that_is_not_compared() {
    let at = |running| {
        let status = status(|mirror| {
            mirror.last_checked = Some(100_000 - 4 * 3600);
            mirror.last_attempt = Some(100_000 - 90);
            (mirror.running, mirror.is_under_way) = (true, running);
        });
        let found = alarms(&status, &Surroundings::default());
        found.into_iter().map(|alarm| (alarm.topic, alarm.message))
    };
    let hangs = "the source of app was not compared for 4h; a run is under way for 1m 30s";
    assert!(at(true).eq([(Topic::Stale, hangs.to_owned())]));
    assert_eq!(at(false).next().map(|(topic, _)| topic), Some(Topic::Stale));
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
        ..Surroundings::default()
    };
    let expected = [
        Topic::Config,
        Topic::Disk,
        Topic::Traffic,
        Topic::Failing,
        Topic::Auth,
        Topic::Throttled,
    ];
    assert_eq!(topics(&status(|_| {}), &around), expected);
}

#[test]
fn the_disk_has_space_again_when_a_quarter_more_is_free_than_the_limit() {
    let told = |left, told: &[Alarm]| {
        let around = Surroundings {
            disk_available: Some(left),
            told: told.iter().map(Alarm::record).collect(),
            ..Surroundings::default()
        };
        alarms(&status(|_| {}), &around)
    };
    let full = told(DISK - 1, &[]);
    assert_eq!(full.len(), 1);
    assert_eq!(told(DISK + 1, &[]), []);
    assert_eq!(told(DISK + 1, &full).len(), 1);
    assert_eq!(told(DISK / 4 * 5, &full), []);
}

#[test]
fn a_registry_that_wants_one_pause_after_the_other_is_one_trouble() {
    let told = |until, told: &[Alarm]| {
        let around = Surroundings {
            pausing: vec![("quay.io".into(), until)],
            told: told.iter().map(Alarm::record).collect(),
            ..Surroundings::default()
        };
        alarms(&status(|_| {}), &around)
    };
    let begun = told(100_400, &[]);
    assert_eq!(begun.len(), 1);
    for until in [100_200, 100_000, 99_800] {
        assert_eq!(told(until, &[]), []);
        assert_eq!(told(until, &begun).len(), 1, "until {until}");
    }
    assert_eq!(told(99_700, &begun), []);
}

#[test]
fn a_mirror_whose_missed_run_is_made_up_neither_lags_nor_is_stale_until_that_took_too_long() {
    let late = status(|mirror| {
        mirror.lag_seconds = 7200;
        mirror.last_checked = Some(0);
    });
    let found = |since, told: Vec<AlarmRecord>| {
        let around = Surroundings {
            making_up: HashMap::from([("app".into(), since)]),
            told,
            ..Surroundings::default()
        };
        topics(&late, &around)
    };
    assert_eq!(found(99_990, Vec::new()), []);
    assert_eq!(found(100_000 - 3601, Vec::new()), [Topic::Lag]);
    let both = [Topic::Lag, Topic::Stale];
    assert_eq!(found(100_000 - 3 * 3600 - 1, Vec::new()), both);
    let told = alarms(&late, &Surroundings::default());
    assert_eq!(
        found(99_990, told.iter().map(Alarm::record).collect()),
        both
    );
}

#[test]
fn what_is_over_says_how_long_it_lasted() {
    let late = status(|mirror| mirror.lag_seconds = 7200);
    let mut over = alarms(&late, &Surroundings::default());
    over[0].since = 90_000;
    let text = recovered(&over, 100_000).to_text();
    assert!(text.contains("over after 2h 46m"), "{text}");
}

/// A tag that differs since a time.
fn behind(tag: &str, at: i64) -> StoreEvent {
    StoreEvent::Seen {
        key: key(tag),
        seen: Digest::of(b"new"),
        verdict: Verdict::Differs,
        at,
    }
}

fn key(tag: &str) -> TagKey {
    TagKey {
        mirror: "app".into(),
        source: "s.example/app".parse().unwrap(),
        target: "t.example/m/app".parse().unwrap(),
        tag: tag.parse().unwrap(),
    }
}

#[tokio::test]
async fn wrong_bytes_are_told_however_many_tags_are_behind_for_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
    for number in 0..20 {
        recorder.record(behind(&format!("v{number}"), number)).await;
    }
    let failed = StoreEvent::Failed {
        key: key("wrong"),
        class: "digest_mismatch",
        message: "wrong bytes".into(),
        at: 1000,
    };
    recorder.record(behind("wrong", 1000)).await;
    recorder.record(failed).await;
    recorder.flush().await;
    let known = Known::read(&store, "app", 100_000).await.unwrap();
    let status = status_of(&known, |mirror| mirror.lag_seconds = 0);
    let found = alarms(&status, &Surroundings::default());
    let words = "s.example/app:wrong was served with wrong bytes, which were refused";
    assert_eq!(found[0].message, words);
}
