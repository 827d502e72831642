use std::cell::Cell;

use tokio::time::sleep;

use crate::upload::stall_watchdog::*;

const STALL: Duration = Duration::from_secs(30);
const UPLOAD: UploadLength = UploadLength {
    sent: 1000,
    stored: 1000,
};

fn line() -> LineMonitor {
    let line = LineMonitor::new(STALL);
    for kind in [WaitKind::Sent, WaitKind::Stored(1000)] {
        (0..5).for_each(|_| line.on_movement(kind, Duration::from_millis(10)));
    }
    line
}

/// A watchdog whose connection accepted so many bytes.
fn watchdog(sent: u64) -> StallWatchdog {
    let watchdog = StallWatchdog::default();
    watchdog.is_sending.store(true, Ordering::Relaxed);
    watchdog.sent.store(sent, Ordering::Relaxed);
    watchdog
}

/// The seconds until the silence of an upload ended, and the probes that were sent.
async fn silence(sent: u64, patience: Option<u32>, is_alive: bool) -> (u64, u32) {
    let (line, began, probes) = (line(), Instant::now(), Cell::new(0));
    let probe = || async {
        probes.set(probes.get() + 1);
        is_alive
    };
    let watchdog = watchdog(sent);
    watchdog.silence(UPLOAD, &line, patience, probe).await;
    (began.elapsed().as_secs(), probes.get())
}

#[tokio::test(start_paused = true)]
async fn probe_tells_dead_connection_from_dead_line() {
    assert_eq!(silence(10, Some(1), true).await, (2, 1));
    assert_eq!(silence(1000, Some(1), true).await, (2, 1));
    let (seconds, probes) = silence(10, Some(1), false).await;
    assert_eq!(seconds, 30);
    assert!((1..=4).contains(&probes), "{probes}");
}

#[tokio::test(start_paused = true)]
async fn without_patience_only_stall_ends_it() {
    assert_eq!(silence(10, None, true).await, (30, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_source_is_no_silence() {
    let (line, watchdog) = (line(), watchdog(10));
    watchdog.is_waiting.store(true, Ordering::Relaxed);
    let silence = watchdog.silence(UPLOAD, &line, Some(1), || async { true });
    let waited = tokio::time::timeout(Duration::from_secs(600), silence);
    assert!(waited.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn large_blob_may_be_stored_for_longer() {
    let (line, watchdog, began) = (line(), watchdog(0), Instant::now());
    let upload = UploadLength {
        sent: 0,
        stored: 1 << 30,
    };
    (0..5).for_each(|_| line.on_movement(WaitKind::Stored(1 << 30), Duration::from_secs(1)));
    watchdog
        .silence(upload, &line, Some(1), || async { true })
        .await;
    assert_eq!(began.elapsed().as_secs(), 256 + 3);
}

#[tokio::test(start_paused = true)]
async fn moving_body_never_stalls() {
    let (line, watchdog) = (line(), watchdog(0));
    let moves = async {
        for _ in 0..100 {
            sleep(Duration::from_secs(1)).await;
            watchdog.sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let silence = watchdog.silence(UPLOAD, &line, Some(1), || async { true });
    futures::pin_mut!(moves, silence);
    let ended = futures::future::select(moves, silence).await;
    assert!(matches!(ended, futures::future::Either::Left(_)));
}
