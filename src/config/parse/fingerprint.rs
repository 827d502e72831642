//! Whether a file is another one than before.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// Distinguishes two states of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// In seconds since 1970, and nanoseconds.
    modified: (i64, i64),
    /// When content, owner or rights changed last: nobody can set it.
    changed: (i64, i64),
}

impl FileFingerprint {
    /// The fingerprint of the file that a path leads to; none if there is no file.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let file = fs::metadata(file).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size_bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}
