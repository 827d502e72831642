//! Lag: how far a mirror is behind its source, between two bounds.

/// The lag of one mirror at one target, in seconds. The upstream is only ever polled, so that the
/// truth lies between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Since the first check that saw a difference which is not mirrored yet; 0 in sync.
    pub at_least: i64,
    /// Since the start of the last check that proved everything equal, if there was one.
    pub at_most: Option<i64>,
}

impl Lag {
    /// The lag at `now`, from what the store keeps; all in seconds since 1970.
    pub fn at(now: i64, lagging_since: Option<i64>, last_in_sync: Option<i64>) -> Self {
        Self {
            at_least: lagging_since.map_or(0, |since| (now - since).max(0)),
            at_most: last_in_sync.map(|proved| (now - proved).max(0)),
        }
    }
}

#[cfg(test)]
mod tests;
