//! One `[[mirror]]` entry: which repositories and tags it takes, and where they go.

pub(crate) mod discovery;
pub(crate) mod entry;
pub(crate) mod from;
pub(crate) mod path;
pub(crate) mod patterns;
pub(crate) mod placement;
pub(crate) mod platforms;
pub(crate) mod prune;
pub(crate) mod rename;
pub(crate) mod selectors;
pub(crate) mod tag_glob;
