//! What is to be done about a tag of a target, and why.

use crate::registry::ErrorClass;
use std::fmt;

use serde::Serialize;

use crate::{oci::Digest, store::Verdict};

/// What is to be done.
#[derive(Debug, Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    /// Copy the image.
    Copy {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
    },
    /// Write only the tag: the repository holds the image, or will by then.
    Retag {
        /// Why.
        #[serde(flatten)]
        reason: Reason,
        /// The digest that the target holds it under, where that is known.
        written: Option<Digest>,
    },
    /// Leave it.
    Skip {
        /// Why.
        reason: Unchanged,
    },
    /// Nothing can be done.
    Fail {
        /// The error's class.
        class: ErrorClass,
        /// The error.
        message: String,
        /// The registry that it is about.
        #[serde(skip)]
        registry: String,
    },
}

/// Why a tag is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It was never mirrored.
    New,
    /// It moved at the source.
    Moved {
        /// The digest that was mirrored last.
        from: Digest,
    },
    /// The target no longer has it.
    Lost,
    /// Somebody else moved it at the target.
    Overwritten {
        /// The digest found there.
        found: Digest,
    },
    /// Other parts of the image are wanted than were written.
    Shape,
    /// Verification found something of it missing or wrong.
    Damaged,
    /// The target fails when it is asked what it has.
    Unreadable {
        /// The error.
        error: String,
    },
}

/// Why a tag is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unchanged {
    /// The source has not moved since it was mirrored.
    Unchanged,
    /// The target was asked, and has what the source has.
    Verified,
}

impl Action {
    /// What the check found.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Skip { .. } => Verdict::Equal,
            // The source has not moved.
            Self::Copy {
                reason: Reason::Unreadable { .. },
            }
            | Self::Retag {
                reason: Reason::Unreadable { .. },
                ..
            } => Verdict::Unknown,
            Self::Copy { .. } | Self::Retag { .. } => Verdict::Differs,
            Self::Fail { .. } => Verdict::Unknown,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { reason } => write!(f, "copy: {reason}"),
            Self::Retag { reason, .. } => write!(f, "retag: {reason}"),
            Self::Skip {
                reason: Unchanged::Unchanged,
            } => f.write_str("skip: unchanged"),
            Self::Skip {
                reason: Unchanged::Verified,
            } => f.write_str("skip: the target has it"),
            Self::Fail { message, .. } => write!(f, "fail: {message}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("not mirrored yet"),
            Self::Moved { from } => write!(f, "moved at the source, was {}", from.short()),
            Self::Lost => f.write_str("the target no longer has it"),
            Self::Overwritten { found } => write!(f, "the target has {}", found.short()),
            Self::Shape => f.write_str("other platforms or attestations are wanted"),
            Self::Unreadable { error } => write!(f, "the target fails at it: {error}"),
            Self::Damaged => f.write_str("something of it is missing or wrong at the target"),
        }
    }
}
