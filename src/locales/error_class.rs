//! Error classes, and what helps against each, in every language.

use crate::{locales::Language, registry::ErrorClass};

/// The text of a class in a section that has one for each.
macro_rules! text_of {
    ($words:expr, $class:expr) => {{
        let words = $words;
        match $class {
            ErrorClass::Auth => words.auth,
            ErrorClass::Blocked => words.blocked,
            ErrorClass::Budget => words.budget,
            ErrorClass::Certificate => words.certificate,
            ErrorClass::Denied => words.denied,
            ErrorClass::DigestMismatch => words.digest_mismatch,
            ErrorClass::DiskFull => words.disk_full,
            ErrorClass::Interrupted => words.interrupted,
            ErrorClass::Kept => words.kept,
            ErrorClass::Limit => words.limit,
            ErrorClass::Manifest => words.manifest,
            ErrorClass::Network => words.network,
            ErrorClass::NotFound => words.not_found,
            ErrorClass::Protocol => words.protocol,
            ErrorClass::Quota => words.quota,
            ErrorClass::ReadOnly => words.read_only,
            ErrorClass::Refused => words.refused,
            ErrorClass::Rejected => words.rejected,
            ErrorClass::Server => words.server,
            ErrorClass::Stalled => words.stalled,
            ErrorClass::StorageQuota => words.storage_quota,
            ErrorClass::Store => words.store,
            ErrorClass::Throttled => words.throttled,
            ErrorClass::Truncated => words.truncated,
        }
    }};
}

impl Language {
    /// The name of a class.
    pub(crate) fn class(self, class: ErrorClass) -> &'static str {
        text_of!(&self.words().class, class)
    }

    /// What helps against errors of a class.
    pub(crate) fn remedy(self, class: ErrorClass) -> &'static str {
        text_of!(&self.words().remedy, class)
    }

    /// An error's message for people. Messages are in English, and name what helps. In another
    /// language, the class stands before the message and what helps behind it.
    pub(crate) fn error(self, class: Option<ErrorClass>, message: &str) -> String {
        match (self, class) {
            (Self::English, _) | (_, None) => message.to_owned(),
            (_, Some(class)) => {
                let words = &self.words().alarm;
                words.error(self.class(class), message, self.remedy(class))
            }
        }
    }
}
