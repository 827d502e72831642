//! Why a message did not arrive, and what to do about it. No secret is in it.

use std::time::Duration;

/// A message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or one that broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("it gave no answer in {}", humantime::format_duration(*.0))]
    Silent(Duration),
    /// Too many messages.
    #[error("it asks to slow down: {said}")]
    Throttled {
        /// Its words.
        said: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// It failed, and may not the next time.
    #[error("it failed: {0}")]
    Failed(String),
    /// It does not want the message.
    #[error("it refused the message: {said}")]
    Refused {
        /// Its words.
        said: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It answered like something else.
    #[error("it answered as something else would: {0}")]
    Strange(String),
    /// The configuration of the channel cannot be used.
    #[error("it cannot be set up: {0}")]
    Unusable(String),
}

impl Error {
    /// Whether the same message sent again may arrive.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Throttled { .. } | Self::Failed(_) => {
                true
            }
            Self::Refused { .. } | Self::Strange(_) | Self::Unusable(_) => false,
        }
    }

    /// How long it asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "check the host in its `url`, and the way there; HTTPS_PROXY is used for all but mail"
            }
            Self::Silent(_) | Self::Failed(_) => "try again later",
            Self::Throttled { .. } => {
                "send it less: fewer topics in `on`, or fewer `mirrors`; then try again later"
            }
            Self::Refused { remedy, .. } => remedy,
            Self::Strange(_) => "check that its `url` is the address that the service gave out",
            Self::Unusable(_) => "check its table in mirror.toml",
        }
    }

    /// The same error with its text changed.
    pub(crate) fn map_words(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Unreachable(said) => Self::Unreachable(change(said)),
            Self::Silent(wait) => Self::Silent(wait),
            Self::Throttled { said, retry_after } => Self::Throttled {
                said: change(said),
                retry_after,
            },
            Self::Failed(said) => Self::Failed(change(said)),
            Self::Refused { said, remedy } => Self::Refused {
                said: change(said),
                remedy,
            },
            Self::Strange(said) => Self::Strange(change(said)),
            Self::Unusable(said) => Self::Unusable(change(said)),
        }
    }
}
