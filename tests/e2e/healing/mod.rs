//! Targets and stores that lost something.

pub mod faults;
pub mod losses;
