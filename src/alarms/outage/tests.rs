use std::path::Path;

use crate::{
    alarms::{AlarmInputs, find_alarms},
    config::Config,
    status::StoredStatus,
};

use super::*;

/// Mirrors that failed with these classes at the registry, or did not fail.
fn status(failures: &[Option<&str>]) -> Status {
    let entries: String = (0..failures.len())
        .map(|number| {
            format!("[[mirror]]\nname = \"m{number}\"\nfrom = \"docker.io/a/m{number}:1\"\n")
        })
        .collect();
    let text = format!("[defaults]\ntarget = \"t.example/m\"\nschedule = \"@hourly\"\n{entries}");
    let config = Config::parse(Path::new("mirror.toml"), &text).unwrap();
    let mirrors = config.mirrors.iter().zip(failures).map(|(mirror, class)| {
        let mut status = StoredStatus::default().at(&config, mirror, 100_000);
        if let Some(class) = class {
            status.last_error_class = Some((*class).into());
            status.last_error_registry = Some("docker.io".into());
            status.last_checked = Some(100_000 - 4 * 3600);
        }
        status
    });
    Status {
        now: 100_000,
        mirrors: mirrors.collect(),
        clusters: Vec::new(),
    }
}

fn messages(status: &Status, inputs: &AlarmInputs) -> Vec<String> {
    let found = find_alarms(status, inputs).into_iter();
    found.map(|alarm| alarm.message.to_string()).collect()
}

#[test]
fn groups_mirrors_of_unreachable_registry() {
    let mut failures = vec![Some("network"); 119];
    failures.push(None);
    let found = find_alarms(&status(&failures), &AlarmInputs::default());
    let [alarm] = &found[..] else {
        panic!("{found:#?}");
    };
    assert_eq!(alarm.message, "docker.io cannot be reached: 119 mirrors");
    assert_eq!(alarm.topic, Topic::Unreachable);
    assert_eq!(alarm.subject, AlarmSubject::Registry("docker.io".into()));
    assert_eq!(alarm.mirrors.len(), 119);
}

#[test]
fn keeps_alarm_of_single_mirror() {
    let found = find_alarms(&status(&[Some("network"), None]), &AlarmInputs::default());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subject, AlarmSubject::Mirror("m0".into()));
}

#[test]
fn keeps_alarms_about_images() {
    let status = status(&[Some("not_found"), Some("denied")]);
    assert_eq!(find_alarms(&status, &AlarmInputs::default()).len(), 2);
}

#[test]
fn waits_for_the_first_alarm_of_a_mirror() {
    let mut status = status(&[Some("network"), Some("stalled")]);
    for mirror in &mut status.mirrors {
        mirror.last_checked = Some(100_000);
    }
    assert_eq!(find_alarms(&status, &AlarmInputs::default()), []);
}

#[test]
fn counts_mirrors_in_the_alarm_of_the_login() {
    let inputs = AlarmInputs {
        refusing: vec!["docker.io".into()],
        ..AlarmInputs::default()
    };
    let words = ["docker.io refuses the credentials: 2 mirrors"];
    assert_eq!(
        messages(&status(&[Some("auth"), Some("auth")]), &inputs),
        words
    );
}

#[test]
fn outage_in_chinese() {
    let found = find_alarms(&status(&[Some("network"); 3]), &AlarmInputs::default());
    assert_eq!(
        found[0].message.get(Language::Chinese),
        "docker.io 无法连接：影响 3 个同步项"
    );
}
