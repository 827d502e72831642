//! Registries that mean harm, and secrets that must not leave.

pub mod attack;
pub mod gateway;
pub mod health_watch;
pub mod http2;
pub mod identity;
pub mod listings;
pub mod manifests;
pub mod redirects;
pub mod secrets;
