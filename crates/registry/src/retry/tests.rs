use std::cell::Cell;

use crate::{Kind, Operation, retry::*};

const POLICY: RetryPolicy = RetryPolicy {
    attempts: 3,
    first_pause: Duration::from_secs(1),
};

fn error(kind: Kind) -> Error {
    let registry = "r.example.com".parse().unwrap();
    Error::new(Operation::PullManifest, "a:1", &registry, kind)
}

/// Runs an operation that fails `failures` times; how often it was tried, and whether it succeeded.
async fn tries(failures: u32, kind: Kind) -> (u32, bool) {
    let tried = Cell::new(0);
    let attempt = || {
        tried.set(tried.get() + 1);
        let result = match tried.get() > failures {
            true => Ok(()),
            false => Err(error(kind.clone())),
        };
        async move { result }
    };
    let result = POLICY.run(attempt).await;
    (tried.get(), result.is_ok())
}

#[tokio::test(start_paused = true)]
async fn retries_transient_errors_up_to_the_limit() {
    let transient = || Kind::Network("connection reset".into());
    assert_eq!(tries(0, transient()).await, (1, true));
    assert_eq!(tries(2, transient()).await, (3, true));
    assert_eq!(tries(3, transient()).await, (3, false));
}

#[tokio::test(start_paused = true)]
async fn final_errors_are_not_retried() {
    assert_eq!(tries(1, Kind::Denied("no".into())).await, (1, false));
}

#[test]
fn pauses_double_and_half_of_each_is_random() {
    let mut retries = POLICY.start();
    let mut within = |least: f64, most: f64| {
        let pause = retries.pause().unwrap().as_secs_f64();
        assert!((least..=most).contains(&pause), "{pause}");
    };
    within(0.5, 1.0);
    within(1.0, 2.0);
    assert_eq!(retries.pause(), None);
}

#[test]
fn progress_resets_the_attempts() {
    let mut retries = POLICY.start();
    assert!(retries.pause().is_some() && retries.pause().is_some());
    retries.reset();
    assert_eq!(retries.failed(), 0);
    assert!(retries.pause().is_some());
}
