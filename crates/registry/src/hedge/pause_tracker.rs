//! The longest pause that living connections showed lately.

use std::time::Duration;

/// How long a pause counts, in time in which the line moves. It counts for twice as long at most.
const WINDOW: Duration = Duration::from_secs(10);
/// Pauses that have to be known before anything follows from them.
const ENOUGH: u32 = 5;

/// The longest pause of the last one or two windows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PauseTracker {
    longest: Duration,
    longest_before: Duration,
    /// Pauses of this window.
    count: u32,
    /// Whether a whole window is known, or enough of the first one.
    is_known: bool,
    window_began: Duration,
}

impl PauseTracker {
    /// Counts a pause that ended. `at` is the time in which the line moved so far.
    pub(crate) fn record(&mut self, pause: Duration, at: Duration) {
        if self.count >= ENOUGH && at >= self.window_began + WINDOW {
            (self.longest_before, self.longest) = (self.longest, Duration::ZERO);
            (self.count, self.window_began) = (0, at);
        }
        self.longest = self.longest.max(pause);
        self.count = self.count.saturating_add(1);
        self.is_known |= self.count >= ENOUGH;
    }

    /// The longest pause; `None` while too few are known.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.is_known.then(|| self.longest.max(self.longest_before))
    }
}

#[cfg(test)]
mod tests;
