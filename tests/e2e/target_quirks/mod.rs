//! Registries as they are written to.

pub mod reads;
pub mod refusals;
pub mod storage;
pub mod uploads;
