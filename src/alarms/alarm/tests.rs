use crate::{alarms::alarm::*, locales::Language};

fn record(topic: &str, subject: &str) -> AlarmRecord {
    AlarmRecord {
        topic: topic.into(),
        subject: subject.into(),
        since: 7,
        message: "app lags".into(),
    }
}

#[test]
fn reads_stored_subjects() {
    let read = |topic, subject| Alarm::from_record(&record(topic, subject)).unwrap().subject;
    assert_eq!(read("lag", "app"), AlarmSubject::Mirror("app".into()));
    assert_eq!(read("failing", "app"), AlarmSubject::Mirror("app".into()));
    assert_eq!(
        read("failing", "channel ops"),
        AlarmSubject::Channel("ops".into())
    );
    assert_eq!(
        read("auth", "quay.io"),
        AlarmSubject::Registry("quay.io".into())
    );
    assert_eq!(read("disk", ""), AlarmSubject::Daemon);
    assert_eq!(Alarm::from_record(&record("unheard of", "")), None);
}

#[test]
fn keeps_stored_subjects() {
    for (topic, subject) in [
        ("lag", "app"),
        ("failing", "channel ops"),
        ("auth", "quay.io"),
        ("unreachable", "docker.io"),
        ("config", ""),
    ] {
        let stored = record(topic, subject);
        assert_eq!(Alarm::from_record(&stored).unwrap().record(), stored);
    }
}

#[test]
fn stored_alarm_keeps_every_language() {
    let mut alarm = Alarm::from_record(&record("lag", "app")).unwrap();
    alarm.message = Localized::new(|language| language.words().alarm.rate_limited.to_owned());
    let stored = Alarm::from_record(&alarm.record()).unwrap();
    assert_eq!(stored, alarm);
    assert_ne!(
        stored.message.get(Language::English),
        stored.message.get(Language::Chinese)
    );
}
