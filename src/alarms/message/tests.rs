use std::sync::Arc;

use crate::alarms::{AlarmSubject, message::*};

fn alarm(name: &str) -> Alarm {
    Alarm {
        topic: Topic::Lag,
        subject: AlarmSubject::Mirror(Arc::from(name)),
        since: 90_000,
        message: format!("{name} lags 2h"),
        mirrors: Vec::new(),
    }
}

#[test]
fn recovery_has_duration() {
    let text = recovered(&[alarm("app")], 100_000).to_text();
    assert!(text.contains("over after 2h 46m"), "{text}");
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
