//! The coordination of workers, against a real PostgreSQL.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod blobs;
mod claims;
mod configs;
mod database;
mod fences;
mod lag;
mod limits;
mod notices;
mod scale;
mod support;
