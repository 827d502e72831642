use super::*;

fn page(bytes: usize) -> Response<Body> {
    Response::new(Body::from(vec![b'x'; bytes]))
}

#[tokio::test(start_paused = true)]
async fn unread_answers_are_bounded() {
    let budget = UnreadBudget::new(100 << 10);
    let first = budget.count(page(60 << 10)).await.unwrap();
    let second = budget.count(page(60 << 10)).await;
    assert!(second.is_none());
    let small = budget.count(page(16 << 10)).await;
    assert!(small.is_some());
    // Its bytes count until they are dropped, not only until the body has ended.
    let bytes = to_bytes(first.into_body(), usize::MAX).await.unwrap();
    let third = budget.count(page(60 << 10)).await;
    assert!(third.is_none());
    drop(bytes);
    let fourth = budget.count(page(60 << 10)).await;
    assert!(fourth.is_some());
}

#[tokio::test(start_paused = true)]
async fn answer_waits_until_another_is_read() {
    let budget = UnreadBudget::new(100 << 10);
    let first = budget.count(page(60 << 10)).await;
    let read = async {
        tokio::time::sleep(PATIENCE / 2).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(budget.count(page(60 << 10)), read);
    assert!(second.is_some());
}
