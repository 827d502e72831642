//! YAML, document by document. A document that is no YAML is named with its line: what follows it may
//! be part of it.

use std::{
    collections::HashMap,
    io::{BufRead, Read as _},
};

use granit_parser::{Event, Parser};

use crate::inventory::{
    Error, Inventory,
    embedded::Host,
    scan::{MAX_TEXT_BYTES, Scan},
};

/// Most bytes of one document: the largest objects of Kubernetes have 1.5 MiB, charts join several.
const MAX_DOCUMENT_BYTES: usize = 16 << 20;
/// Most anchors of a document whose text is kept, and the longest such text.
const MAX_ANCHORS: usize = 1000;
const MAX_ANCHOR_BYTES: usize = 1024;

/// Reads all documents. `---` at the start of a line always begins one
/// ([YAML 1.2.2, 9.1.2](https://yaml.org/spec/1.2.2/#912-document-markers)).
pub(crate) fn read(
    input: &mut impl BufRead,
    inventory: &mut Inventory,
    host: &Host,
) -> Result<(), Error> {
    let (mut document, mut line) = (String::new(), Vec::new());
    let (mut number, mut first) = (0_usize, 1_usize);
    loop {
        line.clear();
        let limit = MAX_TEXT_BYTES as u64 + 1;
        let read = input.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if line.len() > MAX_TEXT_BYTES {
            return Err(Error::TooMuch("a line of more than 4 MiB"));
        }
        let is_start = line.starts_with(b"---");
        if read == 0 || is_start {
            scan(&document, first, inventory, host)?;
            document.clear();
            first = number + 1;
        }
        if read == 0 {
            return Ok(());
        }
        number += 1;
        document.push_str(&String::from_utf8_lossy(&line));
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::TooMuch(
                "a YAML document of more than 16 MiB; JSON, as of `kubectl -o json`, may be larger",
            ));
        }
    }
}

fn scan(
    document: &str,
    first_line: usize,
    inventory: &mut Inventory,
    host: &Host,
) -> Result<(), Error> {
    let mut scan = Scan::new(inventory, host);
    let mut anchors: HashMap<usize, String> = HashMap::new();
    for event in Parser::new_from_str(document.trim_start_matches('\u{feff}')) {
        let (event, _) = event.map_err(|error| Error::Syntax {
            line: first_line + error.marker().line().saturating_sub(1),
            reason: format!("no YAML: {}", error.info()),
        })?;
        let taken = match event {
            Event::Scalar(text, _, anchor, _) => {
                let is_kept = anchor > 0 && text.len() <= MAX_ANCHOR_BYTES;
                if is_kept && anchors.len() < MAX_ANCHORS {
                    anchors.insert(anchor, text.to_string());
                }
                scan.scalar(&text)
            }
            // What a list or a map repeats was found where it is defined.
            Event::Alias(anchor) => scan.scalar(anchors.get(&anchor).map_or("", String::as_str)),
            Event::MappingStart(..) => scan.begin_map(),
            Event::SequenceStart(..) => scan.begin_list(),
            Event::MappingEnd | Event::SequenceEnd => scan.end(),
            _ => Ok(()),
        };
        if taken.is_err() {
            return Err(scan.take_error().unwrap_or(Error::TooMuch("too much")));
        }
    }
    Ok(())
}
