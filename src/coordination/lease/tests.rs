use std::{
    future::{pending, poll_fn},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use super::{Lease, LeaseClock, LeaseEnd, REQUEST_RESERVE};

const TERM: Duration = Duration::from_secs(60);

fn lease() -> (Arc<LeaseClock>, CancellationToken, Lease) {
    let (clock, revoked) = (Arc::new(LeaseClock::new(TERM)), CancellationToken::new());
    let lease = Lease::limited(clock.clone(), revoked.clone());
    (clock, revoked, lease)
}

#[tokio::test(start_paused = true)]
async fn unlimited_lease_never_ends() {
    let lease = Lease::unlimited();
    advance(TERM * 1000).await;
    assert!(lease.covers_request());
    assert!(lease.admits_tag().await);
    assert_eq!(lease.run_until_lost(async { 1 }).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn no_request_begins_near_the_end() {
    let (clock, _, lease) = lease();
    advance(TERM - REQUEST_RESERVE * 2).await;
    assert!(lease.covers_request());
    advance(Duration::from_secs(1)).await;
    assert!(!lease.covers_request());
    clock.set(TERM);
    assert!(lease.covers_request());
}

#[tokio::test(start_paused = true)]
async fn cuts_work_before_the_end() {
    let (_, _, lease) = lease();
    let began = Instant::now();
    assert_eq!(lease.run_until_lost(pending::<()>()).await, None);
    let lasted = began.elapsed();
    assert!(
        lasted <= TERM && lasted >= TERM - REQUEST_RESERVE * 2,
        "{lasted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn renewed_lease_lets_work_continue() {
    let (clock, _, lease) = lease();
    let renewing = async {
        for _ in 0..20 {
            tokio::time::sleep(TERM / 4).await;
            clock.set(TERM);
        }
    };
    assert_eq!(lease.run_until_lost(renewing).await, Some(()));
}

#[tokio::test(start_paused = true)]
async fn revoked_lease_cuts_work() {
    let (_, revoked, lease) = lease();
    let revoking = async {
        revoked.cancel();
        pending::<()>().await;
    };
    assert_eq!(lease.run_until_lost(revoking).await, None);
    assert!(!lease.covers_request());
}

#[tokio::test(start_paused = true)]
async fn work_is_not_polled_after_the_end() {
    let (_, _, lease) = lease();
    advance(TERM).await;
    let work = poll_fn::<(), _>(|_| panic!("the lease is over"));
    assert_eq!(lease.run_until_lost(work).await, None);
}

#[tokio::test(start_paused = true)]
async fn successor_waits_before_its_first_tag() {
    let clock = Arc::new(LeaseClock::new(TERM * 2));
    let lease = Lease::new(clock, CancellationToken::new(), TERM, None);
    let began = Instant::now();
    assert!(lease.admits_tag().await);
    assert!(began.elapsed() >= TERM);
}

#[tokio::test(start_paused = true)]
async fn suspended_machine_loses_its_lease() {
    let end = LeaseEnd {
        monotonic: Instant::now() + TERM,
        of_day: SystemTime::now() - TERM,
    };
    assert_eq!(end.left(), Duration::ZERO);
}
