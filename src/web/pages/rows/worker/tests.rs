use chrono::Utc;

use super::{of, rows};
use crate::{
    coordination::{Coordination, database::ClusterStatus, worker_status},
    locales::Language,
};

#[test]
fn one_machine_shows_no_workers() {
    let words = Language::English.words();
    assert!(rows(&Coordination::Alone, words).is_empty());
}

#[test]
fn restarted_worker_is_shown_once() {
    let status = ClusterStatus {
        now: Utc::now(),
        newest_config: None,
        workers: vec![
            worker_status("a", 60, 0, false),
            worker_status("a", 30, 50, false),
            worker_status("b", 60, 0, false),
            worker_status("c", 60, 40, true),
        ],
        mirrors: Vec::new(),
    };
    let rows = of(&status, Language::English.words());
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (&*row.name, row.state.text))
        .collect();
    assert_eq!(shown, [("a", "works"), ("b", "gone"), ("c", "draining")]);
}

#[test]
fn worker_is_replaced_though_the_clock_was_set_back() {
    let status = ClusterStatus {
        now: Utc::now(),
        newest_config: None,
        workers: vec![
            worker_status("a", 60, 0, false),
            worker_status("a", 3600, 50, false),
        ],
        mirrors: Vec::new(),
    };
    let rows = of(&status, Language::English.words());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].state.text, "works");
}
