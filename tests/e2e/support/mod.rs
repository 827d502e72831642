//! What the end-to-end tests share: registries, content to put into them, and the binary under test.

pub mod bulk;
pub mod client;
pub mod corpus;
pub mod daemon;
pub mod fake;
pub mod fake_answers;
pub mod fake_contents;
pub mod fake_tokens;
pub mod faults;
pub mod held;
pub mod http;
pub mod link;
mod link_tests;
pub mod mail;
pub mod pair;
pub mod plenty;
pub mod prometheus;
pub mod receiver;
pub mod registry;
pub mod requests;
mod self_tests;
pub mod server;
pub mod skopeo;
pub mod supervisor;
pub mod transship;
pub mod tunnel;
pub mod vitals;

use std::time::{Duration, Instant};

/// How long a daemon on a busy machine may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long whoever waits for a daemon lets it work between two questions.
pub const PAUSE: Duration = Duration::from_millis(40);

/// Waits until `condition` yields a value, and fails the test with `what` after ten seconds.
pub fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    let pause = Duration::from_millis(5);
    let found = wait_until(Duration::from_secs(10), pause, condition);
    found.unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Waits until `condition` yields a value, if it does so in time; it is asked again after each `pause`.
pub fn wait_until<T>(
    limit: Duration,
    pause: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let found = condition();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        std::thread::sleep(pause);
    }
}
