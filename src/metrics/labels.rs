//! Labels that are closed sets.

/// How a run of a mirror ended at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncLabel {
    /// Everything is equal.
    Ok,
    /// Some actions failed.
    Partial,
    /// Everything failed.
    Failed,
    /// It was cut off.
    Interrupted,
    /// It did not start, because the one before was still running.
    Skipped,
}

impl SyncLabel {
    /// The results of a run that came to its own end.
    pub(crate) const ENDED: [Self; 3] = [Self::Ok, Self::Partial, Self::Failed];

    /// The text of the label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Skipped => "skipped",
        }
    }
}

/// What verification can find at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are enough")]
pub enum FindingClass {
    MissingTag,
    WrongDigest,
    Behind,
    MissingChild,
    WrongManifest,
    MissingBlob,
    WrongSize,
    WrongBytes,
    Unreachable,
}

impl FindingClass {
    /// Every class.
    pub(crate) const ALL: [Self; 9] = [
        Self::MissingTag,
        Self::WrongDigest,
        Self::Behind,
        Self::MissingChild,
        Self::WrongManifest,
        Self::MissingBlob,
        Self::WrongSize,
        Self::WrongBytes,
        Self::Unreachable,
    ];

    /// The text of the label, and of `class` in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingTag => "missing_tag",
            Self::WrongDigest => "wrong_digest",
            Self::Behind => "behind",
            Self::MissingChild => "missing_child",
            Self::WrongManifest => "wrong_manifest",
            Self::MissingBlob => "missing_blob",
            Self::WrongSize => "wrong_size",
            Self::WrongBytes => "wrong_bytes",
            Self::Unreachable => "unreachable",
        }
    }
}
