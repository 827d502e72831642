//! Transfers that break and processes that are killed.

pub mod crashes;
pub mod refusals;
pub mod uploads;
