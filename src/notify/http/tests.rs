use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

fn throttled(seconds: u64) -> Error {
    Error::Throttled {
        said: "slow down".into(),
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

/// How often it was tried, how long that took, and how it ended.
async fn tried(error: impl Fn(u32) -> Result<(), Error>) -> (u32, Duration, Result<(), Error>) {
    let (patience, started) = (Patience::default(), Instant::now());
    let count = AtomicU32::new(0);
    let result = patience
        .persist(patience.deadline(), || {
            let result = error(count.fetch_add(1, Ordering::Relaxed));
            async move { result }
        })
        .await;
    (count.into_inner(), started.elapsed(), result)
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_three_times() {
    let (count, _, result) = tried(|_| Err(Error::Failed("502".into()))).await;
    assert_eq!((count, result), (3, Err(Error::Failed("502".into()))));
    let (count, _, result) = tried(|tried| match tried {
        0 => Err(Error::Unreachable("refused".into())),
        _ => Ok(()),
    })
    .await;
    assert_eq!((count, result), (2, Ok(())));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_tried_once() {
    let (count, waited, _) = tried(|_| Err(Error::Strange("a page".into()))).await;
    assert_eq!((count, waited), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_kept_unless_it_is_too_long() {
    let (count, waited, _) = tried(|tried| match tried {
        0 => Err(throttled(20)),
        _ => Ok(()),
    })
    .await;
    assert_eq!((count, waited), (2, Duration::from_secs(20)));
    let (count, waited, result) = tried(|_| Err(throttled(60))).await;
    assert_eq!((count, waited), (1, Duration::ZERO));
    assert_eq!(result, Err(throttled(60)));
}

#[tokio::test(start_paused = true)]
async fn silence_is_given_up_within_the_minute() {
    let (patience, started) = (Patience::default(), Instant::now());
    let silence = || std::future::pending();
    let result = patience.persist(patience.deadline(), silence).await;
    assert!(matches!(result, Err(Error::Silent(_))));
    assert!(started.elapsed() <= patience.total);
}
