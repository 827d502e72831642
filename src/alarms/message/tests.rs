use std::sync::Arc;

use crate::alarms::{AlarmSubject, message::*};

fn alarm(name: &str) -> Alarm {
    Alarm {
        topic: Topic::Lag,
        subject: AlarmSubject::Mirror(Arc::from(name)),
        since: 90_000,
        message: format!("{name} lags 2h").into(),
        mirrors: Vec::new(),
    }
}

#[test]
fn recovery_has_duration() {
    let text = recovered(&[alarm("app")], 100_000).to_text();
    assert!(text.contains("over after 2h 46m"), "{text}");
}

#[test]
fn messages_in_chinese() {
    let alarms = ["a", "b"].map(alarm);
    let text = raised(&alarms).get(Language::Chinese).to_text();
    assert!(text.starts_with("transship：2 条告警\n"), "{text}");
    let text = recovered(&alarms[..1], 100_000);
    let text = text.get(Language::Chinese).to_text();
    assert!(
        text.contains("持续 2 小时 46 分后恢复：a lags 2h"),
        "{text}"
    );
}

#[test]
fn long_lists_are_counted() {
    let alarms: Vec<Alarm> = (0..120)
        .map(|number| alarm(&format!("m{number}")))
        .collect();
    let text = raised(&alarms).to_text();
    assert!(text.starts_with("transship: 120 alarms\n"), "{text}");
    assert!(text.ends_with("and 100 more\n"), "{text}");
    assert!(text.lines().count() < 25, "{text}");
}
