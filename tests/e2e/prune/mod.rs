//! `prune`: what is deleted, and what never is.

mod months;
pub mod needed;
pub mod steps;
pub mod whole;
