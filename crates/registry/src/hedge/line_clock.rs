//! A clock that stands still while nothing moves on the line.

use std::time::Duration;

use tokio::time::Instant;

/// The line stands still after so long without a movement. One movement shows no more than this:
/// after an outage, the first byte does not make up for it.
const STEP: Duration = Duration::from_secs(1);

/// Time in which something moved on the line, whatever connection it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineClock {
    moving: Duration,
    last: Option<Instant>,
}

impl LineClock {
    /// Something moved.
    pub(crate) fn on_movement(&mut self, at: Instant) {
        let since = self
            .last
            .map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        self.moving += since.min(STEP);
        self.last = Some(at);
    }

    /// Whether nothing moved for a while.
    pub(crate) fn stands_still(&self, at: Instant) -> bool {
        self.last
            .is_none_or(|last| at.saturating_duration_since(last) >= STEP)
    }

    /// The time in which the line moved so far.
    pub(crate) fn now(&self) -> Duration {
        self.moving
    }
}
