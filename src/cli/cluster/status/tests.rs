use chrono::{TimeDelta, Utc};

use super::{MirrorStatus, lag_words};

#[test]
fn mirror_is_in_sync_only_after_it_was() {
    let now = Utc::now();
    let hour_ago = Some(now - TimeDelta::hours(1));
    let words = |lagging_since, last_in_sync, last_checked| {
        let mirror = MirrorStatus {
            mirror: "app".into(),
            units: 1,
            held: 0,
            due: 0,
            tags: 1,
            behind: 1,
            failed: 0,
            lagging_since,
            last_in_sync,
            last_checked,
            overdue_since: None,
            targets: Vec::new(),
        };
        lag_words(&mirror, now)
    };
    assert_eq!(words(None, None, None), "nothing known to be behind");
    assert_eq!(words(None, hour_ago, hour_ago), "in sync");
    // Its source is not there.
    assert_eq!(words(None, None, hour_ago), "never in sync");
    assert_eq!(words(hour_ago, hour_ago, hour_ago), "1 behind for 1h");
}
