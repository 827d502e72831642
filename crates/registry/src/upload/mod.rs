//! Blobs on their way into a registry.

pub(crate) mod body;
pub(crate) mod capabilities;
pub(crate) mod chunks;
pub(crate) mod session;
pub(crate) mod stall_watchdog;
