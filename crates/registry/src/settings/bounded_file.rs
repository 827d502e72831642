//! Reads the files that `mirror.toml` is and names: regular files only, and at most so many bytes.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;

/// Most bytes of a password, a token or a key of a channel.
pub const MAX_SECRET_BYTES: u64 = 64 << 10;
/// Most bytes of any other file: `mirror.toml`, PEM files, docker's config.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// Permission bits that let the group or everybody write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Reads a text of at most `max_bytes`. A FIFO, a device, a socket and a folder are refused without
/// waiting for a writer.
pub fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    into_text(read(open(path)?, max_bytes)?)
}

/// Reads the bytes of a file of at most `max_bytes`, like [`read_text`].
pub fn read_bytes(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read(open(path)?, max_bytes)
}

/// Reads a file that nobody named. Its owner must be this user or root, and nobody else may write
/// it: a command run in a folder of somebody else must not follow that person's file.
pub fn read_own_bytes(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let user = rustix::process::geteuid().as_raw();
    check_owner(&file.metadata()?, user, ", or name it with --config")?;
    read(file, max_bytes)
}

/// Reads a file that decides who is let in, under the same rule for its owner.
pub fn read_trusted_bytes(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    check_owner(&file.metadata()?, rustix::process::geteuid().as_raw(), "")?;
    read(file, max_bytes)
}

/// Opens without blocking: opening a FIFO otherwise waits until somebody writes to it
/// ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html)).
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match unusable_kind(&file.metadata()?) {
        None => Ok(file),
        Some(kind) => Err(invalid(format!("it is {kind}, not a regular file"))),
    }
}

fn unusable_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// `or` is what else helps.
fn check_owner(metadata: &Metadata, user: u32, or: &str) -> io::Result<()> {
    let owner = metadata.uid();
    if owner != user && owner != 0 {
        let text = format!("it belongs to user {owner}; run `chown {user}` on it{or}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let text = format!("other users can write it; run `chmod go-w` on it{or}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

/// Reads one byte more than allowed to find a file that is too large: its size may be wrong, as
/// files in `/proc` show.
fn read(file: File, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if read as u64 > max_bytes {
        return Err(invalid(format!(
            "it is larger than {} KiB",
            max_bytes >> 10
        )));
    }
    Ok(bytes)
}

fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".into()))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests;
