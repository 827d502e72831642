use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};

use super::RequestLimits;

const SIZE: u64 = 1 << 20;

#[tokio::test]
async fn blob_that_was_read_leaves_its_place_to_the_next() {
    let limits = RequestLimits::new(1);
    let frames = ["two", "frames"].map(|text| Ok(Bytes::from(text)));
    // It goes on without end, as a body whose end nobody asks for.
    let bytes = stream::iter(frames).chain(stream::pending()).boxed();
    let mut bytes = limits.push(SIZE).await.until_read(9, bytes);
    bytes.next().await;
    assert!(limits.push(SIZE).now_or_never().is_none());
    bytes.next().await;
    assert!(limits.push(SIZE).now_or_never().is_some());
}

#[tokio::test]
async fn blob_that_broke_leaves_its_place_to_the_next() {
    let limits = RequestLimits::new(1);
    let bytes = stream::iter([Ok(Bytes::from("few"))]).boxed();
    let mut bytes = limits.push(SIZE).await.until_read(9, bytes);
    while bytes.next().await.is_some() {}
    assert!(limits.push(SIZE).now_or_never().is_some());
}
