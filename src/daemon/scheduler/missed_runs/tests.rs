use std::path::Path;

use crate::{config::Config, daemon::scheduler::missed_runs::*};

fn is_missed_at(keys: &str, last: Option<&str>, now: &str) -> bool {
    let text = format!("[[mirror]]\nfrom = \"nginx:1\"\ntarget = \"t.example/m\"\n{keys}");
    let config = Config::parse(Path::new("mirror.toml"), &text).unwrap();
    let utc = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let last = last.map(|last| utc(last).timestamp());
    is_missed(&config.mirrors[0], Tz::UTC, last, utc(now))
}

#[test]
fn first_run_is_missed() {
    assert!(is_missed_at("", None, "2026-01-01T00:30:00Z"));
    assert!(!is_missed_at("paused = true", None, "2026-01-01T00:30:00Z"));
}

#[test]
fn finds_missed_runs() {
    let hourly = "schedule = \"@hourly\"";
    let last = Some("2026-01-01T00:00:05Z");
    assert!(!is_missed_at(hourly, last, "2026-01-01T00:59:00Z"));
    assert!(is_missed_at(hourly, last, "2026-01-01T09:30:00Z"));
}

#[test]
fn run_in_the_future_is_missed() {
    let ahead = Some("2026-01-01T08:30:00Z");
    assert!(is_missed_at(
        "schedule = \"@hourly\"",
        ahead,
        "2026-01-01T00:40:00Z"
    ));
}
