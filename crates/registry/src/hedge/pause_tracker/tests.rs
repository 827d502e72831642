use crate::hedge::pause_tracker::*;

const SECOND: Duration = Duration::from_secs(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn few_pauses_show_nothing() {
    let mut tracker = PauseTracker::default();
    (0..4).for_each(|at| tracker.record(SECOND, seconds(at)));
    assert_eq!(tracker.longest(), None);
    tracker.record(3 * SECOND, seconds(4));
    assert_eq!(tracker.longest(), Some(3 * SECOND));
}

#[test]
fn long_pause_counts_for_a_while() {
    let mut tracker = PauseTracker::default();
    tracker.record(5 * SECOND, Duration::ZERO);
    (1..10).for_each(|at| tracker.record(SECOND, seconds(at)));
    (10..20).for_each(|at| tracker.record(SECOND, seconds(at)));
    assert_eq!(tracker.longest(), Some(5 * SECOND));
    (20..30).for_each(|at| tracker.record(SECOND, seconds(at)));
    assert_eq!(tracker.longest(), Some(SECOND));
}

#[test]
fn sparse_pauses_are_not_forgotten() {
    let mut tracker = PauseTracker::default();
    (0..5).for_each(|at| tracker.record(2 * SECOND, seconds(at)));
    tracker.record(SECOND, seconds(1000));
    assert_eq!(tracker.longest(), Some(2 * SECOND));
}
