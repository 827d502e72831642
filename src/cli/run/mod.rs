//! Commands that change targets, or say what would change, and those that a daemon heeds.

pub(crate) mod mute;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod prune;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod sync;
pub(crate) mod trigger;
pub(crate) mod verify;
