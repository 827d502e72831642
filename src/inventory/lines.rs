//! Lists: an image a line, as `kubeadm config images list` prints them, or a pattern of repositories.

use std::{
    collections::HashSet,
    io::{BufRead, Read as _},
};

use crate::inventory::{Certainty, Error, Inventory, scan::MAX_TEXT_BYTES};

/// The programs whose `pull IMAGE` is a line of scripts.
const PULLERS: [&str; 5] = ["docker", "podman", "nerdctl", "crictl", "ctr"];

/// Reads a list. Empty lines and comments do not count, nor what follows the image. A list of one line
/// may have several images, as a jsonpath of `kubectl` prints them.
pub(crate) fn read(input: &mut impl BufRead, inventory: &mut Inventory) -> Result<(), Error> {
    let mut first: Option<String> = None;
    let mut count = 0;
    each_line(input, |number, line| {
        count += 1;
        if count == 1 {
            first = Some(line.to_owned());
        }
        let Some(image) = image_of(line) else {
            return Ok(());
        };
        if image.contains('*') {
            return inventory.add_pattern(image);
        }
        match inventory.add(image, Certainty::Certain, || format!("line {number}"))? {
            true => Ok(()),
            false => Err(Error::Syntax {
                line: number,
                reason: format!("`{}` is no image", shown(image)),
            }),
        }
    })?;
    let Some(line) = first.filter(|_| count == 1) else {
        return Ok(());
    };
    let line = line.split_once('#').map_or(&*line, |(line, _)| line);
    for word in line.split([' ', '\t', ',']).skip(1) {
        inventory.add(bare(word), Certainty::Certain, || "line 1".into())?;
    }
    Ok(())
}

/// Reads a Dockerfile: what it is built `FROM`, without its own stages.
pub(crate) fn read_dockerfile(
    input: &mut impl BufRead,
    inventory: &mut Inventory,
) -> Result<(), Error> {
    let mut stages: HashSet<String> = HashSet::from(["scratch".into()]);
    each_line(input, |number, line| {
        let mut words = line.split_whitespace();
        let is_from = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
        let mut words = words.skip_while(|word| word.starts_with("--"));
        let Some(image) = words.next().filter(|_| is_from) else {
            return Ok(());
        };
        if let (Some(_), Some(stage)) = (words.next(), words.next()) {
            stages.insert(stage.to_owned());
        }
        match stages.contains(image) {
            true => Ok(()),
            // A variable in its name makes it no image.
            false => inventory
                .add(image, Certainty::Certain, || format!("line {number}"))
                .map(drop),
        }
    })
}

/// Reads a table with columns for repository and tag, as `crictl images` prints it.
pub(crate) fn read_table(input: &mut impl BufRead, inventory: &mut Inventory) -> Result<(), Error> {
    each_line(input, |number, line| {
        let mut words = line.split_whitespace();
        let (Some(repository), Some(tag)) = (words.next(), words.next()) else {
            return Ok(());
        };
        if number == 1 || [repository, tag].contains(&"<none>") {
            return Ok(());
        }
        let image = format!("{repository}:{tag}");
        let place = || format!("line {number}");
        inventory.add(&image, Certainty::Certain, place).map(drop)
    })
}

/// The image of a line such as `image: IMAGE`, `- image: "IMAGE"` or `"image": "IMAGE",`.
pub(crate) fn of_key(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['-', ' ']);
    let (key, image) = line.split_once(':')?;
    let image = image.trim();
    (bare(key) == "image" && !image.is_empty()).then(|| bare(image.split(' ').next().unwrap_or("")))
}

/// The image of a line of a list.
fn image_of(line: &str) -> Option<&str> {
    if let Some(image) = of_key(line) {
        return Some(image);
    }
    let mut words = line.split_whitespace();
    let word = words.next()?;
    let next = words.next();
    let image = match next {
        // `sort | uniq -c` counts in front of each line.
        Some(next) if word.bytes().all(|byte| byte.is_ascii_digit()) => next,
        Some(next) if word == "-" => next,
        Some("pull") if PULLERS.contains(&word) => words.next()?,
        _ => word,
    };
    Some(bare(image))
}

/// Without quotes and commas.
fn bare(word: &str) -> &str {
    word.trim_matches(['"', '\'', ','])
}

/// Calls for each line that is no comment, with its number.
fn each_line(
    input: &mut impl BufRead,
    mut take: impl FnMut(usize, &str) -> Result<(), Error>,
) -> Result<(), Error> {
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
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() && !text.starts_with('#') {
            take(number, text)?;
        }
    }
}

/// A word for a message: short, and without control characters.
fn shown(word: &str) -> String {
    word.escape_debug().take(80).collect()
}
