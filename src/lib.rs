//! transship keeps container images mirrored: it compares what upstream registries and target
//! registries hold, and copies what is missing.
//!
//! A datum passes through `Config`, `Route`, `Snapshot`, `Plan`, a transfer and an outcome to the
//! store and the metrics. A module names only those that stand above it here.

pub use transship_registry as registry;
pub use transship_registry::oci;

pub mod locales;

pub mod config;

pub mod metrics;

pub mod telemetry;

pub mod store;

pub mod coordination;

pub mod sync;

pub mod inventory;

pub mod status;

pub mod alarms;

pub mod notify;

pub mod peers;

pub mod gateway;

pub mod web;

pub mod daemon;

pub mod cli;
