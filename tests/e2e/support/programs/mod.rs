//! The programs under test and around them.

pub mod daemon;
pub mod gateway;
pub mod many_mirrors;
pub mod pair;
pub mod postgres;
pub mod process_stats;
pub mod prometheus;
pub mod skopeo;
pub mod store_clock;
pub mod supervisor;
pub mod transship;
