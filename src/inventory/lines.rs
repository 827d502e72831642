//! Lists: an image a line, as `kubeadm config images list` prints them, or a pattern of repositories.

use std::io::{BufRead, Read as _};

use crate::inventory::{Certainty, Error, Inventory, scan::MAX_TEXT_BYTES};

/// Reads a list. Empty lines and comments do not count, nor what follows the first word.
pub(crate) fn read(input: &mut impl BufRead, inventory: &mut Inventory) -> Result<(), Error> {
    let (mut line, mut number) = (Vec::new(), 0_usize);
    loop {
        line.clear();
        number += 1;
        let limit = MAX_TEXT_BYTES as u64 + 1;
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() > MAX_TEXT_BYTES {
            return Err(Error::TooMuch("a line of more than 4 MiB"));
        }
        let text = String::from_utf8_lossy(&line);
        let word = text
            .trim_start_matches('\u{feff}')
            .split_whitespace()
            .next();
        let Some(word) = word.filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let image = word.trim_matches(['"', '\'', ',']);
        if image.contains('*') {
            inventory.add_pattern(image)?;
        } else if !inventory.add(image, Certainty::Certain, || format!("line {number}"))? {
            return Err(Error::Syntax {
                line: number,
                reason: format!("`{}` is no image", shown(image)),
            });
        }
    }
}

/// A word for a message: short, and without control characters.
fn shown(word: &str) -> String {
    word.escape_debug().take(80).collect()
}
