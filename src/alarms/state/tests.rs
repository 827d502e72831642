use std::sync::Arc;

use crate::alarms::state::*;

const NO_WAIT: Duration = Duration::ZERO;
const GROUP_WAIT: Duration = Duration::from_secs(30);

fn alarm(since: i64) -> Alarm {
    alarm_of("app", since)
}

fn alarm_of(mirror: &str, since: i64) -> Alarm {
    Alarm {
        topic: Topic::Stale,
        subject: AlarmSubject::Mirror(mirror.into()),
        since,
        message: format!("{mirror} is stale").into(),
        mirrors: Vec::new(),
    }
}

/// The alarm of a registry behind which these mirrors fail.
fn outage(mirrors: &[&str]) -> Alarm {
    Alarm {
        topic: Topic::Unreachable,
        subject: AlarmSubject::Registry("docker.io".into()),
        since: 0,
        message: format!("docker.io cannot be reached: {} mirrors", mirrors.len()).into(),
        mirrors: mirrors.iter().map(|name| Arc::from(*name)).collect(),
    }
}

fn never(_: &Alarm) -> bool {
    false
}

fn always(_: &Alarm) -> bool {
    true
}

/// A tick, two seconds each.
fn at(tick: u64) -> CheckTime {
    CheckTime {
        tick,
        now: i64::try_from(tick).unwrap() * 2,
    }
}

#[test]
fn announces_once_and_keeps_start() {
    let mut state = AlarmState::default();
    let first = state.compare(&mut [alarm(90)], at(1), NO_WAIT, never);
    assert_eq!((first.raised.len(), first.recovered.len()), (1, 0));
    let mut still = [alarm(100)];
    let changes = state.compare(&mut still, at(2), NO_WAIT, never);
    assert_eq!(changes, AlarmChanges::default());
    assert_eq!(still[0].since, 90);
}

#[test]
fn flapping_alarm_is_one_alarm() {
    let mut state = AlarmState::default();
    state.compare(&mut [alarm(0)], at(1), NO_WAIT, never);
    let none = AlarmChanges::default();
    for turn in 0..10 {
        assert_eq!(state.compare(&mut [], at(turn * 4), NO_WAIT, never), none);
        assert_eq!(
            state.compare(&mut [], at(turn * 4 + 1), NO_WAIT, never),
            none
        );
        let again = state.compare(&mut [alarm(turn as i64)], at(turn * 4 + 2), NO_WAIT, never);
        assert_eq!(again, none);
    }
}

#[test]
fn recovers_after_three_ticks() {
    let mut state = AlarmState::new(vec![alarm(7)]);
    let ticks = [1, 1, 1, 1, 2, 3, 4];
    let over = ticks.map(|tick| state.compare(&mut [], at(tick), NO_WAIT, never).recovered);
    let last = over.iter().position(|over| *over == [alarm(7)]);
    assert_eq!(last, Some(5), "{over:?}");
    assert_eq!(over.iter().flatten().count(), 1);
    assert_eq!(state.announced(), []);
}

#[test]
fn gathers_new_alarms() {
    let mut state = AlarmState::default();
    let (a, b, c) = (alarm_of("a", 0), alarm_of("b", 0), alarm_of("c", 0));
    let mut raised = |found: &[Alarm], tick| {
        let mut found = found.to_vec();
        state
            .compare(&mut found, at(tick), GROUP_WAIT, never)
            .raised
    };
    assert_eq!(raised(std::slice::from_ref(&a), 10), []);
    assert_eq!(raised(&[a.clone(), b.clone()], 20), []);
    let both = [a.clone(), b.clone()];
    assert_eq!(raised(&both, 25), both);
    assert_eq!(raised(&[a.clone(), b.clone(), c.clone()], 26), []);
    assert_eq!(raised(&[a, b, c.clone()], 41), [c]);
}

#[test]
fn drops_alarms_that_end_while_gathered() {
    let mut state = AlarmState::default();
    assert_eq!(
        state
            .compare(&mut [alarm(0)], at(1), GROUP_WAIT, never)
            .raised,
        []
    );
    assert_eq!(
        state.compare(&mut [], at(10), GROUP_WAIT, never),
        AlarmChanges::default()
    );
    assert_eq!(
        state
            .compare(&mut [alarm(0)], at(20), GROUP_WAIT, never)
            .raised,
        []
    );
}

#[test]
fn outage_absorbs_alarms_of_mirrors() {
    let mut state = AlarmState::default();
    state.compare(&mut [alarm_of("a", 0)], at(1), NO_WAIT, never);
    let changes = state.compare(&mut [outage(&["a", "b"])], at(2), NO_WAIT, never);
    assert_eq!(changes.raised, [outage(&["a", "b"])]);
    assert_eq!(changes.absorbed, [alarm_of("a", 0)]);
    let over = [3, 4, 5].map(|tick| state.compare(&mut [], at(tick), NO_WAIT, never).recovered);
    assert_eq!(over.concat(), [outage(&["a", "b"])]);
}

#[test]
fn alarm_stays_until_the_outage_is_announced() {
    let mut state = AlarmState::default();
    state.compare(&mut [alarm_of("a", 0)], at(1), NO_WAIT, never);
    for tick in 2..8 {
        let changes = state.compare(&mut [outage(&["a", "b"])], at(tick), GROUP_WAIT, never);
        assert_eq!(changes, AlarmChanges::default());
    }
    let over = [8, 9, 10].map(|tick| state.compare(&mut [], at(tick), NO_WAIT, never).recovered);
    assert_eq!(over.concat(), [alarm_of("a", 0)]);
}

#[test]
fn mirrors_join_an_outage_once() {
    let mut state = AlarmState::default();
    state.compare(&mut [outage(&["a", "b"])], at(1), NO_WAIT, never);
    let mut joined = |mirrors: &[&str], tick| {
        let joined = state
            .compare(&mut [outage(mirrors)], at(tick), NO_WAIT, never)
            .joined;
        let names = joined.into_iter().flat_map(|joined| joined.alarm.mirrors);
        names.map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(joined(&["a", "b", "c"], 2), ["c"]);
    assert_eq!(joined(&["b", "c"], 3), Vec::<String>::new());
    assert_eq!(joined(&["a", "b", "c"], 4), Vec::<String>::new());
}

#[test]
fn held_alarm_waits_until_it_is_free() {
    let mut state = AlarmState::default();
    let none = AlarmChanges::default();
    for tick in 1..40 {
        assert_eq!(
            state.compare(&mut [alarm(0)], at(tick), NO_WAIT, always),
            none
        );
    }
    let freed = state.compare(&mut [alarm(0)], at(40), NO_WAIT, never);
    assert_eq!(freed.raised.len(), 1);
    for tick in 41..80 {
        assert_eq!(state.compare(&mut [], at(tick), NO_WAIT, always), none);
    }
    let mut recovered = Vec::new();
    for tick in 80..83 {
        recovered.extend(state.compare(&mut [], at(tick), NO_WAIT, never).recovered);
    }
    assert_eq!(recovered.len(), 1);
}

#[test]
fn recovery_counts_all_mirrors_of_an_outage() {
    let mut state = AlarmState::default();
    state.compare(&mut [outage(&["a", "b", "c"])], at(1), NO_WAIT, never);
    state.compare(&mut [outage(&["a", "b"])], at(2), NO_WAIT, never);
    let over = [3, 4, 5].map(|tick| state.compare(&mut [], at(tick), NO_WAIT, never).recovered);
    assert_eq!(over[2][0].message, "docker.io cannot be reached: 3 mirrors");
}
