//! Notices edits of `mirror.toml`, those of editors that write a new file and rename it included.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    device: u64,
    inode: u64,
    /// In seconds since 1970, and nanoseconds.
    modified: (i64, i64),
    size_bytes: u64,
}

impl FileFingerprint {
    /// That of what a path leads to now; none where that is nothing.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let file = fs::metadata(file).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            modified: (file.mtime(), file.mtime_nsec()),
            size_bytes: file.size(),
        })
    }
}

/// Watches the folder of the file, since what is renamed over the file is another file; and the
/// folder of what it stands for, if it is a link.
#[derive(Debug)]
pub(crate) struct Watch(
    #[expect(dead_code, reason = "watches until it is dropped")] RecommendedWatcher,
);

impl Watch {
    /// Starts to watch. Something may have changed whenever `changed` gets a message.
    pub(crate) fn start(file: &Path, changed: mpsc::Sender<()>) -> Result<Self, notify::Error> {
        let name = file.file_name().map(ToOwned::to_owned);
        let target = file.canonicalize().ok();
        let target = target.and_then(|target| target.file_name().map(ToOwned::to_owned));
        let is_meant = move |path: &PathBuf| {
            let last = path.file_name();
            // Links through `..data` are how directories of configs are replaced whole.
            let is_hidden = last.is_some_and(|last| last.to_string_lossy().starts_with(".."));
            is_hidden || last == name.as_deref() || last == target.as_deref()
        };
        let note = move |event: Result<Event, notify::Error>| {
            let is_other = event.is_ok_and(|event| {
                let is_access = matches!(event.kind, EventKind::Access(_));
                is_access || (!event.paths.is_empty() && !event.paths.iter().any(&is_meant))
            });
            if !is_other {
                // A message that waits already says all there is to say.
                let _ = changed.try_send(());
            }
        };
        let mut watcher = notify::recommended_watcher(note)?;
        for folder in folders(file) {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self(watcher))
    }
}

fn folders(file: &Path) -> Vec<PathBuf> {
    let folder = |file: &Path| match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut folders = vec![folder(file)];
    if let Ok(target) = file.canonicalize() {
        folders.push(folder(&target));
    }
    folders
}
