//! Manifests and blobs, as they are read and deleted.

pub(crate) mod blob_pull;
pub(crate) mod blob_source;
pub(crate) mod deletions;
pub(crate) mod image_config;
pub(crate) mod manifests;
pub(crate) mod range_count;
pub(crate) mod ranges;
pub(crate) mod referrers;
