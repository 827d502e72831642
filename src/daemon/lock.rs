//! One daemon a store: a second one on the same store is refused.

use std::{
    fs::{File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

/// How often a lock is tried while somebody looks at it, and the time between.
const LOOKS: usize = 3;
const LOOK: Duration = Duration::from_millis(10);

use crate::store::private_file;

const STOP_HOLDER: &str = "stop that one, or name another [state] path";
const MAKE_FOLDER: &str =
    "make the folder of [state] path writable for this user, or run as its owner";

/// Held while the daemon runs. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock(File);

/// Why the store is not free.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon serves it.
    #[error("another transship (process {holder}) serves the store {store}\n  help: {STOP_HOLDER}", store = .store.display())]
    Held {
        /// The process id in the lock file.
        holder: String,
        /// The store.
        store: PathBuf,
    },
    /// The file beside the store cannot be used.
    #[error("cannot lock {path}: {error}\n  help: {MAKE_FOLDER}", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: std::io::Error,
    },
}

impl LockError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Held { .. } => STOP_HOLDER,
            Self::Unusable { .. } => MAKE_FOLDER,
        }
    }
}

/// Whether a daemon serves a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One does.
    Running {
        /// Its process id, as it wrote it; empty if it did not.
        process: String,
        /// Where it serves pages and the API, as it wrote it.
        address: Option<SocketAddr>,
    },
    /// None does.
    None,
    /// This user may not look.
    Unknown,
}

impl Holder {
    /// Looks at the lock of a store, and holds it for a moment at most.
    pub fn of(store: &Path) -> Self {
        let mut file = match File::open(path_of(store)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::None,
            Err(_) => return Self::Unknown,
        };
        match file.try_lock_shared() {
            Ok(()) => Self::None,
            Err(TryLockError::Error(_)) => Self::Unknown,
            Err(TryLockError::WouldBlock) => {
                let mut written = String::new();
                // Without a number the answer is less helpful, and as true.
                let _ = file.read_to_string(&mut written);
                let mut lines = written.lines().map(str::trim);
                Self::Running {
                    process: lines.next().unwrap_or_default().into(),
                    address: lines.next().and_then(|address| address.parse().ok()),
                }
            }
        }
    }
}

/// Locks a file. Somebody who looks at it, as [`Holder::of`], holds it for a moment.
fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            locked => return locked,
        }
    }
    file.try_lock()
}

fn path_of(store: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", store.display()))
}

impl Lock {
    /// Takes the store. Fails with the process that has it.
    pub fn take(store: &Path) -> Result<Self, LockError> {
        let path = path_of(store);
        let unusable = |error| LockError::Unusable {
            path: path.clone(),
            error,
        };
        let mut file = private_file::open(&path).map_err(unusable)?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without a number the message is less helpful, and as true.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held {
                    holder: holder.lines().next().unwrap_or_default().trim().into(),
                    store: store.into(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{}", process::id()).map_err(unusable)?;
        Ok(Self(file))
    }

    /// Notes where the daemon serves, for commands that ask it for something.
    pub(crate) fn note_address(&self, address: SocketAddr) {
        // Without it commands use the address of the configuration.
        let _ = writeln!(&self.0, "{address}");
    }
}

#[cfg(test)]
mod tests;
