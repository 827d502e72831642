//! Whether a store could be used, found out without making or changing anything.

use std::path::Path;

use rustix::{
    fs::{Access, access},
    io::Errno,
};

use crate::store::{Error, Store, folder_of};

impl Store {
    /// Why this user could not open a store here to write; `None` where that seems to be possible.
    pub async fn unusable(path: &Path) -> Option<Error> {
        let fault = Self::fault(path).await;
        fault.filter(|error| !error.is_mended_by_a_run())
    }

    /// The same, or why a run has to mend the store before it can be read.
    pub async fn fault(path: &Path) -> Option<Error> {
        let folder = folder_of(path);
        let fail = |reason, help| {
            let path = path.into();
            Some(Error::Open { path, reason, help })
        };
        let shown = folder.display();
        if !folder.is_dir() {
            let help = "make the folder of [state] path, writable for this user: mkdir -p, chown";
            return fail(format!("there is no folder {shown}"), help);
        }
        let may = |path: &Path, rights| access(path, rights);
        let denied = match may(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) if path.is_file() => may(path, Access::READ_OK | Access::WRITE_OK),
            denied => denied,
        };
        if let Err(error) = denied {
            let help = match error {
                Errno::ROFS => "its file system is read-only; name another [state] path",
                _ => "make the file and its folder writable for this user",
            };
            return fail(format!("it cannot be written: {error}"), help);
        }
        Self::open_existing(path).await.err()
    }
}

#[cfg(test)]
mod tests;
