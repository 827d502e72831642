//! How a store is opened, found damaged, and kept small.

pub(crate) mod backup;
pub(crate) mod corruption;
pub(crate) mod preflight;
pub(crate) mod retention;
