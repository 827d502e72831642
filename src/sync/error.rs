//! Why an action of a run failed.

use crate::registry::ErrorClass;
use crate::{oci::RegistryName, registry, store};

/// An action that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A registry failed, or refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The source's index names what the source does not serve.
    #[error("{error}")]
    Withdrawn {
        /// What is missing, and which key leaves it out.
        error: registry::Error,
        /// Whether it is an attestation.
        is_attestation: bool,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What the source has is not mirrored: it has no place at the target, or the selection is
    /// outside of its guards.
    #[error("{0}")]
    Refused(String),
    /// The budget of traffic does not allow it.
    #[error("{message}")]
    Budget {
        /// Why, and until when.
        message: String,
        /// The registry that it was for.
        target: RegistryName,
    },
    /// A signal stopped the run.
    #[error("interrupted: the next run continues")]
    Interrupted,
}

impl Error {
    /// The error's class: a closed set, for metrics and JSON.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Registry(error) | Self::Withdrawn { error, .. } => error.class(),
            Self::Store(_) => ErrorClass::Store,
            Self::Refused(_) => ErrorClass::Refused,
            Self::Budget { .. } => ErrorClass::Budget,
            Self::Interrupted => ErrorClass::Interrupted,
        }
    }

    /// The registry that it is about; empty where it is about none.
    pub fn registry(&self) -> &str {
        match self {
            Self::Registry(error) | Self::Withdrawn { error, .. } => error.registry.as_str(),
            Self::Budget { target, .. } => target.as_str(),
            Self::Store(_) | Self::Refused(_) | Self::Interrupted => "",
        }
    }
}
