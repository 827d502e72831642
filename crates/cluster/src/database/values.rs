//! How numbers and spans cross to PostgreSQL, which has neither unsigned ones nor `Duration`.

use std::time::Duration;

/// A century: longer than any span that means something, and far from where `interval` overflows.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A count for a `bigint`, at most the largest.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count out of a `bigint`, at least 0.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A span for `make_interval(secs => …)`.
pub(crate) fn seconds(span: Duration) -> f64 {
    span.min(LONGEST).as_secs_f64()
}

/// A span out of `EXTRACT(epoch FROM …)`, at least 0.
pub(crate) fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests;
