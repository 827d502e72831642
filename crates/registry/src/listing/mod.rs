//! Which repositories and tags there are.

pub(crate) mod catalog;
pub(crate) mod json;
pub(crate) mod pagination;
pub(crate) mod tags;
