//! transship keeps container images mirrored: it compares what upstream registries and target
//! registries hold, and copies what is missing.
//!
//! A datum passes through `Config`, `Route`, `Snapshot`, `Plan`, a transfer and an `Outcome` to
//! the store and the metrics; each module names only those listed above it.

pub mod oci;

pub mod config;

pub mod metrics;

pub mod telemetry;

pub mod registry;

pub mod store;
