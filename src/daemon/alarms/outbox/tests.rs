use crate::daemon::alarms::outbox::*;

fn alarm(topic: Topic) -> Alarm {
    Alarm {
        topic,
        subject: AlarmSubject::Mirror("app".into()),
        since: 90,
        message: "app is in trouble".into(),
        mirrors: Vec::new(),
    }
}

fn raised_now(topic: Topic) -> Notification {
    let changes = AlarmChanges {
        raised: vec![alarm(topic)],
        ..AlarmChanges::default()
    };
    Notification::of(&changes, 100, &StatusPages::default()).remove(0)
}

fn over_now(topic: Topic) -> Notification {
    let changes = AlarmChanges {
        recovered: vec![alarm(topic)],
        ..AlarmChanges::default()
    };
    Notification::of(&changes, 100, &StatusPages::default()).remove(0)
}

/// What is sent again of what was missed, while this stands: topic and trouble.
fn again(missed: &[Notification], standing: &[Topic]) -> Vec<(Topic, Topic)> {
    let mut outbox = Outbox::default();
    for telling in missed {
        outbox.failed("ops".into(), "410 gone".into(), telling);
    }
    let standing: Vec<_> = standing.iter().map(|topic| alarm(*topic)).collect();
    let mut taken = outbox.take_missed();
    assert_eq!(outbox.errors(), [("ops".into(), "410 gone".to_owned())]);
    let notifications = taken
        .remove(0)
        .1
        .notifications(&standing, 100, &StatusPages::default());
    let all = notifications.iter();
    all.flat_map(|notification| {
        let alarms = notification.alarms.iter();
        alarms.map(|alarm| (notification.message.topic, alarm.topic))
    })
    .collect()
}

#[test]
fn resends_missed_alarm_while_active() {
    let missed = [raised_now(Topic::Lag), raised_now(Topic::Auth)];
    let lag = [(Topic::Lag, Topic::Lag)];
    assert_eq!(again(&missed, &[Topic::Lag]), lag);
    assert_eq!(again(&missed, &[]), []);
}

#[test]
fn resends_missed_recovery() {
    let over = [(Topic::Recovered, Topic::Lag)];
    assert_eq!(again(&[over_now(Topic::Lag)], &[]), over);
    let neither = [raised_now(Topic::Lag), over_now(Topic::Lag)];
    assert_eq!(again(&neither, &[]), []);
    let both = [over_now(Topic::Lag), raised_now(Topic::Lag)];
    assert_eq!(again(&both, &[Topic::Lag]), []);
}

#[test]
fn delivery_returns_missed_messages() {
    let mut outbox = Outbox::default();
    outbox.failed("ops".into(), "gone".into(), &raised_now(Topic::Lag));
    let missed = outbox.delivered("ops");
    assert_eq!(outbox.errors(), []);
    let standing = [alarm(Topic::Lag)];
    assert_eq!(
        missed
            .notifications(&standing, 100, &StatusPages::default())
            .len(),
        1
    );
    assert!(
        outbox
            .delivered("ops")
            .notifications(&standing, 100, &StatusPages::default())
            .is_empty()
    );
}

/// StatusPages below a path, as behind a reverse proxy.
fn pages() -> StatusPages {
    StatusPages(Some("https://ops.example.com/transship".parse().unwrap()))
}

#[test]
fn links_to_the_page_of_the_mirror() {
    let changes = AlarmChanges {
        raised: vec![Alarm {
            subject: AlarmSubject::Mirror("library/my app".into()),
            ..alarm(Topic::Lag)
        }],
        ..AlarmChanges::default()
    };
    let message = Notification::of(&changes, 100, &pages()).remove(0).message;
    let url = "https://ops.example.com/transship/mirrors/library/my%20app";
    assert_eq!(message.json["url"], url);
    assert!(message.document.to_text().contains(url));
    assert!(message.document.to_markdown().contains(&format!("<{url}>")));
}

#[test]
fn links_to_the_overview_for_several() {
    let changes = AlarmChanges {
        raised: vec![alarm(Topic::Lag), alarm(Topic::Lag)],
        ..AlarmChanges::default()
    };
    let message = Notification::of(&changes, 100, &pages()).remove(0).message;
    assert_eq!(message.json["url"], "https://ops.example.com/transship");
}
