//! Which processes use a store.

pub(crate) mod process;
pub(crate) mod process_lock;
