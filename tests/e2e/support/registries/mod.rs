//! Registries, real ones and a fake one, and content to put into them.

pub mod bulk;
pub mod client;
pub mod corpus;
pub mod fake;
pub mod fake_answers;
pub mod fake_contents;
pub mod fake_tokens;
pub mod faults;
pub mod registry;
pub mod requests;
mod self_tests;
