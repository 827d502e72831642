//! Commands that show what is known.

pub(crate) mod coverage;
pub(crate) mod explain;
pub(crate) mod report;
pub(crate) mod status;
