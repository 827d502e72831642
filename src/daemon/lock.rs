//! One daemon a store: a second one on the same store is refused.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process,
};

use crate::store::private_file;

/// Held while the daemon runs. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Why the store is not free.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon serves it.
    #[error("another transship (process {holder}) serves the store {store}\n  help: stop that one, or name another [state] path", store = .store.display())]
    Held {
        /// The process id in the lock file.
        holder: String,
        /// The store.
        store: PathBuf,
    },
    /// The file beside the store cannot be used.
    #[error("cannot lock {path}: {error}\n  help: make the folder of [state] path, writable for this user", path = .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        error: std::io::Error,
    },
}

impl Lock {
    /// Takes the store. Fails with the process that has it.
    pub fn take(store: &Path) -> Result<Self, LockError> {
        let path = PathBuf::from(format!("{}.lock", store.display()));
        let unusable = |error| LockError::Unusable {
            path: path.clone(),
            error,
        };
        let mut file = private_file::options().open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without a number the message is less helpful, and as true.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held {
                    holder: holder.trim().into(),
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
}

#[cfg(test)]
mod tests;
