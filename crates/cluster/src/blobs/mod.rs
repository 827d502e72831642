//! What workers share of blobs: uploads that go on, large ones in flight, and suspect content.

pub(crate) mod flight;
pub(crate) mod suspect;
pub(crate) mod upload;

use crate::Worker;

/// A blob in a repository of a target registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobKey {
    /// The registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The digest.
    pub digest: String,
}

/// Uploads, large blobs and suspect content, as the workers share them.
#[derive(Clone, Debug)]
pub struct SharedBlobs {
    worker: Worker,
}

impl SharedBlobs {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }
}
