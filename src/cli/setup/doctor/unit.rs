//! The systemd unit: installed, enabled, running, with enough time to stop.

use std::{collections::HashMap, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::{cli::setup::doctor::finding::DoctorFinding, config::Config};

/// The unit's name, without its suffix.
const UNIT: &str = "transship";
/// What is asked of systemd.
const PROPERTIES: &str = "LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainStatus,\
                          NRestarts,TimeoutStopUSec,NeedDaemonReload";
/// The time that the daemon needs beside `drain` to save what was cut off.
const RESERVE: Duration = Duration::from_secs(20);
/// Restarts that are no accident.
const MANY_RESTARTS: u64 = 5;

/// Its properties, by name.
type Properties = HashMap<String, String>;

/// All checks of the unit.
pub(crate) async fn check(config: &Config) -> Vec<DoctorFinding> {
    let mut show = Command::new("systemctl");
    show.args(["show", UNIT, "--timestamp=unix", "--property", PROPERTIES]);
    let shown = show.stdin(Stdio::null()).output().await;
    match shown {
        Ok(shown) if shown.status.success() => judge(
            &parse(&String::from_utf8_lossy(&shown.stdout)),
            config.drain,
        ),
        Ok(shown) => {
            let said = String::from_utf8_lossy(&shown.stderr);
            let said = said.lines().next().unwrap_or_default();
            vec![DoctorFinding::skipped("unit", format!("systemctl: {said}"))]
        }
        Err(error) => vec![DoctorFinding::skipped(
            "unit",
            format!("systemctl: {error}"),
        )],
    }
}

fn parse(text: &str) -> Properties {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn judge(unit: &Properties, drain: Duration) -> Vec<DoctorFinding> {
    let get = |name: &str| unit.get(name).map_or("", String::as_str);
    if get("LoadState") != "loaded" {
        return vec![DoctorFinding::failed(
            "unit",
            format!("systemd knows no {UNIT}.service"),
            "install the package, or copy systemd/transship.service to /etc/systemd/system, then \
             systemctl daemon-reload",
        )];
    }
    let mut findings = vec![state(unit)];
    if get("UnitFileState") != "enabled" {
        findings.push(DoctorFinding::warning(
            "unit",
            "it does not start at boot",
            format!("systemctl enable {UNIT}"),
        ));
    }
    if get("NeedDaemonReload") == "yes" {
        findings.push(DoctorFinding::warning(
            "unit",
            "its file changed since systemd read it",
            format!("systemctl daemon-reload && systemctl restart {UNIT}"),
        ));
    }
    let restarts = get("NRestarts").parse().unwrap_or(0);
    if restarts >= MANY_RESTARTS {
        findings.push(DoctorFinding::warning(
            "unit",
            format!("systemd restarted it {restarts} times"),
            format!("journalctl -u {UNIT} -p err -n 50 shows why"),
        ));
    }
    findings.extend(stop_time(get("TimeoutStopUSec"), drain));
    findings
}

fn state(unit: &Properties) -> DoctorFinding {
    let get = |name: &str| unit.get(name).map_or("", String::as_str);
    match (get("ActiveState"), get("ExecMainStatus")) {
        ("active", _) => DoctorFinding::ok("unit", format!("active ({})", get("SubState"))),
        ("failed", "78") => DoctorFinding::failed(
            "unit",
            "it ended because mirror.toml is invalid",
            format!("transship check; then systemctl restart {UNIT}"),
        ),
        ("failed", status) => DoctorFinding::failed(
            "unit",
            format!("it failed: {}, exit status {status}", get("Result")),
            format!("journalctl -u {UNIT} -n 50 shows why"),
        ),
        (state, _) => DoctorFinding::failed(
            "unit",
            format!("it is {state}"),
            format!("systemctl enable --now {UNIT}; it needs /etc/transship/mirror.toml"),
        ),
    }
}

/// systemd kills a daemon that takes longer to stop.
fn stop_time(written: &str, drain: Duration) -> Option<DoctorFinding> {
    // systemd writes times as in `1min 30s`, which humantime reads, too.
    let allowed = humantime::parse_duration(written).ok()?;
    let needed = drain + RESERVE;
    (allowed < needed).then(|| {
        DoctorFinding::warning(
            "unit",
            format!(
                "systemd kills it {written} after a stop, and [state] drain is {}",
                humantime::format_duration(drain)
            ),
            format!(
                "systemctl edit {UNIT}: [Service] TimeoutStopSec={}",
                needed.as_secs()
            ),
        )
    })
}

#[cfg(test)]
mod tests;
