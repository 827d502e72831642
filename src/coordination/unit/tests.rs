use std::{path::Path, time::Duration};

use super::{NOT_DUE, units_of};
use crate::config::Config;

fn units(mirrors: &str) -> Vec<transship_cluster::UnitSpec> {
    let text = format!(
        "[defaults]\ntarget = [\"t.example/m\", \"u.example/m\"]\njitter = \"0s\"\ntags = \"*\"\n{mirrors}"
    );
    let config = Config::parse(Path::new("/nonexistent/mirror.toml"), &text).unwrap();
    units_of(&config)
}

#[test]
fn unit_is_a_source_repository_of_a_mirror() {
    let units = units(
        "[[mirror]]\nname = \"a\"\nfrom = [\"s.example/x\", \"s.example/y:1\", \"s.example/y:2\"]\nmax_lag = \"8m\"\n",
    );
    let keys: Vec<&str> = units.iter().map(|unit| &*unit.key).collect();
    assert_eq!(keys, ["a s.example/x", "a s.example/y"]);
    assert_eq!(units[0].targets, ["t.example", "u.example"]);
    assert_eq!(units[0].steal_after, Duration::from_secs(120));
    assert_eq!(units[0].due_in, Duration::ZERO);
}

#[test]
fn patterns_have_a_unit_that_finds_repositories() {
    let units = units("[[mirror]]\nname = \"a\"\nfrom = [\"s.example/lib/*\", \"s.example/x\"]\n");
    let keys: Vec<&str> = units.iter().map(|unit| &*unit.key).collect();
    assert_eq!(keys, ["a s.example/x", "a *"]);
    assert_eq!(units[1].source, "s.example");
}

#[test]
fn paused_mirror_is_not_due() {
    let units = units("[[mirror]]\nfrom = \"s.example/x\"\npaused = true\n");
    assert_eq!(units[0].due_in, NOT_DUE);
}

#[test]
fn idle_worker_waits_no_longer_than_five_minutes() {
    let units = units("[[mirror]]\nfrom = \"s.example/x\"\nmax_lag = \"7d\"\n");
    assert_eq!(units[0].steal_after, Duration::from_secs(300));
}
