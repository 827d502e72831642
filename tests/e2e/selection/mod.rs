//! Which tags and repositories are mirrored.

pub mod ages;
pub mod discovery;
pub mod tags;
