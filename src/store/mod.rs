//! The only code that holds SQL: what is known of target repositories, tags and runs.

mod change;
mod daily;
mod fact;
mod pages;
mod prune;
mod recorder;
mod run;
mod standing;
mod traffic;
mod upload;
mod verification;
mod view;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqlitePool,
    migrate::MigrateError,
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use tokio_util::sync::CancellationToken;

pub use change::{Change, ChangeKind, NewChange};
pub use daily::{AlarmRecord, Sums, Upkeep};
pub use fact::{Fact, TagKey, Verdict};
pub use pages::MirrorTag;
pub use prune::Pruning;
pub use recorder::Recorder;
pub use run::{EndedRun, RunCounts, TargetCounts};
pub use standing::{RunRecord, Standing, TargetStanding};
pub use traffic::Moved;
pub use upload::UploadState;
pub use verification::{Check, Reading, WrittenTag};
pub use view::{BehindTag, RepositoryState, TagRecord};

/// How long another process may hold the store before that is an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A store, open for reading. What is learned goes through a [`Recorder`].
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    readers: SqlitePool,
}

/// Why the store cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("cannot open the store {path}: {reason}\n  help: {help}", path = .path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// It cannot be read or written.
    #[error("cannot {operation} the store {path}: {reason}\n  help: {help}", path = .path.display())]
    Use {
        /// `read` or `write`.
        operation: &'static str,
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
        /// What to do.
        help: &'static str,
    },
}

impl Store {
    /// Opens the store, makes it if there is none, and brings it up to date. `stop` is cancelled
    /// when the store can no longer be written.
    pub async fn open(path: &Path, stop: CancellationToken) -> Result<(Self, Recorder), Error> {
        let fail = |reason: String, help| Error::Open {
            path: path.into(),
            reason,
            help,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut writer: SqliteConnection = options
            .connect()
            .await
            .map_err(|e| fail(reason(&e), help(&e)))?;
        sqlx::migrate!()
            .run_direct(None, &mut writer, false)
            .await
            .map_err(|error| match &error {
                MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => fail(
                    "a newer version of transship wrote it".into(),
                    "install that version again, or move the file away: it is rebuilt from the \
                 target, at the cost of requests",
                ),
                MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => {
                    fail(reason(e), help(e))
                }
                other => fail(other.to_string(), help(&sqlx::Error::RowNotFound)),
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(|e| fail(reason(&e), help(&e)))?;
        let store = Self {
            path: path.into(),
            readers,
        };
        Ok((store, Recorder::start(path.into(), writer, stop)))
    }

    /// Opens a store that is there to read it alone: nothing is made, and nothing brought up to
    /// date. `None` when there is none.
    pub async fn open_existing(path: &Path) -> Result<Option<Self>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        // Without a log beside it nobody writes, and no file is needed to share it.
        let is_at_rest = !Path::new(&format!("{}-wal", path.display())).exists();
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(is_at_rest)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await;
        let fail = |e: sqlx::Error| {
            let (reason, help) = (reason(&e), help(&e));
            Error::Open {
                path: path.into(),
                reason,
                help,
            }
        };
        Ok(Some(Self {
            path: path.into(),
            readers: readers.map_err(fail)?,
        }))
    }

    fn read_error(&self, error: sqlx::Error) -> Error {
        use_error("read", &self.path, &error)
    }
}

fn use_error(operation: &'static str, path: &Path, error: &sqlx::Error) -> Error {
    let (reason, help) = (reason(error), help(error));
    Error::Use {
        operation,
        path: path.into(),
        reason,
        help,
    }
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

/// What an operator does about an SQLite error
/// ([result codes](https://www.sqlite.org/rescode.html); the low byte is the primary code).
fn help(error: &sqlx::Error) -> &'static str {
    let code = match error {
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
        _ => None,
    };
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => "another process holds it; stop that one, or name another [state] path",
        Some(8) => "make the file and its folder writable for this user",
        Some(10 | 13) => {
            "the disk is full or broken; free some space, and run again: nothing is lost"
        }
        Some(14) => "make the folder of [state] path, writable for this user: mkdir -p, chown",
        Some(11 | 26) => {
            "the file is damaged or no store; move it away: it is rebuilt from the target, at the \
             cost of requests"
        }
        _ => "check the file and its folder, or name another [state] path in mirror.toml",
    }
}

/// The text of a digest that the store holds. One that cannot be read counts as unknown: the
/// target is asked then.
fn digest(text: Option<String>) -> Option<crate::oci::Digest> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests;
