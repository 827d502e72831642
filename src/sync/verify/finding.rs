//! What verification found, as values that print and add up.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    metrics::FindingClass,
    oci::Digest,
    registry::{self, ErrorClass, Kind},
};

/// What is wrong with a tag of a target, or with something that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The tag is not there.
    MissingTag,
    /// The tag stands for another digest than was written.
    WrongDigest {
        /// What it stands for.
        found: Digest,
        /// What was written.
        expected: Digest,
    },
    /// The source has moved on since.
    Behind {
        /// What the source has.
        source: Digest,
    },
    /// A manifest that the tag leads to is not there.
    MissingChild(Digest),
    /// A manifest that cannot be read, or has wrong bytes.
    WrongManifest(Digest, String),
    /// A blob is not there.
    MissingBlob(Digest),
    /// A blob has another size than its descriptor says.
    WrongSize {
        /// Which one.
        blob: Digest,
        /// The size that it has.
        found: u64,
        /// What its descriptor says.
        expected: u64,
    },
    /// A blob's bytes are not what its digest says.
    WrongBytes(Digest),
    /// A registry could not be asked.
    Unreachable {
        /// The error's class.
        class: ErrorClass,
        /// The error.
        message: String,
    },
}

/// A fault, and the tag that it was found at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The tag, or the repository that could not be read at all.
    pub reference: String,
    /// What is wrong.
    pub fault: Fault,
    /// Whether a sync still copies the tag.
    pub is_mirrored: bool,
}

/// What verifying a mirror came to.
#[derive(Debug, Serialize)]
pub struct MirrorVerification {
    /// The mirror.
    pub name: Arc<str>,
    /// Tags that were written.
    pub tags: u64,
    /// Those of them of which everything could be asked.
    pub verified: u64,
    /// Blobs that were looked for, each once a repository.
    pub blobs: u64,
    /// Blobs whose bytes were read.
    pub read_blobs: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl MirrorVerification {
    /// Nothing so far.
    pub(crate) fn new(name: &Arc<str>) -> Self {
        Self {
            name: name.clone(),
            tags: 0,
            verified: 0,
            blobs: 0,
            read_blobs: 0,
            findings: Vec::new(),
        }
    }
}

impl Fault {
    /// A registry's failure.
    pub(crate) fn unreachable(error: &registry::Error) -> Self {
        Self::Unreachable {
            class: error.class(),
            message: error.to_string(),
        }
    }

    /// What a failure to read a blob of this size says of the blob.
    pub(crate) fn of_blob(error: &registry::Error, blob: &Digest) -> Self {
        match &*error.kind {
            Kind::NotFound(_) => Self::MissingBlob(blob.clone()),
            Kind::Mismatch { .. } => Self::WrongBytes(blob.clone()),
            Kind::Length {
                expected: said,
                found: served,
            }
            | Kind::Size { said, served } => Self::WrongSize {
                blob: blob.clone(),
                found: *served,
                expected: *said,
            },
            _ => Self::unreachable(error),
        }
    }

    /// What a failure to read a manifest says of the manifest.
    pub(crate) fn of_manifest(error: &registry::Error, manifest: &Digest) -> Self {
        match &*error.kind {
            Kind::Mismatch { .. } => {
                let text = "its bytes are not what its digest says".into();
                Self::WrongManifest(manifest.clone(), text)
            }
            Kind::Manifest(text) => Self::WrongManifest(manifest.clone(), text.clone()),
            _ => Self::unreachable(error),
        }
    }

    /// A closed set, for metrics and JSON.
    pub fn class(&self) -> FindingClass {
        match self {
            Self::MissingTag => FindingClass::MissingTag,
            Self::WrongDigest { .. } => FindingClass::WrongDigest,
            Self::Behind { .. } => FindingClass::Behind,
            Self::MissingChild(_) => FindingClass::MissingChild,
            Self::WrongManifest(..) => FindingClass::WrongManifest,
            Self::MissingBlob(_) => FindingClass::MissingBlob,
            Self::WrongSize { .. } => FindingClass::WrongSize,
            Self::WrongBytes(_) => FindingClass::WrongBytes,
            Self::Unreachable { .. } => FindingClass::Unreachable,
        }
    }

    /// Whether the target has something missing or wrong, which the next run copies again.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Behind { .. } | Self::Unreachable { .. })
    }

    /// What it takes to put it right, where the tag is still mirrored.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Behind { .. } => "the next sync copies it",
            Self::Unreachable {
                class: ErrorClass::Auth,
                ..
            } => "check the registry's login in mirror.toml",
            Self::Unreachable {
                class: ErrorClass::Denied,
                ..
            } => "check the name, and what the account may do there",
            Self::Unreachable { .. } => "verify again; what was verified stays so",
            Self::WrongBytes(_) | Self::WrongSize { .. } => {
                "the next sync sends the blob again, and fails if the target keeps what it has: \
                 then delete the blob in the target's storage"
            }
            _ => "the next sync copies it again",
        }
    }

    /// The content that it is about, where it is not the tag.
    pub(crate) fn subject(&self) -> Option<&Digest> {
        match self {
            Self::MissingChild(digest)
            | Self::WrongManifest(digest, _)
            | Self::MissingBlob(digest)
            | Self::WrongSize { blob: digest, .. }
            | Self::WrongBytes(digest) => Some(digest),
            _ => None,
        }
    }
}

impl Finding {
    /// What it takes to put it right.
    pub fn remedy(&self) -> &'static str {
        match self.fault.is_damage() && !self.is_mirrored {
            true => {
                "no sync copies it again, because it is no longer mirrored; delete the tag, or leave it"
            }
            false => self.fault.remedy(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTag => f.write_str("the tag is not there"),
            Self::WrongDigest { found, expected } => {
                write!(f, "it is {found}, and {expected} was written")
            }
            Self::Behind { source } => write!(f, "the source has {source} by now"),
            Self::MissingChild(digest) => write!(f, "the manifest {digest} is not there"),
            Self::WrongManifest(digest, text) => write!(f, "the manifest {digest}: {text}"),
            Self::MissingBlob(digest) => write!(f, "the blob {digest} is not there"),
            Self::WrongSize {
                blob,
                found,
                expected,
            } => write!(f, "the blob {blob} has {found} bytes, not {expected}"),
            Self::WrongBytes(digest) => write!(f, "the bytes of the blob {digest} are wrong"),
            Self::Unreachable { message, .. } => f.write_str(message),
        }
    }
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("reference", &self.reference)?;
        map.serialize_entry("class", self.fault.class().as_str())?;
        if let Some(digest) = self.fault.subject() {
            map.serialize_entry("digest", digest)?;
        }
        if let Fault::Unreachable { class, .. } = &self.fault {
            map.serialize_entry("error_class", class)?;
        }
        map.serialize_entry("message", &self.fault.to_string())?;
        map.serialize_entry("remedy", self.remedy())?;
        map.end()
    }
}
