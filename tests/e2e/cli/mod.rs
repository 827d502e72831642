//! The command line: mistakes, answers, exit statuses.

pub mod bad_input;
pub mod coverage;
pub mod explain;
pub mod first_steps;
pub mod import;
pub mod online;
pub mod setup;
pub mod status_and_plan;
