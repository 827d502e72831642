//! `transship serve`: its schedule, its faults, its metrics.

pub mod control;
pub mod coverage;
pub mod dashboard;
pub mod faults;
pub mod lag;
pub mod load;
pub mod outage;
pub mod process;
pub mod silence;
pub mod store_held;
pub mod verify;
