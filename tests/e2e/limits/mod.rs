//! Quotas, rate limits and traffic budgets.

pub mod quota;
pub mod rate_limit;
pub mod traffic;
