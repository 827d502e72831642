//! What the end-to-end tests share: registries, content to put into them, and the binary under test.

pub mod net;
pub mod programs;
pub mod registries;

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
