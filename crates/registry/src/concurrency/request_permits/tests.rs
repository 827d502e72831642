use futures::{FutureExt as _, future::join_all};

use crate::concurrency::request_permits::*;

#[tokio::test]
async fn cut_takes_permits_back_as_they_return() {
    let permits = RequestPermits::new(1);
    let held = join_all((0..4).map(|_| permits.acquire())).await;
    assert!(permits.acquire().now_or_never().is_none());
    permits.on_refusal();
    drop(held);
    assert_eq!(permits.permits.available_permits(), 2);
}

#[tokio::test]
async fn cut_takes_free_permits_at_once() {
    let permits = RequestPermits::new(1);
    let held = permits.acquire().await;
    permits.on_refusal();
    assert_eq!(permits.permits.available_permits(), 1);
    drop(held);
    assert_eq!(permits.permits.available_permits(), 2);
}
