use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::{
    alarms::{Alarm, rules::*},
    config::{Config, Counted, Period, TrafficBudget},
    inventory::{Certainty, FoundImage, Inventory},
    oci::Digest,
    status::{
        BudgetStop, ClusterStatus, Coverage, ImageState, LivePulls, RefusedClients, StoredStatus,
        UpstreamTrouble,
    },
    store::{ClusterRecord, Store, StoreEvent, TagKey, Verdict},
};

/// The status of one mirror of which nothing is known, changed as a test wants it.
fn status(change: impl FnOnce(&mut MirrorStatus)) -> Status {
    status_of(&StoredStatus::default(), change)
}

fn status_of(known: &StoredStatus, change: impl FnOnce(&mut MirrorStatus)) -> Status {
    let text = "[[mirror]]\nname = \"app\"\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"\n\
                max_lag = \"1h\"\nschedule = \"@hourly\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mut mirror = known.at(&config, &config.mirrors[0], 100_000);
    change(&mut mirror);
    Status {
        now: 100_000,
        mirrors: vec![mirror],
        clusters: Vec::new(),
    }
}

fn topics(status: &Status, inputs: &AlarmInputs) -> Vec<Topic> {
    let found = find_alarms(status, inputs);
    found.iter().map(|alarm| alarm.topic).collect()
}

#[test]
fn lag_above_objective() {
    let at = |lag| {
        topics(
            &status(|mirror| mirror.lag_seconds = lag),
            &AlarmInputs::default(),
        )
    };
    assert_eq!(at(3600), []);
    assert_eq!(at(3601), [Topic::Lag]);
}

#[test]
fn stale_unless_paused_or_new() {
    let at = |checked, paused| {
        let status = status(|mirror| {
            mirror.last_checked = checked;
            mirror.paused = paused;
        });
        topics(&status, &AlarmInputs::default())
    };
    assert_eq!(at(Some(100_000 - 3 * 3600 - 1), false), [Topic::Stale]);
    assert_eq!(at(Some(100_000 - 3 * 3600 - 1), true), []);
    assert_eq!(at(None, false), []);
}

#[test]
fn stale_while_run_hangs() {
    let at = |running| {
        let status = status(|mirror| {
            mirror.last_checked = Some(100_000 - 4 * 3600);
            mirror.last_attempt = Some(100_000 - 90);
            (mirror.running, mirror.is_under_way) = (true, running);
        });
        let found = find_alarms(&status, &AlarmInputs::default());
        found
            .into_iter()
            .map(|alarm| (alarm.topic, alarm.message.to_string()))
    };
    let hangs = "the source of app was not compared for 4h; its run started 1m 30s ago";
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
fn traffic_budget_from_eighty_percent() {
    let message = |used| {
        let inputs = AlarmInputs {
            traffic: Some(usage(used)),
            ..AlarmInputs::default()
        };
        let found = find_alarms(&status(|_| {}), &inputs);
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
fn alarms_beside_mirrors() {
    let inputs = AlarmInputs {
        config_error: Some("bad".into()),
        refusing: vec!["docker.io".into()],
        paused: vec![("quay.io".into(), 100_600), ("gcr.io".into(), 100_010)],
        failed_channels: vec![("ops".into(), "410 gone".into())],
        disk_available: Some(1 << 20),
        traffic: Some(usage(800)),
        ..AlarmInputs::default()
    };
    let expected = [
        Topic::Config,
        Topic::Disk,
        Topic::Traffic,
        Topic::Failing,
        Topic::Auth,
        Topic::Throttled,
    ];
    assert_eq!(topics(&status(|_| {}), &inputs), expected);
}

#[test]
fn disk_alarm_has_hysteresis() {
    let found_at = |left, found_at: &[Alarm]| {
        let inputs = AlarmInputs {
            disk_available: Some(left),
            announced: found_at.to_vec(),
            ..AlarmInputs::default()
        };
        find_alarms(&status(|_| {}), &inputs)
    };
    let full = found_at(DISK - 1, &[]);
    assert_eq!(full.len(), 1);
    assert_eq!(found_at(DISK + 1, &[]), []);
    assert_eq!(found_at(DISK + 1, &full).len(), 1);
    assert_eq!(found_at(DISK / 4 * 5, &full), []);
}

#[test]
fn repeated_pauses_are_one_alarm() {
    let found_at = |until, found_at: &[Alarm]| {
        let inputs = AlarmInputs {
            paused: vec![("quay.io".into(), until)],
            announced: found_at.to_vec(),
            ..AlarmInputs::default()
        };
        find_alarms(&status(|_| {}), &inputs)
    };
    let begun = found_at(100_400, &[]);
    assert_eq!(begun.len(), 1);
    for until in [100_200, 100_000, 99_800] {
        assert_eq!(found_at(until, &[]), []);
        assert_eq!(found_at(until, &begun).len(), 1, "until {until}");
    }
    assert_eq!(found_at(99_700, &begun), []);
}

#[test]
fn catching_up_excuses_lag_and_staleness() {
    let late = status(|mirror| {
        mirror.lag_seconds = 7200;
        mirror.last_checked = Some(0);
    });
    let found = |since, announced: Vec<Alarm>| {
        let inputs = AlarmInputs {
            catching_up: HashMap::from([("app".into(), since)]),
            announced,
            ..AlarmInputs::default()
        };
        topics(&late, &inputs)
    };
    assert_eq!(found(99_990, Vec::new()), []);
    assert_eq!(found(100_000 - 3601, Vec::new()), [Topic::Lag]);
    let both = [Topic::Lag, Topic::Stale];
    assert_eq!(found(100_000 - 3 * 3600 - 1, Vec::new()), both);
    let found_at = find_alarms(&late, &AlarmInputs::default());
    assert_eq!(found(99_990, found_at), both);
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
        source_tag: None,
        mirror: "app".into(),
        source: "s.example/app".parse().unwrap(),
        target: "t.example/m/app".parse().unwrap(),
        tag: tag.parse().unwrap(),
    }
}

#[tokio::test]
async fn corrupt_source_is_found_among_many_tags() {
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
    let known = StoredStatus::read(&store, "app", 100_000).await.unwrap();
    let status = status_of(&known, |mirror| mirror.lag_seconds = 0);
    let found = find_alarms(&status, &AlarmInputs::default());
    let words = "s.example/app:wrong was served with wrong bytes, which were refused";
    assert_eq!(found[0].message, words);
}

/// A cluster whose list arrived so many seconds ago, and that uses an image which no entry mirrors.
async fn cluster(age: i64) -> ClusterStatus {
    let found = FoundImage {
        image: "quay.io/a/b:1".into(),
        certainty: Certainty::Certain,
        place: "line 1".into(),
        places: 1,
        running: Default::default(),
    };
    let inventory: Inventory = [found].into_iter().collect();
    let config = "[[mirror]]\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"\n";
    let config = Config::parse(Path::new("mirror.toml"), config).unwrap();
    let coverage = Coverage::of(&inventory, &config, None).await.unwrap();
    let record = ClusterRecord {
        name: "prod".into(),
        received_at: 100_000 - age,
    };
    ClusterStatus::new(record, coverage, |_| 100_000 - 7200)
}

#[tokio::test]
async fn cluster_uses_what_no_entry_mirrors() {
    let mut status = status(|_| {});
    status.clusters = vec![cluster(60).await.into()];
    let found = find_alarms(&status, &AlarmInputs::default());
    let [alarm] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(alarm.subject, AlarmSubject::Cluster("prod".into()));
    assert_eq!(
        alarm.message,
        "prod uses 1 image that no entry mirrors, since 2h: quay.io/a/b:1"
    );
    let chinese = alarm.message.get(Language::Chinese);
    assert!(chinese.contains("1 个镜像没有同步项负责"), "{chinese}");
}

#[tokio::test]
async fn cluster_runs_what_the_mirror_does_not_have() {
    let mut status = status(|_| {});
    let mut cluster = cluster(60).await;
    let mut other = cluster.not_current[0].clone();
    other.covered.state = ImageState::OtherDigest;
    other.covered.found.image = "app:1".into();
    cluster.not_current.push(other);
    status.clusters = vec![cluster.clone().into()];
    let found = find_alarms(&status, &AlarmInputs::default());
    assert_eq!(
        found[0].message,
        "prod uses 1 image that no entry mirrors, since 2h: quay.io/a/b:1; prod runs 1 image in another digest than \
         the mirror has: app:1"
    );
    cluster.not_current.remove(0);
    status.clusters = vec![cluster.into()];
    let found = find_alarms(&status, &AlarmInputs::default());
    assert_eq!(
        found[0].message,
        "prod runs 1 image in another digest than the mirror has: app:1"
    );
    let chinese = found[0].message.get(Language::Chinese);
    assert!(chinese.contains("1 个镜像的摘要"), "{chinese}");
}

#[tokio::test]
async fn cluster_that_sends_no_list_is_another_alarm() {
    let mut status = status(|_| {});
    status.clusters = vec![cluster(3 * 24 * 3600).await.into()];
    let found = find_alarms(&status, &AlarmInputs::default());
    let subjects: Vec<String> = found
        .iter()
        .map(|alarm| alarm.subject.to_string())
        .collect();
    assert_eq!(subjects, ["prod", "list of prod"]);
    assert_eq!(
        found[1].message,
        "the last list of images that prod sent is 3d old"
    );
    for alarm in &found {
        assert_eq!(
            Alarm::from_record(&alarm.record()).unwrap().subject,
            alarm.subject
        );
    }
}

#[test]
fn pulls_that_fail_for_several_clients() {
    let found = |live: LivePulls| {
        let inputs = AlarmInputs {
            pulls: live,
            ..AlarmInputs::default()
        };
        let found = find_alarms(&status(|_| {}), &inputs).into_iter();
        let found = found.filter(|alarm| alarm.topic == Topic::Gateway);
        let found = found.map(|alarm| (alarm.subject.to_string(), alarm.message.to_string()));
        found.collect::<Vec<_>>()
    };
    let upstream = |pulls, last| LivePulls {
        upstreams: vec![UpstreamTrouble {
            registry: "quay.io".into(),
            since: 100_000 - 600,
            last,
            pulls,
            stale: 2,
            why: "503".into(),
        }],
        ..LivePulls::default()
    };
    assert_eq!(found(upstream(2, 99_999)), []);
    assert_eq!(found(upstream(3, 100_000 - 900)), []);
    let message = "quay.io fails for clients that pull, for 10m: 3 requests needed it, 2 of them got \
                   a copy; 503";
    let expected = [("quay.io".to_owned(), message.to_owned())];
    assert_eq!(found(upstream(3, 99_999)), expected);
    let spent = LivePulls {
        budget: Some(BudgetStop {
            since: 100_000 - 60,
            pulls: 4,
        }),
        ..LivePulls::default()
    };
    assert_eq!(found(spent)[0].0, "budget of pulls");
    let refused = |rule, last| LivePulls {
        refused: Some(RefusedClients {
            since: 100_000 - 600,
            last,
            network: 1,
            limit: 0,
            rule,
        }),
        ..LivePulls::default()
    };
    assert_eq!(found(refused(98, 99_999)), []);
    assert_eq!(found(refused(99, 100_000 - 3600)), []);
    assert_eq!(found(refused(99, 99_999))[0].0, "refused pulls");
}
