//! Copies of the store: made while a daemon writes, and put back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::Utc;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::store::{Error, Store, lifecycle::corruption, open_error, private_file};

/// Beside a store: the copy that takes its place next.
const RESTORING: &str = ".restoring";
/// Beside a store: what a copy took the place of, with the moment.
const REPLACED: &str = ".replaced";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("no store at {path}", path = .0.display())]
    NoStore(PathBuf),
    /// The file is there already, and is not overwritten.
    #[error("{path} exists already", path = .0.display())]
    Exists(PathBuf),
    /// A file cannot be written, renamed or read.
    #[error("cannot write {path}: {error}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The copy is damaged.
    #[error("the backup {path} is damaged: {reason}", path = .path.display())]
    Damaged {
        /// The copy.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// SQLite refuses.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Store {
    /// Copies the store at `path` to the new file `copy`, as it stands at one moment
    /// ([VACUUM INTO](https://www.sqlite.org/lang_vacuum.html#vacuuminto)); a daemon may go on
    /// writing. Returns the size of the copy in bytes.
    pub async fn back_up(path: &Path, copy: &Path) -> Result<u64, BackupError> {
        if Self::open_existing(path).await?.is_none() {
            return Err(BackupError::NoStore(path.into()));
        }
        if copy.exists() {
            return Err(BackupError::Exists(copy.into()));
        }
        let made = copy_database(path, copy).await;
        if made.is_err() {
            // Half a copy would be taken for a whole one.
            let _ = fs::remove_file(copy);
        }
        made
    }

    /// Puts a copy that [`Self::back_up`] made in the place of the store at `path`. The store that
    /// was there is renamed; its new name is returned. Nobody may have the store open.
    pub async fn restore(copy: &Path, path: &Path) -> Result<Option<PathBuf>, BackupError> {
        if Self::open_existing(copy).await?.is_none() {
            return Err(BackupError::NoStore(copy.into()));
        }
        if let Some(reason) = fault(copy).await? {
            let path = copy.into();
            return Err(BackupError::Damaged { path, reason });
        }
        let fresh = corruption::beside(path, RESTORING);
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |error| BackupError::File { path, error }
        };
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(&fresh)(error));
            }
            _ => {}
        }
        copy_database(copy, &fresh).await?;
        let replaced = match path.exists() {
            true => {
                let moment = Utc::now().format(corruption::MOMENT);
                let aside = corruption::beside(path, &format!("{REPLACED}-{moment}"));
                corruption::rename_store(path, &aside).map_err(file_error(&aside))?;
                Some(aside)
            }
            false => None,
        };
        fs::rename(&fresh, path).map_err(file_error(path))?;
        Ok(replaced)
    }
}

/// Writes what `from` holds into the new file `to`, whose size is returned.
async fn copy_database(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let file_error = |error| BackupError::File {
        path: to.into(),
        error,
    };
    // SQLite writes into an empty file, and keeps its permissions.
    private_file::open(to).map_err(file_error)?;
    let as_open_error = |e: sqlx::Error| open_error(from, &e);
    let mut database = connect(from).await.map_err(as_open_error)?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.to_string_lossy());
    let copied = copied.execute(&mut database).await;
    // The copy is whole by now, or the error of the copy counts.
    let _ = database.close().await;
    copied.map_err(|e| open_error(to, &e))?;
    fs::File::open(to)
        .and_then(|file| file.sync_all().and_then(|()| file.metadata()))
        .map(|metadata| metadata.len())
        .map_err(file_error)
}

async fn fault(path: &Path) -> Result<Option<String>, Error> {
    let as_open_error = |e: sqlx::Error| open_error(path, &e);
    let mut database = connect(path).await.map_err(as_open_error)?;
    let found = corruption::first_fault(&mut database).await;
    // It was only read.
    let _ = database.close().await;
    found.map_err(as_open_error)
}

async fn connect(path: &Path) -> Result<sqlx::SqliteConnection, sqlx::Error> {
    let is_at_rest = !corruption::beside(path, "-wal").exists();
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(is_at_rest)
        .busy_timeout(crate::store::BUSY_TIMEOUT)
        .disable_statement_logging();
    options.connect().await
}

#[cfg(test)]
mod tests;
