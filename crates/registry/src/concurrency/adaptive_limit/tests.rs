use crate::concurrency::adaptive_limit::*;

fn cut(limit: usize, at: Instant) -> AdaptiveLimit {
    let mut limit = AdaptiveLimit::new(limit);
    limit.on_congestion(at);
    limit
}

/// Rounds in which each flow moves `rate` bytes a second; the widths after each.
fn rounds(
    limit: &mut AdaptiveLimit,
    mut at: Instant,
    count: u32,
    rate: impl Fn(usize) -> u64,
) -> Vec<usize> {
    limit.on_progress(0, at);
    let round = |_| {
        at += ROUND;
        limit.on_progress(rate(limit.current()) * ROUND.as_secs(), at);
        limit.current()
    };
    (0..count).map(round).collect()
}

#[test]
fn trouble_halves_the_width_once_for_all_that_meet_it() {
    let start = Instant::now();
    let mut limit = cut(16, start);
    limit.on_congestion(start + Duration::from_secs(1));
    assert_eq!(limit.current(), 8);
    for seconds in [6, 12, 18, 24] {
        limit.on_congestion(start + Duration::from_secs(seconds));
    }
    assert_eq!(limit.current(), 1);
}

#[test]
fn the_width_grows_up_to_its_limit_while_that_moves_more() {
    let start = Instant::now();
    let limits = rounds(&mut cut(16, start), start, 7, |flows| flows as u64 * 1000);
    assert_eq!(limits, [8, 10, 12, 15, 16, 16, 16]);
}

#[test]
fn the_width_stays_where_a_wider_one_moves_no_more() {
    let start = Instant::now();
    let mut limit = cut(16, start);
    let limits = rounds(&mut limit, start, 10, |flows| flows.min(9) as u64 * 1000);
    assert_eq!(limits, [8, 10, 12, 12, 12, 12, 12, 12, 12, 12]);
    let limits = rounds(&mut limit, start + 10 * ROUND, 12, |flows| {
        flows as u64 * 1000
    });
    assert_eq!(limits.last(), Some(&16), "it tries again after a while");
}
