use super::*;
use crate::cli::setup::doctor::finding::DoctorVerdict;

const DRAIN: Duration = Duration::from_secs(60);

/// A unit that runs well, with some properties changed.
fn unit(changes: &[(&str, &str)]) -> Properties {
    let mut unit = parse(
        "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\
         Result=success\nExecMainStatus=0\nNRestarts=0\nTimeoutStopUSec=1min 30s\n\
         NeedDaemonReload=no\n",
    );
    for (name, value) in changes {
        unit.insert((*name).to_owned(), (*value).to_owned());
    }
    unit
}

/// What is said of it, but what is well.
fn trouble(changes: &[(&str, &str)]) -> Vec<String> {
    let findings = judge(&unit(changes), DRAIN);
    let trouble = findings
        .into_iter()
        .filter(|finding| finding.verdict != DoctorVerdict::Ok);
    trouble.map(|finding| finding.message).collect()
}

#[test]
fn running_unit_is_well() {
    assert!(trouble(&[]).is_empty());
}

#[test]
fn missing_unit_is_the_only_finding() {
    let found = trouble(&[("LoadState", "not-found"), ("ActiveState", "inactive")]);
    assert_eq!(found, ["systemd knows no transship.service"]);
}

#[test]
fn invalid_file_is_named_by_its_exit_status() {
    let found = trouble(&[("ActiveState", "failed"), ("ExecMainStatus", "78")]);
    assert_eq!(found, ["it ended because mirror.toml is invalid"]);
}

#[test]
fn short_stop_time_is_a_warning() {
    let found = trouble(&[("TimeoutStopUSec", "1min")]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("kills it 1min after a stop"), "{found:?}");
}

#[test]
fn disabled_and_restarting_unit_shows_both() {
    let found = trouble(&[("UnitFileState", "disabled"), ("NRestarts", "12")]);
    assert_eq!(found.len(), 2, "{found:?}");
}
