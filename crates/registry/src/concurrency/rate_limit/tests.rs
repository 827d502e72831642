use futures::future::join_all;

use crate::{Error, concurrency::rate_limit::*};

fn bandwidth(bytes_per_second: u64) -> Option<Bandwidth> {
    NonZeroU64::new(bytes_per_second).map(Bandwidth::constant)
}

fn process_limits(bandwidth: Option<Bandwidth>) -> Arc<ProcessLimits> {
    let process_limits = ProcessLimits::default();
    process_limits.bandwidth_limiter.set(bandwidth);
    Arc::new(process_limits)
}

fn rate_limiter(own: Option<Bandwidth>, of_all: Option<Bandwidth>) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new(None, own, process_limits(of_all)))
}

fn body(frames: usize, length: usize) -> BlobStream {
    let frame = Bytes::from(vec![7; length]);
    let frames = (0..frames).map(move |_| Ok::<_, Error>(frame.clone()));
    stream::iter(frames).boxed()
}

async fn drain(bytes: BlobStream) -> usize {
    let frames: Vec<Bytes> = bytes.try_collect().await.unwrap();
    frames.iter().map(Bytes::len).sum()
}

#[test]
fn late_turns_are_made_up_for() {
    let queue = FairQueue::new(Duration::from_millis(100));
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let reserve = |ms, length| {
        let delay = queue.reserve(at(ms), Duration::from_millis(length));
        delay.as_millis()
    };
    assert_eq!(reserve(0, 50), 0);
    assert_eq!(reserve(0, 50), 50);
    assert_eq!(reserve(10, 50), 90);
    // The turn was free at 150; who comes 20 late takes it from there on.
    assert_eq!(reserve(170, 50), 0);
    assert_eq!(reserve(170, 50), 30);
    // Long silence is not made up for beyond the credit.
    assert_eq!(reserve(10_000, 150), 0);
    assert_eq!(reserve(10_000, 50), 50);
}

#[tokio::test(start_paused = true)]
async fn rate_holds_for_any_number_of_flows() {
    let rate_limiter = rate_limiter(bandwidth(1_000_000), None);
    let started = Instant::now();
    let flows =
        (0..10).map(|_| drain(rate_limiter.throttle(Direction::Received, body(50, 10_000))));
    let moved: usize = join_all(flows).await.into_iter().sum();
    assert_eq!(moved, 5_000_000);
    let took = started.elapsed().as_secs_f64();
    assert!((4.8..5.1).contains(&took), "{took}");
    assert_eq!(rate_limiter.process_limits.traffic.take(), (0, 5_000_000));
    assert_eq!(rate_limiter.process_limits.traffic.take(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn flows_share_a_rate_alike() {
    let rate_limiter = rate_limiter(bandwidth(1_000_000), None);
    let flows = (0..4).map(|_| async {
        drain(rate_limiter.throttle(Direction::Sent, body(100, 10_000))).await;
        Instant::now()
    });
    let ends = join_all(flows).await;
    let spread = *ends.iter().max().unwrap() - *ends.iter().min().unwrap();
    assert!(spread < Duration::from_millis(100), "{spread:?}");
}

#[tokio::test(start_paused = true)]
async fn total_rate_is_shared() {
    let process_limits = process_limits(bandwidth(1_000_000));
    let quick = || {
        Arc::new(RateLimiter::new(
            None,
            bandwidth(100_000_000),
            process_limits.clone(),
        ))
    };
    let (source, target) = (quick(), quick());
    let started = Instant::now();
    futures::join!(
        drain(source.throttle(Direction::Received, body(100, 10_000))),
        drain(target.throttle(Direction::Sent, body(100, 10_000))),
    );
    let took = started.elapsed().as_secs_f64();
    assert!((1.8..2.1).contains(&took), "{took}");
    assert_eq!(process_limits.traffic.take(), (1_000_000, 1_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_many_seconds_passes_in_slices() {
    let rate_limiter = rate_limiter(bandwidth(1_000), None);
    let mut throttled_frames = rate_limiter.throttle(Direction::Sent, body(1, 10_000));
    let (mut last, mut moved) = (Instant::now(), 0);
    while let Some(slice) = throttled_frames.try_next().await.unwrap() {
        assert!(last.elapsed() < Duration::from_millis(300));
        (last, moved) = (Instant::now(), moved + slice.len());
    }
    assert_eq!(moved, 10_000);
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_second_still_moves() {
    let rate_limiter = rate_limiter(bandwidth(1), None);
    let started = Instant::now();
    assert_eq!(
        drain(rate_limiter.throttle(Direction::Sent, body(1, 5))).await,
        5
    );
    assert!(started.elapsed() >= Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_changes_holds_from_the_next_slice_on() {
    let rate_limiter = rate_limiter(None, bandwidth(1_000));
    let mut throttled_frames = rate_limiter.throttle(Direction::Sent, body(1, 1_000_000));
    throttled_frames.try_next().await.unwrap();
    rate_limiter.process_limits.bandwidth_limiter.set(None);
    let started = Instant::now();
    drain(throttled_frames).await;
    assert!(started.elapsed() < Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_frames_pass_as_they_are() {
    let frames: Vec<Bytes> = rate_limiter(None, None)
        .throttle(Direction::Sent, body(3, 1_000_000))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(frames.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_go_out_at_their_rate_in_the_order_of_asking() {
    let rate_limiter = RateLimiter::new(Some(0.5), None, process_limits(None));
    let started = Instant::now();
    let order = Mutex::new(Vec::new());
    let asked = (0..4).map(|at| {
        let (rate_limiter, order) = (&rate_limiter, &order);
        async move {
            rate_limiter.request().await;
            order.lock().push((at, started.elapsed().as_secs()));
        }
    });
    join_all(asked).await;
    let order = order.into_inner();
    assert_eq!(order, [(0, 0), (1, 2), (2, 4), (3, 6)]);
}

#[derive(Debug)]
struct Three;

impl RateSharers for Three {
    fn count(&self) -> u32 {
        3
    }
}

#[tokio::test(start_paused = true)]
async fn shared_rate_is_divided() {
    let rate_limiter = RateLimiter::new(Some(1.0), None, process_limits(None));
    let rate_limiter = rate_limiter.shared_by(Some(Three));
    let started = Instant::now();
    for _ in 0..3 {
        rate_limiter.request().await;
    }
    assert_eq!(started.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiter_frees_its_turn() {
    let rate_limiter = Arc::new(RateLimiter::new(Some(1.0), None, process_limits(None)));
    rate_limiter.request().await;
    let short = Duration::from_millis(1);
    assert!(
        tokio::time::timeout(short, rate_limiter.request())
            .await
            .is_err()
    );
    let started = Instant::now();
    rate_limiter.request().await;
    assert!(started.elapsed() <= Duration::from_secs(2));
}
