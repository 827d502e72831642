//! What has become different for the worse or the better.

pub(crate) mod alarm;
pub(crate) mod state;
