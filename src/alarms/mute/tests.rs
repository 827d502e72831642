use std::path::Path;

use crate::{alarms::mute::*, config::Topic, status::StoredStatus};

const FILE: &str = "timezone = \"Asia/Shanghai\"\n[report]\nquiet = \"22:00-07:00\"\n\
                    [defaults]\ntarget = \"t.example/m\"\n\
                    [[mirror]]\nname = \"a\"\nfrom = \"docker.io/a/a:1\"\n\
                    [[mirror]]\nname = \"b\"\nfrom = \"quay.io/a/b:1\"\n";
/// 03:00 in Shanghai.
const NIGHT: i64 = 19 * 3600;
/// 15:00 there.
const DAY: i64 = 7 * 3600;

fn config() -> Config {
    Config::parse(Path::new("mirror.toml"), FILE).unwrap()
}

fn alarm(topic: Topic, subject: AlarmSubject) -> Alarm {
    Alarm {
        topic,
        subject,
        since: 0,
        message: "something is wrong".into(),
        mirrors: Vec::new(),
    }
}

fn mute(kind: MuteKind, name: &str) -> Mute {
    Mute {
        kind,
        name: name.into(),
        until: i64::MAX,
    }
}

/// Whether an alarm is held; the last run of each mirror failed at docker.io.
fn is_held(mutes: &[Mute], now: i64, alarm: &Alarm) -> bool {
    let config = config();
    let mirrors = config.mirrors.iter().map(|mirror| {
        let mut status = StoredStatus::default().at(&config, mirror, now);
        status.last_error_registry = Some("docker.io".into());
        status
    });
    let status = Status {
        now,
        mirrors: mirrors.collect(),
        clusters: Vec::new(),
    };
    let silence = Silence {
        mutes,
        quiet: config.report.quiet.as_ref(),
        status: &status,
        zone: config.timezone,
    };
    silence.holds(alarm)
}

#[test]
fn muted_mirror_sends_no_alarms() {
    let mutes = [mute(MuteKind::Mirror, "a")];
    let of = |name: &str| alarm(Topic::Failing, AlarmSubject::Mirror(name.into()));
    assert!(is_held(&mutes, DAY, &of("a")));
    assert!(!is_held(&mutes, DAY, &of("b")));
    let mut outage = alarm(
        Topic::Unreachable,
        AlarmSubject::Registry("docker.io".into()),
    );
    outage.mirrors = vec!["a".into(), "b".into()];
    assert!(!is_held(&mutes, DAY, &outage));
    let both = [mute(MuteKind::Mirror, "a"), mute(MuteKind::Mirror, "b")];
    assert!(is_held(&both, DAY, &outage));
}

#[test]
fn muted_registry_silences_mirrors_that_fail_there() {
    let mutes = [mute(MuteKind::Registry, "docker.io")];
    let outage = alarm(Topic::Auth, AlarmSubject::Registry("docker.io".into()));
    assert!(is_held(&mutes, DAY, &outage));
    let mirror = alarm(Topic::Failing, AlarmSubject::Mirror("a".into()));
    assert!(is_held(&mutes, DAY, &mirror));
    let other = alarm(Topic::Auth, AlarmSubject::Registry("quay.io".into()));
    assert!(!is_held(&mutes, DAY, &other));
    assert!(!is_held(
        &mutes,
        DAY,
        &alarm(Topic::Disk, AlarmSubject::Daemon)
    ));
}

#[test]
fn quiet_hours_follow_the_timezone() {
    let lag = alarm(Topic::Lag, AlarmSubject::Mirror("a".into()));
    assert!(is_held(&[], NIGHT, &lag));
    assert!(!is_held(&[], DAY, &lag));
    assert!(!is_held(
        &[],
        NIGHT,
        &alarm(Topic::Disk, AlarmSubject::Daemon)
    ));
}

#[test]
fn name_is_a_mirror_or_a_registry() {
    let found = |name: &str| find_muted(&config(), name);
    assert_eq!(found("a"), Some((MuteKind::Mirror, "a".into())));
    let hub = Some((MuteKind::Registry, "docker.io".into()));
    assert_eq!(found("docker.io"), hub);
    assert_eq!(found("index.docker.io"), hub);
    assert_eq!(found("ghcr.io"), None);
}
