use crate::hedge::*;

const STALL: Duration = Duration::from_secs(30);

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A line on which answers came after this pause.
fn line(pause: Duration) -> LineMonitor {
    let line = LineMonitor::new(STALL);
    (0..5).for_each(|_| line.on_movement(WaitKind::Answer, pause));
    line
}

/// The silence of a wait while something moves every 200 ms for so many seconds, and how long it
/// took to notice it.
async fn silence_beside(line: &LineMonitor, moving: u64) -> (Silence, Duration) {
    let watch = line.watch(WaitKind::Answer);
    let others = async {
        for _ in 0..5 * moving {
            sleep(milliseconds(200)).await;
            line.on_movement(WaitKind::Received, milliseconds(200));
        }
    };
    let (silence, ()) = futures::join!(
        async {
            let silence = watch.silence().await;
            (silence, watch.lasted())
        },
        others
    );
    silence
}

#[tokio::test(start_paused = true)]
async fn dead_connection_is_noticed_while_others_move() {
    let line = line(milliseconds(1500));
    let (silence, after) = silence_beside(&line, 60).await;
    assert_eq!(silence, Silence::Dead);
    assert!(
        after >= milliseconds(4500) && after < milliseconds(5500),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn limit_has_a_floor() {
    let line = line(milliseconds(10));
    let (silence, after) = silence_beside(&line, 60).await;
    assert_eq!(silence, Silence::Dead);
    assert!(after >= FLOOR && after < FLOOR * 2, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_registry_is_never_hedged() {
    let line = line(milliseconds(12_000));
    let (silence, after) = silence_beside(&line, 60).await;
    assert_eq!(silence, Silence::Stalled(STALL));
    assert!(after >= STALL);
}

#[tokio::test(start_paused = true)]
async fn unknown_line_is_given_all_of_stall() {
    let line = LineMonitor::new(STALL);
    line.on_movement(WaitKind::Answer, milliseconds(10));
    let watch = line.watch(WaitKind::Answer);
    assert_eq!(watch.silence().await, Silence::Stalled(STALL));
}

#[tokio::test(start_paused = true)]
async fn standing_line_is_probed_by_one() {
    let line = line(milliseconds(10));
    let watches: Vec<_> = (0..16).map(|_| line.watch(WaitKind::Answer)).collect();
    let mut probes = 0;
    for _ in 0..4 * 29 {
        sleep(TICK).await;
        let judged = watches.iter().filter_map(SilenceWatch::judge);
        probes += judged.inspect(|s| assert_eq!(*s, Silence::Unknown)).count();
    }
    assert!((1..=4).contains(&probes), "{probes}");
}

#[tokio::test(start_paused = true)]
async fn outage_is_not_counted_as_silence() {
    let line = line(milliseconds(10));
    let watch = line.watch(WaitKind::Answer);
    sleep(Duration::from_secs(20)).await;
    line.on_movement(WaitKind::Received, milliseconds(10));
    // Only now it may be noticed, as others go on without it.
    assert_ne!(watch.judge(), Some(Silence::Dead));
}

#[tokio::test(start_paused = true)]
async fn hedges_are_a_share_of_requests() {
    let line = line(milliseconds(10));
    (0..210).for_each(|_| line.on_request());
    let watches: Vec<_> = (0..100).map(|_| line.watch(WaitKind::Answer)).collect();
    for _ in 0..40 {
        sleep(milliseconds(250)).await;
        line.on_movement(WaitKind::Received, milliseconds(10));
    }
    let hedges = watches.iter().filter_map(SilenceWatch::judge).count();
    assert_eq!(hedges, 14);
}

#[tokio::test(start_paused = true)]
async fn small_blob_is_compared_with_its_like() {
    let line = LineMonitor::new(STALL);
    let limit = |bytes| line.state.lock().limit(WaitKind::Stored(bytes));
    (0..5).for_each(|_| line.on_movement(WaitKind::Stored(2 << 20), milliseconds(2000)));
    assert_eq!(limit(1), Some(milliseconds(6000)));
    (0..5).for_each(|_| line.on_movement(WaitKind::Stored(1), milliseconds(1000)));
    assert_eq!(limit(1), Some(milliseconds(3000)));
    assert_eq!(limit(2 << 20), Some(milliseconds(6000)));
    assert_eq!(limit(1 << 30), None);
}

#[tokio::test(start_paused = true)]
async fn patience_doubles_limit() {
    let line = line(milliseconds(1000));
    let watch = || line.watch(WaitKind::Answer);
    let (once, twice) = (watch(), watch().with_patience(Some(2)));
    let never = watch().with_patience(None);
    for _ in 0..20 {
        sleep(milliseconds(200)).await;
        line.on_movement(WaitKind::Received, milliseconds(200));
    }
    assert_eq!(once.judge(), Some(Silence::Dead));
    assert_eq!(twice.judge(), None);
    for _ in 0..15 {
        sleep(milliseconds(200)).await;
        line.on_movement(WaitKind::Received, milliseconds(200));
    }
    assert_eq!(twice.judge(), Some(Silence::Dead));
    assert_eq!(never.judge(), None);
}
