use crate::web::pages::rows::lag_chart::*;

const NOW: i64 = 1_795_000_000;

fn change(hours_ago: i64, lagging_since: Option<i64>) -> LagChange {
    LagChange {
        mirror: "app".into(),
        at: NOW - hours_ago * HOUR,
        lagging_since,
        is_known: true,
    }
}

#[test]
fn chart_shows_share_and_worst_lag() {
    let changes = [
        change(48, None),
        change(12, Some(NOW - 12 * HOUR)),
        change(6, None),
    ];
    let charts = charts(&changes, HOUR, NOW, Language::English);
    let [day, week, month] = &charts[..] else {
        panic!("{charts:?}")
    };
    assert_eq!(day.title, "24 hours");
    assert_eq!(day.share.as_deref(), Some("in sync 75.0 % of the time"));
    assert_eq!(day.worst.as_deref(), Some("worst lag 6h"));
    // A quarter of its columns.
    assert_eq!(day.area.matches('M').count(), COLUMNS / 4);
    assert_eq!(day.unknown, "");
    assert_eq!(week.title, "7 days");
    assert_eq!(week.unknown.matches('M').count(), COLUMNS * 5 / 7);
    assert_eq!(month.share.as_deref(), Some("in sync 87.5 % of the time"));
}

#[test]
fn nearly_always_is_not_always() {
    let changes = [
        change(24, None),
        change(1, Some(NOW - HOUR)),
        change(0, None),
    ];
    let mut changes = changes.to_vec();
    changes[2].at = NOW - HOUR + 10;
    let charts = charts(&changes, HOUR, NOW, Language::Chinese);
    assert_eq!(charts[0].share.as_deref(), Some("99.9% 的时间处于同步"));
    assert_eq!(charts[0].worst.as_deref(), Some("最大延迟 10 秒"));
    assert!(super::charts(&[], HOUR, NOW, Language::English).is_empty());
}
