use crate::{alarms::state::*, config::Topic};

fn alarm(since: i64) -> Alarm {
    Alarm {
        topic: Topic::Lag,
        subject: "app".into(),
        since,
        message: "app lags".into(),
    }
}

#[test]
fn trouble_is_told_once_and_keeps_its_time() {
    let mut told = AlarmState::default();
    let first = told.compare(&mut [alarm(90)], 1);
    assert_eq!((first.raised.len(), first.recovered.len()), (1, 0));
    let mut still = [alarm(100)];
    assert_eq!(told.compare(&mut still, 2), AlarmChanges::default());
    assert_eq!(still[0].since, 90);
}

#[test]
fn trouble_that_comes_and_goes_is_one_trouble() {
    let mut told = AlarmState::default();
    told.compare(&mut [alarm(0)], 1);
    for turn in 0..10 {
        assert_eq!(told.compare(&mut [], turn * 4), AlarmChanges::default());
        assert_eq!(told.compare(&mut [], turn * 4 + 1), AlarmChanges::default());
        let again = told.compare(&mut [alarm(turn as i64)], turn * 4 + 2);
        assert_eq!(again, AlarmChanges::default());
    }
}

#[test]
fn trouble_is_over_when_three_turns_in_a_row_do_not_find_it() {
    let mut told = AlarmState::new(vec![alarm(7).record()]);
    let over = [1, 1, 1, 1, 2, 3, 4].map(|turn| told.compare(&mut [], turn).recovered);
    let last = over.iter().position(|over| *over == [alarm(7)]);
    assert_eq!(last, Some(5), "{over:?}");
    assert_eq!(over.iter().flatten().count(), 1);
    assert_eq!(told.records(), []);
}
