//! End-to-end tests: the binary against real registries and against a fake one that misbehaves on demand.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod cli;
mod cluster;
mod daemon;
mod gateway;
mod healing;
mod hostile;
mod limits;
mod notify;
mod prune;
mod resume;
mod selection;
mod source_quirks;
mod support;
mod sync;
mod target_quirks;
mod verify;
