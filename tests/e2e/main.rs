//! End-to-end tests: the binary against real registries and against a fake one that misbehaves on demand.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod ages;
mod auth_server;
mod bad_input;
mod bulk;
mod bulk_interfaces;
mod company;
mod crashes;
mod credentials;
mod daemon;
mod daemon_control;
mod daemon_faults;
mod daemon_process;
mod dashboard;
mod discovery;
mod explain;
mod faults;
mod first_steps;
mod healing;
mod healing_faults;
mod helpers;
mod hostile_listings;
mod hostile_manifests;
mod hostile_ways;
mod import;
mod load;
mod lossy_link;
mod mended;
mod mended_runs;
mod network;
mod notify_command;
mod online;
mod pacing;
mod paging;
mod prune;
mod prune_needed;
mod quota;
mod reading_blobs;
mod reading_lists;
mod reading_logins;
mod reading_manifests;
mod referrers;
mod renaming;
mod resume;
mod resume_refusals;
mod secrets;
mod selection;
mod status_and_plan;
mod store_held;
mod support;
mod sync_copies;
mod sync_requests;
mod traffic;
mod verify;
mod verify_daemon;
mod verify_deep;
mod writing_refusals;
mod writing_rows;
