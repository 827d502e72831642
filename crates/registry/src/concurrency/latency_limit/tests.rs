use crate::concurrency::latency_limit::*;

/// The limits after each of some rounds, in which answers take as long as `latency` says of the
/// requests in flight.
fn rounds(
    limit: &mut LatencyLimit,
    mut at: Instant,
    count: usize,
    latency: impl Fn(usize) -> Duration,
) -> Vec<usize> {
    let round = |_| {
        let took = latency(limit.current());
        for _ in 0..3 * limit.current() {
            limit.on_answer(took, at);
        }
        at += took;
        limit.current()
    };
    (0..count).map(round).collect()
}

fn far(_: usize) -> Duration {
    Duration::from_millis(200)
}

#[test]
fn limit_grows_on_a_far_line() {
    let start = Instant::now();
    assert_eq!(
        rounds(&mut LatencyLimit::new(16), start, 4, far),
        [128, 256, 256, 256]
    );
    assert_eq!(
        rounds(&mut LatencyLimit::new(2), start, 3, far),
        [16, 32, 32]
    );
    assert_eq!(
        rounds(&mut LatencyLimit::new(256), start, 2, far),
        [1024, 1024]
    );
}

#[test]
fn limit_stays_where_answers_are_fast() {
    let near = |_: usize| Duration::from_millis(20);
    let limits = rounds(&mut LatencyLimit::new(16), Instant::now(), 4, near);
    assert_eq!(limits, [64; 4]);
}

#[test]
fn step_that_slows_answers_is_taken_back() {
    let (mut limit, start) = (LatencyLimit::new(16), Instant::now());
    // It answers 320 a second, however many ask.
    let busy = |requests: usize| Duration::from_secs_f64(requests as f64 / 320.0);
    assert_eq!(rounds(&mut limit, start, 4, busy), [128, 64, 64, 64]);
    let later = start + REST_AFTER_STEP + Duration::from_secs(1);
    assert_eq!(rounds(&mut limit, later, 2, far), [128, 256]);
}

#[test]
fn connections_and_tokens_do_not_count_as_slow() {
    let (mut limit, at) = (LatencyLimit::new(16), Instant::now());
    rounds(&mut limit, at, 1, far);
    for answer in 0..3 * 128 {
        let trips = if answer % 2 == 0 { 1 } else { 3 };
        limit.on_answer(trips * far(0), at);
    }
    assert_eq!(limit.current(), 256);
}

#[test]
fn refusal_halves_the_limit_and_ends_growth() {
    let (mut limit, start) = (LatencyLimit::new(16), Instant::now());
    rounds(&mut limit, start, 2, far);
    limit.on_refusal(start);
    limit.on_refusal(start + Duration::from_secs(1));
    assert_eq!(limit.current(), 128);
    assert_eq!(rounds(&mut limit, start, 3, far), [128; 3]);
    for cut in 1..9 {
        limit.on_refusal(start + cut * SETTLING);
    }
    assert_eq!(limit.current(), 16);
    let later = start + 9 * SETTLING + REST_AFTER_REFUSAL;
    assert_eq!(rounds(&mut limit, later, 2, far), [32, 64]);
}
