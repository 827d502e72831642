use std::path::Path;

use crate::{
    config::Config,
    status::{StoredStatus, lag_history::*},
};

fn change(at: i64, lagging_since: Option<i64>, is_known: bool) -> LagChange {
    LagChange {
        mirror: "app".into(),
        at,
        lagging_since,
        is_known,
    }
}

#[test]
fn lag_grows_until_it_ends() {
    let changes = [
        change(0, None, true),
        change(100, Some(90), true),
        change(200, None, true),
    ];
    let span = LagSpan::new(&changes, (0, 400), 4);
    assert_eq!(span.columns, [Some(0), Some(110), Some(0), Some(0)]);
    assert_eq!(span.worst_seconds, 110);
    assert_eq!(span.share_in_sync(), Some(0.75));
}

#[test]
fn unknown_lag_is_no_lag() {
    let changes = [
        change(100, None, true),
        change(200, None, false),
        change(300, Some(250), true),
    ];
    let span = LagSpan::new(&changes, (0, 400), 4);
    assert_eq!(span.columns, [None, Some(0), None, Some(150)]);
    assert_eq!(span.known_seconds, 200);
    assert_eq!(span.share_in_sync(), Some(0.5));
    let none = LagSpan::new(&[], (0, 400), 4);
    assert_eq!(none.share_in_sync(), None);
    assert_eq!(none.columns, [None; 4]);
}

#[test]
fn span_starts_with_what_holds_then() {
    let span = LagSpan::new(&[change(0, Some(0), true)], (1000, 1100), 2);
    assert_eq!(span.columns, [Some(1050), Some(1100)]);
    // Two changes within one column: the worst counts.
    let changes = [change(1000, Some(900), true), change(1010, None, true)];
    let span = LagSpan::new(&changes, (1000, 1100), 1);
    assert_eq!(span.columns, [Some(110)]);
}

#[test]
fn mirror_that_was_never_in_sync_has_unknown_lag() {
    let text = "[[mirror]]\nname = \"app\"\nfrom = \"s.example/app:1\"\ntarget = \"t.example/m\"";
    let config = Config::parse(Path::new("mirror.toml"), text).unwrap();
    let mut mirror = StoredStatus::default().at(&config, &config.mirrors[0], 100_000);
    mirror.last_checked = Some(100_000);
    let mut status = Status {
        now: 100_000,
        mirrors: vec![mirror],
        clusters: Vec::new(),
    };
    let mut watch = LagWatch::default();
    let first = watch.changes(&status);
    assert_eq!(first, [change(100_000, None, false)]);
    status.mirrors[0].last_success = Some(100_000);
    let second = watch.changes(&status);
    assert_eq!(second, [change(100_000, None, true)]);
}
