//! Commands that change targets, or say what would change.

pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod prune;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod sync;
pub(crate) mod verify;
