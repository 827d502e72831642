//! Damaged stores: how one is known, ends the work, and is set aside for a new one.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{NaiveDateTime, Utc};
use parking_lot::Mutex;
use sqlx::SqliteConnection;
use tokio_util::sync::CancellationToken;

use crate::store::{Error, Store, private_file};

/// What SQLite keeps beside a store. The log goes first: a new store must never find an old log.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];
/// Beside a store that was found damaged: why it is to be set aside.
const MARK: &str = ".damaged";
/// When a store was set aside, in its name.
pub(crate) const MOMENT: &str = "%Y%m%d-%H%M%S";
/// A page of SQLite's, as it is made by default.
const PAGE: u64 = 4096;

/// Why a store can no longer be used; its readers and its writer share it.
#[derive(Clone, Debug)]
pub(crate) struct StoreFailure {
    path: PathBuf,
    first: Arc<Mutex<Option<Error>>>,
    stop: CancellationToken,
}

impl StoreFailure {
    pub(crate) fn new(path: &Path, stop: CancellationToken) -> Self {
        Self {
            path: path.into(),
            first: Arc::default(),
            stop,
        }
    }

    /// The file of the store.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the work is to end, for whatever reason.
    pub(crate) fn is_ending(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Ends the work.
    pub(crate) fn end(&self, error: Error) {
        tracing::error!(%error, "the store can no longer be used; no new transfers are started");
        if let Error::Damaged { reason, .. } = &error {
            mark(&self.path, reason);
        }
        let mut first = self.first.lock();
        first.get_or_insert(error);
        self.stop.cancel();
    }

    /// What ended the work.
    pub(crate) fn first(&self) -> Option<Error> {
        let first = self.first.lock();
        first.clone()
    }
}

/// Whether SQLite says that the file itself is wrong.
pub(crate) fn is_told_by(error: &sqlx::Error) -> bool {
    matches!(crate::store::primary_code(error), Some(11 | 26))
}

/// Has the next to open the store set it aside, even if it finds nothing wrong at first.
pub(crate) fn mark(path: &Path, reason: &str) {
    if let Err(error) = private_file::write(&beside(path, MARK), reason) {
        tracing::warn!(%error, "the damaged store could not be marked");
    }
}

/// Why the store is to be set aside, if it was found damaged before.
pub(crate) fn marked(path: &Path) -> Option<String> {
    fs::read_to_string(beside(path, MARK)).ok()
}

/// Whether the last to use the store did not close it, or still uses it.
pub(crate) fn is_left_open(path: &Path) -> bool {
    fs::metadata(beside(path, COMPANIONS[0])).is_ok_and(|log| log.len() > 0)
}

/// Whether the file is a text, which no store ever was: it is somebody's, and stays where it is.
pub(crate) fn is_text(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PAGE).read_to_end(&mut head));
    read.is_ok() && !head.is_empty() && !head.contains(&0)
}

/// What a look at every page finds first; nothing when all is well.
pub(crate) async fn first_fault(db: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let said: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(db)
        .await?;
    Ok((said != "ok").then_some(said))
}

/// Renames a store and what belongs to it; the name that it has now.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let now = Utc::now().format(MOMENT);
    let aside = beside(path, &format!("{MARK}-{now}"));
    rename_store(path, &aside)?;
    match fs::remove_file(beside(path, MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(aside),
    }
}

/// Renames a store with its log.
pub(crate) fn rename_store(path: &Path, to: &Path) -> io::Result<()> {
    for companion in COMPANIONS {
        match fs::rename(beside(path, companion), beside(to, companion)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, to)
}

impl Store {
    /// The names of the stores that were set aside here in a span of time.
    pub fn set_aside(&self, from: i64, to: i64) -> Vec<String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!("{name}{MARK}-");
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Who cannot list the folder gets no message, and loses nothing.
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let was_then = |name: &String| {
            let moment = name.strip_prefix(&prefix);
            let moment = moment.and_then(|m| NaiveDateTime::parse_from_str(m, MOMENT).ok());
            moment.is_some_and(|at| (from..to).contains(&at.and_utc().timestamp()))
        };
        let mut found: Vec<_> = names.filter(was_then).collect();
        found.sort_unstable();
        found
    }
}

/// The file of this suffix beside a store.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
