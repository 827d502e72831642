//! The only code that holds SQL: what is known of target repositories, tags and runs.

pub(crate) mod change;
mod clusters;
pub(crate) mod contents;
pub(crate) mod event;
mod lag_changes;
pub(crate) mod lifecycle;
pub(crate) mod locks;
pub(crate) mod mutes;
pub(crate) mod private_file;
pub(crate) mod queries;

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions},
};

use tokio_util::sync::CancellationToken;

use crate::store::lifecycle::corruption::{self, StoreFailure};

pub use crate::store::change::{Change, ChangeKind, NewChange};
pub use crate::store::clusters::{ClusterChange, ClusterImageRecord, ClusterRecord};
pub use crate::store::contents::{ContentPart, TargetSize};
pub use crate::store::event::{StoreEvent, TagKey, Verdict};
pub use crate::store::lag_changes::LagChange;
pub use crate::store::lifecycle::backup::BackupError;
pub use crate::store::locks::process_lock::{ExclusivePresence, Presence};
pub use crate::store::mutes::{Mute, MuteKind};
pub use crate::store::private_file::folder_of;
pub use crate::store::queries::copies::{CopyRecord, DamagedTag};
pub use crate::store::queries::daily::{AlarmRecord, Sums, Upkeep};
pub use crate::store::queries::gateway::{
    DemandRecord, HourOfPulls, ImagePulls, PullCounts, PullResult, PullSums, PulledContent,
    RefusalReason, RefusedPulls, TagCheck,
};
pub use crate::store::queries::mirror_summary::{LastLook, RunRecord, Standing, TargetStanding};
pub use crate::store::queries::pages::MirrorTag;
pub use crate::store::queries::prune::Pruning;
pub use crate::store::queries::release::Release;
pub use crate::store::queries::run::{EndedRun, RunCounts, RunError, RunResult, TargetCounts};
pub use crate::store::queries::traffic::Moved;
pub use crate::store::queries::upload::UploadState;
pub use crate::store::queries::verification::{Check, Reading, WrittenTag};
pub use crate::store::queries::view::{BehindTag, ImageAge, KeptFor, RepositoryState, TagRecord};
pub use crate::store::writer::StoreWriter;

/// How long another process may hold a store that is to be opened.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A store, open for reading. What is learned goes through a [`StoreWriter`].
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    readers: SqlitePool,
    /// What damage ends; nothing where a store is only looked at.
    failure: Option<StoreFailure>,
}

const REBUILD: &str = "run `transship sync`, or start the daemon: they set it aside, and a new one is rebuilt from the target, at the cost of requests";
const UPGRADE: &str = "run `transship sync`, or start the daemon: they bring it up to date";
const MAKE_WRITABLE: &str =
    "make its folder writable for this user, or move it away with its -wal and -shm";

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
    /// Its file is no longer what SQLite wrote.
    #[error("the store {path} is damaged: {reason}\n  help: {REBUILD}", path = .path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// It is opened only for reading, and whoever writes has not brought it up to date yet.
    #[error("an older version of transship wrote the store {path}\n  help: {UPGRADE}", path = .path.display())]
    Old {
        /// Its file.
        path: PathBuf,
    },
    /// It is damaged, and nobody can put it out of the way.
    #[error("the store {path} is damaged, and cannot be set aside: {reason}\n  help: {MAKE_WRITABLE}", path = .path.display())]
    SetAside {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process holds it.
    #[error("cannot {operation} the store {path}: {reason}\n  help: {}", end_holder(path), path = .path.display())]
    Held {
        /// `open`, `read` or `write`.
        operation: &'static str,
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
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

impl Error {
    /// Whether whoever needs the store to write makes it usable: a damaged one is set aside, and an
    /// old one brought up to date.
    pub fn is_mended_by_a_run(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Old { .. })
    }

    /// What to do about it.
    pub fn remedy(&self) -> Cow<'_, str> {
        match self {
            Self::Open { help, .. } | Self::Use { help, .. } => (*help).into(),
            Self::Damaged { .. } => REBUILD.into(),
            Self::Old { .. } => UPGRADE.into(),
            Self::SetAside { .. } => MAKE_WRITABLE.into(),
            Self::Held { path, .. } => end_holder(path).into(),
        }
    }
}

fn end_holder(path: &Path) -> String {
    let path = path.display();
    format!(
        "another process holds it (`fuser {path}` shows which); end that one, or name another \
         [state] path"
    )
}

impl Store {
    /// Opens the store, makes it if there is none, and brings it up to date. `stop` is cancelled
    /// when the store can no longer be used.
    pub async fn open(path: &Path, stop: CancellationToken) -> Result<(Self, StoreWriter), Error> {
        if let Some(reason) = corruption::marked(path).filter(|_| path.exists()) {
            let path = path.into();
            return Err(Error::Damaged { path, reason });
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let writer = writer(path, &options).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_with(options.read_only(true))
            .await
            .map_err(|e| open_error(path, &e))?;
        let failure = StoreFailure::new(path, stop);
        let store = Self {
            path: path.into(),
            readers,
            failure: Some(failure.clone()),
        };
        let readers = store.readers.clone();
        Ok((store, StoreWriter::start(writer, readers, failure)))
    }

    /// The same, but a damaged store is set aside, with a warning, and a new one is made. Nobody
    /// else may be opening the store.
    pub async fn open_or_replace(
        path: &Path,
        stop: CancellationToken,
    ) -> Result<(Self, StoreWriter), Error> {
        let reason = match Self::open(path, stop.clone()).await {
            Err(Error::Damaged { reason, .. }) => reason,
            opened => return opened,
        };
        let aside = corruption::set_aside(path).map_err(|error| Error::SetAside {
            path: path.into(),
            reason: error.to_string(),
        })?;
        let (store, aside) = (path.display(), aside.display());
        tracing::warn!(
            "the store {store} is damaged ({reason}); it was set aside as {aside}, and a new one is \
             rebuilt from the target by the next run of each mirror"
        );
        Self::open(path, stop).await
    }

    /// Opens an existing store only for reading: nothing is made, and nothing brought up to
    /// date. `None` when there is none.
    pub async fn open_existing(path: &Path) -> Result<Option<Self>, Error> {
        match std::fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(not_permitted(path));
            }
            // SQLite has the better words for what else may be wrong.
            _ => {}
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
        let as_open_error = |e: sqlx::Error| open_error(path, &e);
        let readers = readers.map_err(as_open_error)?;
        // Whoever made it was killed before it held anything.
        let tables = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sqlite_schema");
        if tables.fetch_one(&readers).await.map_err(as_open_error)? == 0 {
            return Ok(None);
        }
        if is_foreign(&readers).await.map_err(as_open_error)? {
            return Err(foreign(path));
        }
        if is_old(&readers).await.map_err(as_open_error)? {
            // It is being made just now, or was made and never used.
            if !has_runs(&readers).await.map_err(as_open_error)? {
                return Ok(None);
            }
            // One that was being made a moment ago may have its first run by now.
            if is_old(&readers).await.map_err(as_open_error)? {
                return Err(Error::Old { path: path.into() });
            }
        }
        Ok(Some(Self {
            path: path.into(),
            readers,
            failure: None,
        }))
    }

    fn read_error(&self, error: sqlx::Error) -> Error {
        let error = use_error("read", &self.path, &error);
        if let (Error::Damaged { .. }, Some(failure)) = (&error, &self.failure) {
            failure.end(error.clone());
        }
        error
    }
}

/// The connection that writes, to a store that is sound and up to date.
async fn writer(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    let is_left_open = corruption::is_left_open(path);
    // Nothing that reads the file is set here: a connection that fails to is not closed at once,
    // and would take the log of a new store away when it is.
    let options = options.clone().create_if_missing(true);
    private_file::make(path);
    let as_open_error = |e: sqlx::Error| open_error(path, &e);
    let mut writer: SqliteConnection = options.connect().await.map_err(as_open_error)?;
    match prepare(path, &mut writer, is_left_open).await {
        Ok(()) => Ok(writer),
        Err(error) => {
            if let Error::Damaged { reason, .. } = &error {
                corruption::mark(path, reason);
            }
            // Why it cannot be used is reported already.
            let _ = writer.close().await;
            Err(error)
        }
    }
}

async fn prepare(
    path: &Path,
    writer: &mut SqliteConnection,
    is_left_open: bool,
) -> Result<(), Error> {
    let as_open_error = |e: sqlx::Error| open_error(path, &e);
    if is_foreign(&mut *writer).await.map_err(as_open_error)? {
        return Err(foreign(path));
    }
    sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        .execute(&mut *writer)
        .await
        .map_err(as_open_error)?;
    // A store that was closed well is not read through at each start.
    if is_left_open
        && let Some(reason) = corruption::first_fault(writer)
            .await
            .map_err(as_open_error)?
    {
        let path = path.into();
        return Err(Error::Damaged { path, reason });
    }
    let fail = |reason: String, help| Error::Open {
        path: path.into(),
        reason,
        help,
    };
    let migrated = migrations().run_direct(None, &mut *writer, false).await;
    migrated.map_err(|error| match &error {
        MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => fail(
            "a newer version of transship wrote it".into(),
            "install that version again, or move the file away: it is rebuilt from the target, at \
             the cost of requests",
        ),
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => open_error(path, e),
        other => fail(other.to_string(), help(path, &sqlx::Error::RowNotFound)),
    })?;
    // Whether it can be written is known before anything is done: a file that may only be read
    // refuses a change of no row, too. From then on whoever waits learns it soon.
    let change = "BEGIN IMMEDIATE; DELETE FROM runs WHERE FALSE; ROLLBACK";
    sqlx::raw_sql(change)
        .execute(&mut *writer)
        .await
        .map_err(as_open_error)?;
    // A log that one large change has blown up does not keep its size.
    sqlx::raw_sql("PRAGMA busy_timeout = 2000; PRAGMA journal_size_limit = 16777216")
        .execute(writer)
        .await
        .map_err(as_open_error)?;
    Ok(())
}

/// Whether a database has tables, and none that was ever migrated by us.
async fn is_foreign(db: impl sqlx::SqliteExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COUNT(*) > 0 AND NOT TOTAL(name = '_sqlx_migrations') FROM sqlite_schema",
    )
    .fetch_one(db)
    .await
}

/// What a store goes through, from nothing to what this version reads and writes.
fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// Whether a store lacks what this version reads.
async fn is_old(db: impl sqlx::SqliteExecutor<'_>) -> Result<bool, sqlx::Error> {
    let newest = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";
    let has: Option<i64> = sqlx::query_scalar(newest).fetch_one(db).await?;
    let needed = migrations().iter().map(|migration| migration.version).max();
    Ok(has < needed)
}

/// Whether any run ever began; nothing is learned but in runs.
async fn has_runs(readers: &SqlitePool) -> Result<bool, sqlx::Error> {
    let table = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'runs'";
    if sqlx::query_scalar::<_, i64>(table)
        .fetch_one(readers)
        .await?
        == 0
    {
        return Ok(false);
    }
    let runs = "SELECT EXISTS (SELECT 1 FROM runs)";
    sqlx::query_scalar(runs).fetch_one(readers).await
}

fn foreign(path: &Path) -> Error {
    Error::Open {
        path: path.into(),
        reason: "it is another program's database".into(),
        help: "name another [state] path in mirror.toml; nothing was changed",
    }
}

fn not_permitted(path: &Path) -> Error {
    Error::Open {
        path: path.into(),
        reason: "permission denied".into(),
        help: "run this as the user of the service, as in `sudo -u transship transship status`, or \
               join the group that may read the store",
    }
}

fn open_error(path: &Path, error: &sqlx::Error) -> Error {
    let (path, reason) = (path.to_owned(), reason(error));
    if corruption::is_told_by(error) && !corruption::is_text(&path) {
        return Error::Damaged { path, reason };
    }
    if is_held(error) {
        let operation = "open";
        return Error::Held {
            operation,
            path,
            reason,
        };
    }
    let help = help(&path, error);
    Error::Open { path, reason, help }
}

fn use_error(operation: &'static str, path: &Path, error: &sqlx::Error) -> Error {
    let (path, reason) = (path.to_owned(), reason(error));
    if corruption::is_told_by(error) && !corruption::is_text(&path) {
        return Error::Damaged { path, reason };
    }
    if is_held(error) {
        return Error::Held {
            operation,
            path,
            reason,
        };
    }
    let help = help(&path, error);
    Error::Use {
        operation,
        path,
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

/// SQLite's own code of an error
/// ([result codes](https://www.sqlite.org/rescode.html); the low byte is the primary code).
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    let code: u32 = error.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Whether another process holds the store.
fn is_held(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// What an operator does about an SQLite error.
fn help(path: &Path, error: &sqlx::Error) -> &'static str {
    match primary_code(error) {
        _ if path.is_dir() => "it is a folder; name a file in it as [state] path",
        Some(14) if path.exists() => "make the file readable and writable for this user",
        Some(8) => "make the file and its folder writable for this user",
        Some(10 | 13) => {
            "the disk is full or broken; free some space, and run again: nothing is lost"
        }
        Some(14) => "make the folder of [state] path, writable for this user: mkdir -p, chown",
        Some(11 | 26) => {
            "the file is a text and no store; name another [state] path, or move it away: a new \
             store is rebuilt from the target, at the cost of requests"
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
pub(crate) mod tests;
pub(crate) mod writer;
