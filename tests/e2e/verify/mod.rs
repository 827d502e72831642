//! `verify`: what it finds, and what the next run repairs.

pub mod deep;
pub mod findings;
