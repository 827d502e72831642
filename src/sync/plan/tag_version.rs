//! Tags as people number them: versions, dates, revisions and builds, with one total order.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version, VersionReq};

/// Which order this is. It grows when tags change places, so that pruning waits for one run.
pub(crate) const ORDER_VERSION: i64 = 2;
/// Numbers before the first suffix that are compared.
const NUMBERS: usize = 8;
/// Words that mark what comes before a release, in any letter case.
const PRE_RELEASES: [&str; 19] = [
    "a",
    "alpha",
    "b",
    "beta",
    "c",
    "canary",
    "cr",
    "dev",
    "develop",
    "ea",
    "m",
    "milestone",
    "nightly",
    "pre",
    "preview",
    "rc",
    "snapshot",
    "test",
    "unstable",
];
/// Years that begin a date.
const YEARS: std::ops::RangeInclusive<u64> = 1900..=2199;

/// The version that a tag stands for. Compares by numbers, stage, suffix and build, in this order;
/// versions that differ in leading zeros or separators only are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TagVersion {
    /// The numbers, or year, month and day of a date, without trailing zeros.
    numbers: Vec<u64>,
    stage: Stage,
    suffix: Vec<Piece>,
    /// What stands behind `_`, which tags write for the `+` of build metadata.
    build: Vec<Piece>,
}

/// How far a version of the same numbers is. The order is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// `1.0.0-rc.1`.
    PreRelease,
    /// `1.0.0-alpine`, `1.0.0-r26`: a suffix that is no pre-release.
    Variant,
    /// `1.0.0`.
    Plain,
    /// `2026-01-30-2`: a later build of a date, which has no pre-releases.
    Rebuild,
}

/// A run of digits or of letters. Numbers come before words, as in Semantic Versioning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(Number),
    Word(String),
}

/// Digits without leading zeros, which compare as a number of any length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    length: usize,
    digits: String,
}

/// A tag cut at its first suffix and at its build metadata.
struct Parts<'a> {
    core: Vec<&'a str>,
    suffix: &'a str,
    build: &'a str,
}

impl TagVersion {
    /// Reads a tag: `v` if any, numbers with dots, then `-` and a suffix, `_` and build metadata.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let Parts {
            core,
            suffix,
            build,
        } = Parts::of(tag)?;
        let written: Option<Vec<u64>> = core.iter().map(|part| part.parse().ok()).collect();
        let date = date(&core, suffix);
        let is_date = date.is_some();
        let (mut numbers, rest) = date.or_else(|| Some((written?, suffix)))?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        let suffix = pieces(rest);
        Some(Self {
            numbers,
            stage: Stage::of(&suffix, is_date),
            suffix,
            build: pieces(build),
        })
    }
}

impl Stage {
    fn of(suffix: &[Piece], is_date: bool) -> Self {
        let is_pre = |piece: &Piece| matches!(piece, Piece::Word(word) if PRE_RELEASES.contains(&word.as_str()));
        match suffix.first() {
            None => Self::Plain,
            Some(_) if suffix.iter().any(is_pre) => Self::PreRelease,
            Some(Piece::Number(_)) if is_date => Self::Rebuild,
            Some(_) => Self::Variant,
        }
    }
}

impl<'a> Parts<'a> {
    fn of(tag: &'a str) -> Option<Self> {
        let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
        let end = text.find(['-', '_']).unwrap_or(text.len());
        let (core, rest) = text.split_at(end);
        let core: Vec<&str> = core.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (suffix, build) = rest.split_once('_').unwrap_or((rest, ""));
        (core.len() <= NUMBERS && core.iter().all(is_number)).then_some(Self {
            core,
            suffix,
            build,
        })
    }
}

/// Whether a range takes a tag. Numbers behind the third, and build metadata, are not looked at;
/// a suffix is a pre-release.
pub(crate) fn is_in_range(range: &VersionReq, tag: &str) -> bool {
    let Some(version) = semantic(tag) else {
        return false;
    };
    if version.pre.is_empty() {
        return range.matches(&version);
    }
    let mut range = range.clone();
    for comparator in &mut range.comparators {
        comparator.pre = spaced(comparator.pre.as_str());
    }
    range.matches(&version)
}

fn semantic(tag: &str) -> Option<Version> {
    let Parts { core, suffix, .. } = Parts::of(tag)?;
    let mut numbers = core.iter().map(|part| part.parse::<u64>());
    let mut next = || numbers.next().unwrap_or(Ok(0)).ok();
    Some(Version {
        major: next()?,
        minor: next()?,
        patch: next()?,
        pre: spaced(suffix),
        build: BuildMetadata::EMPTY,
    })
}

/// A pre-release whose numbers stand by themselves, so that they compare as numbers: `rc10` as
/// `rc.10`.
fn spaced(suffix: &str) -> Prerelease {
    let pieces = pieces(suffix);
    let pieces: Vec<&str> = pieces.iter().map(Piece::as_str).collect();
    Prerelease::new(&pieces.join(".")).unwrap_or_default()
}

/// The date that a tag begins with, and what follows it: `2026-1`, `2026-01-30`, `20260130`, with
/// a time perhaps.
fn date<'a>(core: &[&str], suffix: &'a str) -> Option<(Vec<u64>, &'a str)> {
    let [text] = core else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    let year = number(text.get(..4)?).filter(|year| YEARS.contains(year))?;
    let month = |text: &str| number(text).filter(|month| (1..=12).contains(month));
    let day = |text: &str| number(text).filter(|day| (1..=31).contains(day));
    match text.len() {
        4 => {
            let (first, rest) = part(suffix)?;
            let mut date = vec![year, month(first)?];
            let found = part(rest).and_then(|(text, rest)| Some((day(text)?, rest)));
            date.extend(found.map(|(day, _)| day));
            Some((date, found.map_or(rest, |(_, rest)| rest)))
        }
        8 | 12 | 14 => {
            let mut date = vec![year, month(&text[4..6])?, day(&text[6..8])?];
            date.extend(number(&text[8..]));
            Some((date, suffix))
        }
        _ => None,
    }
}

/// The one or two digits behind a `-`, if no more digits follow, and the rest.
fn part(suffix: &str) -> Option<(&str, &str)> {
    let text = suffix.strip_prefix('-')?;
    let digits = leading_digits(text.as_bytes()).len();
    (1..=2).contains(&digits).then(|| text.split_at(digits))
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let end = |is_in: fn(&u8) -> bool| rest.bytes().position(|b| !is_in(&b));
        let end = match first {
            b if b.is_ascii_digit() => end(u8::is_ascii_digit),
            b if b.is_ascii_alphabetic() => end(u8::is_ascii_alphabetic),
            // Separators: a tag has none but ASCII characters.
            _ => {
                rest = &rest[1..];
                continue;
            }
        };
        let (piece, next) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(Piece::of(piece));
        rest = next;
    }
    pieces
}

impl Piece {
    fn of(text: &str) -> Self {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Self::Word(text.to_ascii_lowercase());
        }
        let digits = match text.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        Self::Number(Number {
            length: digits.len(),
            digits: digits.to_owned(),
        })
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => &number.digits,
            Self::Word(word) => word,
        }
    }
}

/// Compares texts as people do: runs of digits by their value.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (x, y) = (leading_digits(left), leading_digits(right));
        let order = if x.is_empty() || y.is_empty() {
            match (left.split_first(), right.split_first()) {
                (None, None) => return a.cmp(b),
                (x, y) => x.map(|(c, _)| c).cmp(&y.map(|(c, _)| c)),
            }
        } else {
            let significant = |digits: &[u8]| {
                let zeros = digits.iter().take_while(|d| **d == b'0').count();
                (digits.len() - zeros, zeros)
            };
            let ((length, zeros), (other_length, other_zeros)) = (significant(x), significant(y));
            length
                .cmp(&other_length)
                .then_with(|| x[zeros..].cmp(&y[other_zeros..]))
        };
        if order != Ordering::Equal {
            return order;
        }
        left = &left[x.len().max(1)..];
        right = &right[y.len().max(1)..];
    }
}

fn leading_digits(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests;
