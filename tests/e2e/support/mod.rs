//! What the end-to-end tests share: registries, content to put into them, and the binary under test.

pub mod client;
pub mod corpus;
pub mod fake;
pub mod fake_answers;
pub mod fake_contents;
pub mod fake_tokens;
pub mod mail;
pub mod pair;
pub mod receiver;
pub mod registry;
pub mod requests;
mod self_tests;
pub mod skopeo;
pub mod transship;
pub mod tunnel;

use std::time::{Duration, Instant};

/// Waits until `condition` yields a value, and fails the test with `what` after ten seconds.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
