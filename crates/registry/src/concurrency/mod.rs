//! How many requests and transfers there are at a time.

pub(crate) mod adaptive_limit;
pub(crate) mod priority_semaphore;
