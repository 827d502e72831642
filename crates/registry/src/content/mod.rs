//! Manifests and blobs, as they are read and deleted.

pub(crate) mod blob_pull;
pub(crate) mod blob_source;
pub(crate) mod deletions;
pub(crate) mod image_config;
pub(crate) mod manifests;
pub(crate) mod referrers;
