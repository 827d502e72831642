//! How files of the store are made: only their owner may read them.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

/// What a new file permits: its owner reads and writes it.
const MODE: u32 = 0o600;

/// Opens a file to read and write it, and makes it if there is none.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give_to_folder_owner(&file, path)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// A file that root makes in the folder of a service belongs to the service, which could not open
/// it otherwise. SQLite does the same for a log: it gets the owner of its database
/// ([robustFchown](https://www.sqlite.org/src/file?name=src/os_unix.c)).
fn give_to_folder_owner(file: &File, path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = folder_of(path);
    let owner = folder.metadata()?;
    match owner.uid() {
        0 => Ok(()),
        uid => fchown(file, Some(uid), Some(owner.gid())),
    }
}

/// The folder of a file; the current one for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes an empty file if there is none. SQLite gives a log the permissions of its database
/// ([how a WAL is made](https://www.sqlite.org/tempfiles.html#write_ahead_log_wal_files)).
pub(crate) fn make(path: &Path) {
    // SQLite reports whatever fails here, with the operation that needed the file.
    if !path.exists() {
        let _ = open(path);
    }
}

/// Writes a small file.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = open(path)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// The permission bits of a file.
#[cfg(test)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(test)]
mod tests;
