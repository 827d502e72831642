//! Who writes to targets by one store: so that no process takes the uploads of another for left
//! behind, nor deletes what another has just found.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use crate::store::{Store, private_file};

/// Beside the store: whoever writes shares it, and whoever deletes digests holds it exclusively.
const WRITING: &str = ".writing";
/// Beside the store: whoever has it keeps its uploads in the store, and resumes those there.
const UPLOADS: &str = ".uploads";
/// How often is looked whether another process has deleted its digests.
const POLL: Duration = Duration::from_millis(50);

/// This process among those that use the store. The system lets go of its locks however it ends.
#[derive(Debug)]
pub struct Presence {
    store: PathBuf,
    state: Mutex<LockState>,
}

#[derive(Debug, Default)]
struct LockState {
    /// Repositories that runs of this process write to, each once a run.
    runs: usize,
    /// Deletions of this process that need it exclusively.
    deletions: usize,
    writing: Option<File>,
    uploads: Option<File>,
}

/// As long as it lives, no other process writes.
#[derive(Debug)]
pub struct ExclusivePresence<'a>(&'a Presence);

impl Store {
    /// This process among those that use the store; it does nothing yet.
    pub fn presence(&self) -> Presence {
        Presence {
            store: self.path.clone(),
            state: Mutex::default(),
        }
    }
}

impl Presence {
    /// Begins to write, until [`Self::leave`]; waits while another process deletes digests.
    pub async fn enter(&self) {
        while !self.try_enter() {
            tokio::time::sleep(POLL).await;
        }
    }

    fn try_enter(&self) -> bool {
        let mut state = self.lock();
        if state.writing.is_none() {
            match open(&self.store, WRITING, File::try_lock_shared) {
                Ok(Some(file)) => state.writing = Some(file),
                Ok(None) => return false,
                Err(error) => tracing::warn!(%error, "other processes do not see that this writes"),
            }
        }
        state.runs += 1;
        true
    }

    /// Ends what [`Self::enter`] began.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.runs = state.runs.saturating_sub(1);
        state.settle();
    }

    /// Whether the uploads in the store are this process's to go on with, and to write down. Once
    /// they are, they stay so while it writes.
    pub fn keeps_uploads(&self) -> bool {
        self.lock().keeps_uploads(&self.store)
    }

    /// Keeps others from writing; `None` while another process writes, or deletes itself.
    pub fn exclusive(&self) -> Option<ExclusivePresence<'_>> {
        let mut state = self.lock();
        if state.deletions == 0 {
            // One process at a time tries for it, so that those who fail have theirs back at once.
            let is_alone = state.keeps_uploads(&self.store) && state.shut_others_out(&self.store);
            if !is_alone {
                state.settle();
                return None;
            }
        }
        state.deletions += 1;
        Some(ExclusivePresence(self))
    }

    fn lock(&self) -> MutexGuard<'_, LockState> {
        self.state.lock()
    }
}

impl LockState {
    fn keeps_uploads(&mut self, store: &Path) -> bool {
        if self.uploads.is_none() {
            self.uploads = open(store, UPLOADS, File::try_lock).unwrap_or_else(|error| {
                tracing::warn!(%error, "no upload is gone on with");
                None
            });
        }
        self.uploads.is_some()
    }

    fn shut_others_out(&mut self, store: &Path) -> bool {
        match &self.writing {
            Some(file) => file.try_lock().is_ok(),
            None => {
                self.writing = open(store, WRITING, File::try_lock).unwrap_or_default();
                self.writing.is_some()
            }
        }
    }

    /// Lets go of what is needed no more. Whoever tried to hold it exclusively shares again.
    fn settle(&mut self) {
        if self.deletions > 0 {
            return;
        }
        if self.runs == 0 {
            (self.writing, self.uploads) = (None, None);
        } else if let Some(Err(error)) = self.writing.as_ref().map(File::lock_shared) {
            tracing::warn!(%error, "other processes do not see that this writes");
        }
    }
}

impl Drop for ExclusivePresence<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.deletions = state.deletions.saturating_sub(1);
        state.settle();
    }
}

/// A file beside the store, locked; `None` where another process has it.
fn open(
    store: &Path,
    suffix: &str,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> io::Result<Option<File>> {
    let path = format!("{}{suffix}", store.display());
    let file = private_file::open(Path::new(&path))?;
    match lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
