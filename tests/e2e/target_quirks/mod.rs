//! Registries as they are written to.

pub mod refusals;
pub mod uploads;
