//! Reads which images clusters, charts and lists use: lines, JSON, or YAML of several documents.
//!
//! Input is walked as events. No tree is built, so memory grows with the number of different
//! images, not with the size of the input.

pub(crate) mod found;
mod json;
mod lines;
mod object;
mod scan;
mod yaml;

use std::io::{self, BufRead, BufReader, Read};

pub use crate::inventory::found::{Certainty, FoundImage, Inventory};

/// Most bytes of an input.
const MAX_INPUT_BYTES: u64 = 1 << 30;
/// Most bytes that are read to tell the form of an input.
const PEEK_BYTES: usize = 64 << 10;

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
    /// It has more of something than a program can hold.
    #[error("the input has {0}")]
    TooMuch(&'static str),
}

/// The images that an input names. Its first bytes show its form.
pub fn read(input: impl Read) -> Result<Inventory, Error> {
    let limited = input.take(MAX_INPUT_BYTES + 1);
    let mut input = BufReader::with_capacity(PEEK_BYTES, limited);
    let mut inventory = Inventory::default();
    match form(fill(&mut input)?) {
        Form::Json => json::read(&mut input, &mut inventory)?,
        Form::Yaml => yaml::read(&mut input, &mut inventory)?,
        Form::Lines => lines::read(&mut input, &mut inventory)?,
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
}

/// The first bytes, without taking them.
fn fill<R: Read>(input: &mut BufReader<R>) -> io::Result<&[u8]> {
    input.fill_buf()
}

/// The form of an input that begins so. A line of YAML has a colon and a space, ends with a
/// colon, or begins with a dash; a line of a list is one word.
fn form(head: &[u8]) -> Form {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim);
    let first = lines
        .clone()
        .find(|line| !line.is_empty() && !line.starts_with('#'))
        .unwrap_or_default();
    let is_yaml = first.starts_with("---")
        || first.starts_with("%YAML")
        || first.starts_with("- ")
        || first.ends_with(':')
        || first.contains(": ");
    match first.chars().next() {
        Some('{' | '[') => Form::Json,
        _ if is_yaml => Form::Yaml,
        _ => Form::Lines,
    }
}

#[cfg(test)]
mod tests;
