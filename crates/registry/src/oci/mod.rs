//! The vocabulary of container registries, without any I/O.

mod digest;
mod manifest;
mod platform;
mod reference;

pub use digest::{Digest, Hasher};
pub(crate) use manifest::WITHDRAWN_MEDIA_TYPES;
pub use manifest::{
    ACCEPTED_MEDIA_TYPES, Content, Descriptor, EntryKind, IMAGE_INDEX_MEDIA_TYPE, Manifest,
    ManifestError,
};
pub use platform::{ARCHITECTURES, Platform, SYSTEMS};
pub use reference::{NameError, Reference, RegistryName, Repository, Tag, Version, parse_image};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
