use futures::future::join_all;

use crate::{Error, rate_limit::*};

fn bandwidth(bytes_per_second: u64) -> Option<Bandwidth> {
    NonZeroU64::new(bytes_per_second).map(Bandwidth::constant)
}

fn whole(bandwidth: Option<Bandwidth>) -> Arc<ProcessLimits> {
    let whole = ProcessLimits::default();
    whole.lane.set(bandwidth);
    Arc::new(whole)
}

fn pace(own: Option<Bandwidth>, of_all: Option<Bandwidth>) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::new(None, own, whole(of_all)))
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
fn turns_follow_one_another_and_what_was_late_is_made_up_for() {
    let turns = FairQueue::new(Duration::from_millis(100));
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let reserve = |ms, length| {
        let delay = turns.reserve(at(ms), Duration::from_millis(length));
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
async fn bytes_take_the_time_that_their_rate_says_however_many_flows_there_are() {
    let pace = pace(bandwidth(1_000_000), None);
    let started = Instant::now();
    let flows = (0..10).map(|_| drain(pace.keep(Direction::Received, body(50, 10_000))));
    let moved: usize = join_all(flows).await.into_iter().sum();
    assert_eq!(moved, 5_000_000);
    let took = started.elapsed().as_secs_f64();
    assert!((4.8..5.1).contains(&took), "{took}");
    assert_eq!(pace.whole.traffic.take(), (0, 5_000_000));
    assert_eq!(pace.whole.traffic.take(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn flows_share_a_rate_alike() {
    let pace = pace(bandwidth(1_000_000), None);
    let flows = (0..4).map(|_| async {
        drain(pace.keep(Direction::Sent, body(100, 10_000))).await;
        Instant::now()
    });
    let ends = join_all(flows).await;
    let spread = *ends.iter().max().unwrap() - *ends.iter().min().unwrap();
    assert!(spread < Duration::from_millis(100), "{spread:?}");
}

#[tokio::test(start_paused = true)]
async fn both_directions_and_all_registries_share_the_rate_of_all() {
    let whole = whole(bandwidth(1_000_000));
    let quick = || {
        Arc::new(RateLimiter::new(
            None,
            bandwidth(100_000_000),
            whole.clone(),
        ))
    };
    let (source, target) = (quick(), quick());
    let started = Instant::now();
    futures::join!(
        drain(source.keep(Direction::Received, body(100, 10_000))),
        drain(target.keep(Direction::Sent, body(100, 10_000))),
    );
    let took = started.elapsed().as_secs_f64();
    assert!((1.8..2.1).contains(&took), "{took}");
    assert_eq!(whole.traffic.take(), (1_000_000, 1_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_many_seconds_passes_in_slices() {
    let pace = pace(bandwidth(1_000), None);
    let mut paced = pace.keep(Direction::Sent, body(1, 10_000));
    let (mut last, mut moved) = (Instant::now(), 0);
    while let Some(slice) = paced.try_next().await.unwrap() {
        assert!(last.elapsed() < Duration::from_millis(300));
        (last, moved) = (Instant::now(), moved + slice.len());
    }
    assert_eq!(moved, 10_000);
}

#[tokio::test(start_paused = true)]
async fn one_byte_a_second_still_moves() {
    let pace = pace(bandwidth(1), None);
    let started = Instant::now();
    assert_eq!(drain(pace.keep(Direction::Sent, body(1, 5))).await, 5);
    assert!(started.elapsed() >= Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_changes_holds_from_the_next_slice_on() {
    let pace = pace(None, bandwidth(1_000));
    let mut paced = pace.keep(Direction::Sent, body(1, 1_000_000));
    paced.try_next().await.unwrap();
    pace.whole.lane.set(None);
    let started = Instant::now();
    drain(paced).await;
    assert!(started.elapsed() < Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_frames_pass_as_they_are() {
    let frames: Vec<Bytes> = pace(None, None)
        .keep(Direction::Sent, body(3, 1_000_000))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(frames.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_go_out_at_their_rate_in_the_order_of_asking() {
    let pace = RateLimiter::new(Some(0.5), None, whole(None));
    let started = Instant::now();
    let order = Mutex::new(Vec::new());
    let asked = (0..4).map(|at| {
        let (pace, order) = (&pace, &order);
        async move {
            pace.request().await;
            order
                .lock()
                .unwrap()
                .push((at, started.elapsed().as_secs()));
        }
    });
    join_all(asked).await;
    let order = order.into_inner().unwrap();
    assert_eq!(order, [(0, 0), (1, 2), (2, 4), (3, 6)]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_holds_nobody_up_for_longer_than_a_turn() {
    let pace = Arc::new(RateLimiter::new(Some(1.0), None, whole(None)));
    pace.request().await;
    let short = Duration::from_millis(1);
    assert!(tokio::time::timeout(short, pace.request()).await.is_err());
    let started = Instant::now();
    pace.request().await;
    assert!(started.elapsed() <= Duration::from_secs(2));
}
