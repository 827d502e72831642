use crate::quota::*;

const HOUR: Duration = Duration::from_secs(3600);

fn docker_hub(remaining: u64) -> Quota {
    Quota {
        limit: Some(100),
        remaining,
        window: Some(6 * HOUR),
    }
}

fn is_waiting<T>(poll: &std::task::Poll<T>) -> bool {
    poll.is_pending()
}

#[tokio::test]
async fn a_registry_that_tells_nothing_limits_nothing() {
    let quota = Arc::<PullQuota>::default();
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(quota.pull().await.unwrap());
    }
}

#[tokio::test]
async fn last_pull_is_given_once() {
    let quota = Arc::<PullQuota>::default();
    quota.update(docker_hub(1), Instant::now());
    let last = quota.pull().await.unwrap();
    let mut next = Box::pin(quota.pull());
    assert!(is_waiting(&futures::poll!(&mut next)));
    // The answer tells that there is one left after all.
    quota.update(docker_hub(1), Instant::now());
    drop(last);
    drop(next.await.unwrap());
    quota.update(docker_hub(0), Instant::now());
    match quota.pull().await {
        Err(Kind::Quota(text)) => {
            assert!(text.contains("100 pulls in 6h"), "{text}");
            assert!(text.contains("tried in 36m"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_quota_is_tried_again_by_one_pull_at_a_time() {
    let quota = Arc::<PullQuota>::default();
    quota.update(docker_hub(0), Instant::now());
    assert!(quota.pull().await.is_err());
    tokio::time::advance(Duration::from_secs(36 * 60)).await;
    let probe = quota.pull().await.unwrap();
    quota.update(docker_hub(0), Instant::now());
    drop(probe);
    assert!(quota.pull().await.is_err());
    // Any answer may tell that there are pulls again, that to a HEAD too.
    quota.update(docker_hub(7), Instant::now());
    assert!(quota.pull().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_overtaken_speaks_for_no_more_pulls() {
    let quota = Arc::<PullQuota>::default();
    quota.update(docker_hub(2), Instant::now());
    let (first, asked_at) = (quota.pull().await.unwrap(), Instant::now());
    let second = quota.pull().await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    quota.update(docker_hub(0), asked_at);
    drop(second);
    quota.update(docker_hub(1), asked_at);
    drop(first);
    assert!(quota.pull().await.is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    quota.update(docker_hub(1), Instant::now());
    assert!(quota.pull().await.is_ok());
}

#[tokio::test]
async fn a_refusal_without_a_number_ends_the_pulls() {
    let quota = Arc::<PullQuota>::default();
    quota.pull_refused();
    assert!(quota.pull().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn unnumbered_refusal_holds_until_a_pull() {
    let quota = Arc::<PullQuota>::default();
    let before = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    quota.pull_refused();
    quota.pull_granted(before);
    assert!(quota.pull().await.is_err());
    tokio::time::advance(PAUSE_WITHOUT_WINDOW).await;
    let (probe, asked_at) = (quota.pull().await.unwrap(), Instant::now());
    assert!(is_waiting(&futures::poll!(Box::pin(quota.pull()))));
    quota.pull_granted(asked_at);
    drop(probe);
    let both = [quota.pull().await.unwrap(), quota.pull().await.unwrap()];
    drop(both);
}
