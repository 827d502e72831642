//! How many requests may be hedged: a share of all, so that a slow registry gets no flood of them.

/// Hedges for each request.
const SHARE: f64 = 0.05;
/// Hedges before the first request.
const FIRST: f64 = 4.0;
/// Hedges that may be saved up.
const MOST: f64 = 16.0;

/// Hedges that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HedgeBudget(f64);

impl Default for HedgeBudget {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl HedgeBudget {
    /// Counts a request.
    pub(crate) fn on_request(&mut self) {
        self.0 = (self.0 + SHARE).min(MOST);
    }

    /// Whether one more hedge is left. It is spent then.
    pub(crate) fn spend(&mut self) -> bool {
        let is_left = self.0 >= 1.0;
        if is_left {
            self.0 -= 1.0;
        }
        is_left
    }
}
