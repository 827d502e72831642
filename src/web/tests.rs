//! What the pages and the API answer, asked of the router with a real store behind it.

mod api;
pub(crate) mod bench;
mod browser;
mod connections;
mod escaping;
mod guard;
mod mirror;
mod moving;
mod overview;
mod report;
mod search;
mod visitors;
