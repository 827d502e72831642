use crate::daemon::outbox::*;

fn alarm(topic: Topic) -> Alarm {
    Alarm {
        topic,
        subject: "app".into(),
        since: 90,
        message: "app is in trouble".into(),
    }
}

fn raised_now(topic: Topic) -> Telling {
    let changes = AlarmChanges {
        raised: vec![alarm(topic)],
        ..AlarmChanges::default()
    };
    Telling::of(&changes, 100).remove(0)
}

fn over_now(topic: Topic) -> Telling {
    let changes = AlarmChanges {
        recovered: vec![alarm(topic)],
        ..AlarmChanges::default()
    };
    Telling::of(&changes, 100).remove(0)
}

/// What is sent again of what was missed, while this stands: topic and trouble.
fn again(missed: &[Telling], standing: &[Topic]) -> Vec<(Topic, Topic)> {
    let mut mute = Mute::default();
    for telling in missed {
        mute.failed("ops".into(), "410 gone".into(), telling);
    }
    let standing: Vec<_> = standing
        .iter()
        .map(|topic| alarm(*topic).record())
        .collect();
    let mut taken = mute.take_missed();
    assert_eq!(mute.errors(), [("ops".to_owned(), "410 gone".to_owned())]);
    let tellings = taken.remove(0).1.tellings(&standing, 100);
    let all = tellings.iter();
    all.flat_map(|telling| {
        let alarms = telling.alarms.iter();
        alarms.map(|alarm| (telling.message.topic, alarm.topic))
    })
    .collect()
}

#[test]
fn an_alarm_that_was_missed_is_told_again_while_it_stands() {
    let missed = [raised_now(Topic::Lag), raised_now(Topic::Auth)];
    let lag = [(Topic::Lag, Topic::Lag)];
    assert_eq!(again(&missed, &[Topic::Lag]), lag);
    assert_eq!(again(&missed, &[]), []);
}

#[test]
fn a_recovery_that_was_missed_is_told_again_to_whoever_heard_of_the_alarm() {
    let over = [(Topic::Recovered, Topic::Lag)];
    assert_eq!(again(&[over_now(Topic::Lag)], &[]), over);
    let neither = [raised_now(Topic::Lag), over_now(Topic::Lag)];
    assert_eq!(again(&neither, &[]), []);
    let both = [over_now(Topic::Lag), raised_now(Topic::Lag)];
    assert_eq!(again(&both, &[Topic::Lag]), []);
}

#[test]
fn a_channel_that_takes_a_message_is_not_mute_and_is_told_what_it_missed() {
    let mut mute = Mute::default();
    mute.failed("ops".into(), "gone".into(), &raised_now(Topic::Lag));
    let missed = mute.took("ops");
    assert_eq!(mute.errors(), []);
    let standing = [alarm(Topic::Lag).record()];
    assert_eq!(missed.tellings(&standing, 100).len(), 1);
    assert!(mute.took("ops").tellings(&standing, 100).is_empty());
}
