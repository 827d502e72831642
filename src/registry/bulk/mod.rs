//! Digests and push times of many tags at once, from registries that tell them.

mod uploads;

use crate::oci::{Digest, Tag};

pub(super) use uploads::Uploads;

/// What a registry tells of one tag in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The tag.
    pub(super) tag: Tag,
    /// Its digest, where that is told.
    pub(super) digest: Option<Digest>,
    /// When it was pushed, in seconds since 1970.
    pub(super) at: Option<i64>,
}
