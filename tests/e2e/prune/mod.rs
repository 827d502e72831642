//! `prune`: what is deleted, and what never is.

pub mod needed;
pub mod steps;
pub mod whole;
