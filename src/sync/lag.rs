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
mod tests {
    use super::*;

    #[test]
    fn in_sync_is_zero_however_long_ago_it_was_proved() {
        assert_eq!(
            Lag::at(1000, None, Some(400)),
            Lag {
                at_least: 0,
                at_most: Some(600)
            }
        );
    }

    #[test]
    fn the_oldest_difference_counts() {
        assert_eq!(
            Lag::at(1000, Some(700), None),
            Lag {
                at_least: 300,
                at_most: None
            }
        );
    }

    #[test]
    fn a_clock_set_back_is_no_negative_lag() {
        assert_eq!(
            Lag::at(1000, Some(1500), Some(1500)),
            Lag {
                at_least: 0,
                at_most: Some(0)
            }
        );
    }
}
