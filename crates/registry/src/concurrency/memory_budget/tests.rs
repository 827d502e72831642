use crate::concurrency::memory_budget::*;

fn budget() -> MemoryBudget {
    MemoryBudget::new("answers", 1 << 20)
}

#[tokio::test(start_paused = true)]
async fn small_holders_draw_nothing() {
    let budget = budget();
    let all: Vec<_> = (0..100).map(|_| budget.reserve()).collect();
    for holder in &all {
        holder.cover(FREE).await.unwrap();
    }
    assert_eq!(budget.steps.available_permits(), 1 << 10);
}

#[tokio::test(start_paused = true)]
async fn holders_that_wait_for_each_other_are_refused_in_time() {
    let budget = budget();
    let (one, other) = (budget.reserve(), budget.reserve());
    one.cover(FREE + (512 << 10)).await.unwrap();
    other.cover(FREE + (512 << 10)).await.unwrap();
    let more = FREE + (600 << 10);
    let (first, second) = tokio::join!(one.cover(more), other.cover(more));
    assert!(matches!(first, Err(Kind::Limit(_))), "{first:?}");
    assert!(matches!(second, Err(Kind::Limit(_))), "{second:?}");
    drop(one);
    other.cover(more).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn memory_is_given_back_with_the_last_clone() {
    let budget = budget();
    let drawn = budget.reserve();
    drawn.cover(FREE + (1 << 20)).await.unwrap();
    let bytes = DrawnBytes {
        bytes: b"some".to_vec(),
        drawn,
    };
    let bytes = bytes.freeze();
    let clone = bytes.clone();
    drop(bytes);
    assert_eq!(budget.steps.available_permits(), 0);
    assert_eq!(&clone[..], b"some");
    drop(clone);
    assert_eq!(budget.steps.available_permits(), 1 << 10);
}

#[tokio::test(start_paused = true)]
async fn more_than_all_is_refused_at_once() {
    let drawn = budget().reserve();
    let refused = drawn.cover(3 << 20).await;
    assert!(matches!(refused, Err(Kind::Limit(_))), "{refused:?}");
}

#[test]
fn tokens_are_kept_until_their_memory_is_used_up() {
    let budgets = MemoryBudgets::default();
    let kept = std::iter::from_fn(|| budgets.keep_token(16 << 10));
    let kept: Vec<_> = kept.take(100_000).collect();
    assert_eq!(kept.len(), TOKENS / (16 << 10));
    drop(kept);
    assert!(budgets.keep_token(1).is_some());
}
