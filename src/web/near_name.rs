//! Guesses which name was meant, in a time that the visitor cannot choose.

use std::cmp::Reverse;

/// Longest name that is compared letter by letter.
const MAX_LETTERS: usize = 128;
/// Most names that are compared letter by letter: 8 tables of 128 by 128 take less than a
/// millisecond.
const MAX_COMPARISONS: usize = 8;

/// The name that differs from what was written in the fewest letters, if those are few.
///
/// Names of another length or made of other letters are ruled out first, which takes a pass over
/// each name. Only the most similar ones are compared in quadratic time.
pub(crate) fn nearest_name<'a>(
    written: &str,
    names: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > MAX_LETTERS {
        return None;
    }
    let bounds = names.filter_map(|name| {
        let bound = least_distance(written, name);
        (name.len() <= MAX_LETTERS && bound <= accepted(name)).then_some((bound, name))
    });
    let mut candidates: Vec<_> = bounds.collect();
    candidates.sort_by_key(|(bound, name)| (*bound, Reverse(common_prefix(written, name))));
    candidates
        .into_iter()
        .take(MAX_COMPARISONS)
        .map(|(_, name)| (strsim::osa_distance(written, name), name))
        .filter(|(distance, name)| *distance <= accepted(name))
        .min()
        .map(|(_, name)| name)
}

/// Most letters that may differ.
fn accepted(name: &str) -> usize {
    name.chars().count().div_ceil(3).max(1)
}

/// A lower bound of the distance: the letters that one name has and the other lacks. A letter that
/// is written over takes one away and adds one. Letters that share a counter only lower the bound.
fn least_distance(a: &str, b: &str) -> usize {
    let mut counts = [0_i32; 256];
    let counter = |letter: char| u32::from(letter) as usize % 256;
    a.chars().for_each(|letter| counts[counter(letter)] += 1);
    b.chars().for_each(|letter| counts[counter(letter)] -= 1);
    let extra: i32 = counts.iter().filter(|count| **count > 0).sum();
    let missing: i32 = counts.iter().filter(|count| **count < 0).sum();
    extra.unsigned_abs().max(missing.unsigned_abs()) as usize
}

/// How many letters both begin with.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
