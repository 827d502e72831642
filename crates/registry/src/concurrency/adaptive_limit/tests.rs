use crate::concurrency::adaptive_limit::*;

fn cut(limit: usize, at: Instant) -> AdaptiveLimit {
    let mut width = AdaptiveLimit::new(limit);
    width.trouble(at);
    width
}

/// Rounds in which each flow moves `rate` bytes a second; the widths after each.
fn rounds(
    width: &mut AdaptiveLimit,
    mut at: Instant,
    count: u32,
    rate: impl Fn(usize) -> u64,
) -> Vec<usize> {
    width.moved(0, at);
    let round = |_| {
        at += ROUND;
        width.moved(rate(width.now()) * ROUND.as_secs(), at);
        width.now()
    };
    (0..count).map(round).collect()
}

#[test]
fn trouble_halves_the_width_once_for_all_that_meet_it() {
    let start = Instant::now();
    let mut width = cut(16, start);
    width.trouble(start + Duration::from_secs(1));
    assert_eq!(width.now(), 8);
    for seconds in [6, 12, 18, 24] {
        width.trouble(start + Duration::from_secs(seconds));
    }
    assert_eq!(width.now(), 1);
}

#[test]
fn the_width_grows_up_to_its_limit_while_that_moves_more() {
    let start = Instant::now();
    let widths = rounds(&mut cut(16, start), start, 7, |flows| flows as u64 * 1000);
    assert_eq!(widths, [8, 10, 12, 15, 16, 16, 16]);
}

#[test]
fn the_width_stays_where_a_wider_one_moves_no_more() {
    let start = Instant::now();
    let mut width = cut(16, start);
    let widths = rounds(&mut width, start, 10, |flows| flows.min(9) as u64 * 1000);
    assert_eq!(widths, [8, 10, 12, 12, 12, 12, 12, 12, 12, 12]);
    let widths = rounds(&mut width, start + 10 * ROUND, 12, |flows| {
        flows as u64 * 1000
    });
    assert_eq!(widths.last(), Some(&16), "it tries again after a while");
}
