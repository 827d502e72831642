use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{PullDraw, PullGrant, PullSource, SharedAccounts};
use crate::{
    oci::Digest,
    probe::Quota,
    quota::{GRANT, PullQuota},
};

/// Grants the pulls of one registry to two processes.
#[derive(Debug)]
struct Pool(Mutex<PoolState>);

#[derive(Debug, Default)]
struct PoolState {
    /// What the registry reported last.
    remaining: u64,
    held: [u64; 2],
    is_away: bool,
}

/// One of the processes.
#[derive(Debug)]
struct Member {
    pool: Arc<Pool>,
    index: usize,
}

impl SharedAccounts for Member {
    fn draw(&self, draw: PullDraw) -> BoxFuture<'_, Option<PullGrant>> {
        async move {
            let mut pool = self.pool.0.lock();
            if pool.is_away {
                return None;
            }
            pool.remaining = pool.remaining.min(draw.quota.remaining);
            pool.held[self.index] = draw.held;
            let held: u64 = pool.held.iter().sum();
            let granted = pool.remaining.saturating_sub(held).min(draw.want);
            pool.held[self.index] += granted;
            let remaining = pool.remaining;
            Some(PullGrant { granted, remaining })
        }
        .boxed()
    }

    fn sharers(&self, _user: Option<&str>) -> u32 {
        2
    }
}

fn reported(remaining: u64) -> Quota {
    Quota {
        limit: Some(100),
        remaining,
        window: None,
    }
}

/// Two processes at a registry with so many pulls left.
fn processes(remaining: u64) -> (Arc<Pool>, [Arc<PullQuota>; 2]) {
    let state = PoolState {
        remaining,
        ..PoolState::default()
    };
    let pool = Arc::new(Pool(Mutex::new(state)));
    let quotas = [0, 1].map(|index| {
        let pool = pool.clone();
        let quota = Arc::new(PullQuota::shared(PullSource {
            accounts: Arc::new(Member { pool, index }),
            registry: "docker.io".parse().unwrap(),
            user: None,
        }));
        quota.update(reported(remaining), Instant::now());
        quota
    });
    (pool, quotas)
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn processes_share_one_quota() {
    let (_, quotas) = processes(25);
    let left = Mutex::new(25_i64);
    let pulling = quotas.each_ref().map(|quota| async {
        loop {
            let Ok(pull) = quota.pull().await else {
                return quota.settle().await;
            };
            let asked_at = Instant::now();
            tokio::task::yield_now().await;
            let now = {
                let mut left = left.lock();
                *left -= 1;
                *left
            };
            quota.update(reported(u64::try_from(now).unwrap_or(0)), asked_at);
            drop(pull);
        }
    });
    futures::future::join_all(pulling).await;
    assert_eq!(*left.lock(), 0);
}

#[tokio::test(start_paused = true)]
async fn image_begins_once_its_pulls_are_granted() {
    let (pool, [a, b]) = processes(GRANT + 5);
    let first = a.admit_image(&digest("first"), 1).await.unwrap();
    let second = digest("second");
    let mut waiting = Box::pin(b.admit_image(&second, 1));
    // Five pulls are enough to begin with if nobody else is at work here.
    let second = (&mut waiting).await.unwrap();
    assert_eq!(pool.0.lock().held, [GRANT, 5]);
    let third = digest("third");
    let mut waiting = Box::pin(b.admit_image(&third, 1));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(first);
    a.settle().await;
    drop(second);
    assert!(waiting.await.is_some());
}

#[tokio::test(start_paused = true)]
async fn without_answer_each_goes_by_its_own_count() {
    let (pool, [a, _]) = processes(3);
    pool.0.lock().is_away = true;
    for _ in 0..3 {
        drop(a.pull().await.unwrap());
    }
    assert!(a.admit_image(&digest("image"), 1).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn unused_pulls_are_given_back() {
    let (pool, [a, _]) = processes(50);
    let asked_at = Instant::now();
    let pull = a.pull().await.unwrap();
    assert_eq!(pool.0.lock().held, [GRANT, 0]);
    a.settle().await;
    assert_eq!(pool.0.lock().held, [GRANT, 0], "one pull is in flight");
    a.update(reported(49), asked_at);
    drop(pull);
    a.settle().await;
    assert_eq!(pool.0.lock().held, [0, 0]);
}
