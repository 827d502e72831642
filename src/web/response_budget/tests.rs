use super::*;

fn page(bytes: usize) -> Response {
    vec![b'x'; bytes].into_response()
}

#[tokio::test(start_paused = true)]
async fn unread_answers_are_bounded() {
    let budget = ResponseBudget::new(100 << 10);
    let first = budget.count(page(60 << 10)).await;
    assert_eq!(first.status(), StatusCode::OK);
    let second = budget.count(page(60 << 10)).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    let small = budget.count(page(16 << 10)).await;
    assert_eq!(small.status(), StatusCode::OK);
    // Its bytes count until they are dropped, not only until the body has ended.
    let bytes = to_bytes(first.into_body(), usize::MAX).await.unwrap();
    let third = budget.count(page(60 << 10)).await;
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(bytes);
    let fourth = budget.count(page(60 << 10)).await;
    assert_eq!(fourth.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn answer_waits_until_another_is_read() {
    let budget = ResponseBudget::new(100 << 10);
    let first = budget.count(page(60 << 10)).await;
    let read = async {
        tokio::time::sleep(PATIENCE / 2).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(budget.count(page(60 << 10)), read);
    assert_eq!(second.status(), StatusCode::OK);
}
