//! Blobs: one download for any number of clients, and the target's own.

mod body;
pub(crate) mod download;
mod serve;
mod window;
