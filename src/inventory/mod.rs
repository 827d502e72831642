//! Reads which images clusters, charts and lists use: lines, JSON, or YAML of several documents.
//!
//! Input is walked as events. No tree is built, so memory grows with the number of different
//! images, not with the size of the input.

mod embedded;
pub(crate) mod found;
mod json;
mod lines;
mod object;
mod place;
mod scan;
mod yaml;

use std::io::{self, BufRead, BufReader, Read};

use crate::inventory::embedded::Host;
pub use crate::inventory::found::{Certainty, FoundImage, Inventory};

/// Most bytes of an input.
const MAX_INPUT_BYTES: u64 = 1 << 30;
/// Most bytes that are read to tell the form of an input.
const PEEK_BYTES: usize = 64 << 10;

/// What some editors put before text in UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read at all.
    #[error("cannot read the images: {0}")]
    Read(#[from] io::Error),
    /// It is neither JSON, YAML nor a list.
    #[error("line {line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It is text of another encoding, as PowerShell redirects it.
    #[error("the input is UTF-16; save it as UTF-8")]
    Utf16,
    /// It has more of something than a program can hold.
    #[error("the input has {0}")]
    TooMuch(&'static str),
}

/// The images that an input names. Its first bytes show its form.
pub fn read(input: impl Read) -> Result<Inventory, Error> {
    let limited = input.take(MAX_INPUT_BYTES + 1);
    let mut input = BufReader::with_capacity(PEEK_BYTES, limited);
    let mut inventory = Inventory::default();
    let head = input.fill_buf()?;
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(Error::Utf16);
    }
    if head.starts_with(BOM) {
        input.consume(BOM.len());
    }
    let host = Host::default();
    match form(input.fill_buf()?) {
        Form::Json => json::read(&mut input, &mut inventory, &host)?,
        Form::Yaml => yaml::read(&mut input, &mut inventory, &host)?,
        Form::Lines => lines::read(&mut input, &mut inventory)?,
        Form::Dockerfile => lines::read_dockerfile(&mut input, &mut inventory)?,
        Form::Table => lines::read_table(&mut input, &mut inventory)?,
    }
    match input.into_inner().limit() {
        0 => Err(Error::TooMuch("more than 1 GiB")),
        _ => Ok(inventory),
    }
}

/// The form of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
    Lines,
    /// `FROM IMAGE` and other instructions.
    Dockerfile,
    /// What `docker images` and `crictl images` print.
    Table,
}

/// The form of an input that begins so. A line of YAML has a colon and a space, ends with a
/// colon, or begins with a dash; a line of a list is one word. Lines that are all `image: IMAGE` were
/// picked out of manifests by `grep`.
fn form(head: &[u8]) -> Form {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    let second = lines.next().unwrap_or_default();
    let is_yaml = first.starts_with("---")
        || first.starts_with("%YAML")
        || first.starts_with("- ")
        || first.ends_with(':')
        || first.contains(": ");
    let word = first.split_whitespace().next().unwrap_or_default();
    match first.chars().next() {
        Some('{' | '[') => Form::Json,
        _ if lines::of_key(first).is_some() && lines::of_key(second).is_some() => Form::Lines,
        _ if is_yaml => Form::Yaml,
        _ if matches!(word, "FROM" | "ARG") => Form::Dockerfile,
        _ if matches!(word, "REPOSITORY" | "IMAGE") && first.contains("TAG") => Form::Table,
        _ => Form::Lines,
    }
}

#[cfg(test)]
mod tests;
