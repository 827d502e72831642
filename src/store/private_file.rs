//! How files of the store are made: only their owner may read them.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// What a new file permits: its owner reads and writes it.
const MODE: u32 = 0o600;

/// Opens a file to read and write it, and makes it if there is none.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(MODE);
    options
}

/// Makes an empty file if there is none. SQLite gives a log the permissions of its database
/// ([how a WAL is made](https://www.sqlite.org/tempfiles.html#write_ahead_log_wal_files)).
pub(crate) fn make(path: &Path) {
    // SQLite reports whatever fails here, with the operation that needed the file.
    if !path.exists() {
        let _ = options().open(path);
    }
}

/// Writes a small file.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = options().open(path)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// The permission bits of a file.
#[cfg(test)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
