//! How many requests and transfers run at a time, and how fast.

pub(crate) mod adaptive_limit;
pub(crate) mod latency_limit;
pub(crate) mod memory_budget;
pub(crate) mod once_map;
pub(crate) mod priority_semaphore;
pub(crate) mod rate_limit;
pub(crate) mod request_limits;
pub(crate) mod request_permits;
