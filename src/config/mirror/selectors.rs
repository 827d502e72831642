//! Validates the selectors of one entry.

#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use regex::Regex;
use semver::VersionReq;
use toml::Spanned;

use crate::config::{
    Expressions, Globs, Selectors,
    mirror::{patterns::glob, tag_glob},
    parse::{
        diagnostics::Problems,
        file::{MirrorEntry, Strings},
    },
};

/// Reads the selectors of an entry that has the defaults filled in.
pub(crate) fn selectors(entry: &MirrorEntry, problems: &mut Problems) -> Selectors {
    let latest = entry.latest.as_ref().and_then(|latest| {
        count(latest, problems, || {
            let message = format!("`latest = {}` selects nothing", latest.get_ref());
            (message, "write how many of the newest tags to keep")
        })
    });
    let mut guard = |key: &str, written: Option<&Spanned<i64>>| {
        let written = written?;
        // It says that an entry may select nothing, which is a mistake otherwise.
        if key == "min_tags" && *written.get_ref() == 0 {
            return Some(0);
        }
        count(written, problems, || {
            let message = format!("`{key} = {}` guards nothing", written.get_ref());
            (message, "write a number of tags from 1 on")
        })
    };
    let min_tags = guard("min_tags", entry.min_tags.as_ref());
    let max_tags = guard("max_tags", entry.max_tags.as_ref());
    if let (Some(min), Some(max), Some(place)) = (min_tags, max_tags, &entry.max_tags)
        && min > max
    {
        let message = "`max_tags` is less than `min_tags`, so every selection is refused";
        problems.error(place.span(), message, "exchange the two numbers");
    }
    if let (Some(min), Some(latest), Some(place)) = (min_tags, latest, &entry.min_tags)
        && min > latest
    {
        let message = "`min_tags` is above `latest`, so every selection is refused";
        problems.error(place.span(), message, format!("write at most {latest}"));
    }
    Selectors {
        tags: globs(entry.tags.as_ref(), "tags", problems),
        regex: entry
            .regex
            .as_ref()
            .and_then(|regex| anchored(regex, "regex", problems))
            .and_then(|regex| Expressions::new([regex.as_str()]).ok()),
        semver: entry
            .semver
            .as_ref()
            .and_then(|range| version_range(range, problems)),
        exclude: globs(entry.exclude.as_ref(), "exclude", problems),
        exclude_regex: excluded(entry.exclude_regex.as_ref(), problems),
        max_age: entry
            .max_age
            .as_ref()
            .and_then(|age| duration(age, problems)),
        latest,
        min_tags,
        max_tags,
    }
}

/// A number from 1 on, or an error.
fn count(
    written: &Spanned<i64>,
    problems: &mut Problems,
    wrong: impl FnOnce() -> (String, &'static str),
) -> Option<usize> {
    match usize::try_from(*written.get_ref()) {
        Ok(count) if count > 0 => Some(count),
        _ => {
            let (message, help) = wrong();
            problems.error(written.span(), message, help);
            None
        }
    }
}

fn duration(written: &Spanned<String>, problems: &mut Problems) -> Option<Duration> {
    match humantime::parse_duration(written.get_ref()) {
        Ok(age) if !age.is_zero() => Some(age),
        _ => {
            let message = format!("`{}` is not a duration", written.get_ref());
            let help = "write how old a tag may be, such as \"180d\"";
            problems.error(written.span(), message, help);
            None
        }
    }
}

/// A set of globs for tags under a key, which messages name.
pub(crate) fn globs(list: Option<&Strings>, key: &str, problems: &mut Problems) -> Option<Globs> {
    let list = list?.get_ref();
    for text in list {
        if let Some((message, help)) = tag_glob::mistake(text.get_ref(), key) {
            problems.error(text.span(), message, help);
        }
    }
    glob_set(list, key, problems)
}

/// The same for a list at hand.
pub(crate) fn glob_set(
    list: &[Spanned<String>],
    key: &str,
    problems: &mut Problems,
) -> Option<Globs> {
    let mut globs = Vec::new();
    for text in list {
        match glob(text.get_ref()) {
            Ok(glob) => globs.push(glob),
            Err(error) => {
                let message = format!("bad glob in `{key}`: {}", error.kind());
                let help = "use `*`, `?`, `[abc]` and `{a,b}`, as in \"v1.*\"";
                problems.error(text.span(), message, help);
            }
        }
    }
    Globs::new(&globs).ok()
}

fn excluded(list: Option<&Strings>, problems: &mut Problems) -> Option<Expressions> {
    let list = list?.get_ref().iter();
    let parsed: Vec<_> = list
        .map(|text| anchored(text, "exclude_regex", problems))
        .collect();
    // Each was compiled by itself, so all of them together fail only if they are too large.
    let parsed: Option<Vec<Regex>> = parsed.into_iter().collect();
    Expressions::new(parsed?.iter().map(Regex::as_str)).ok()
}

fn anchored(regex: &Spanned<String>, key: &str, problems: &mut Problems) -> Option<Regex> {
    let text = regex.get_ref();
    // Compiled by itself first: `a)(b` would be legal only inside the group.
    match Regex::new(text).and_then(|_| Regex::new(&format!("^(?:{text})$"))) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            let message = format!("bad `{key}`: {reason}");
            let help = "see docs.rs/regex for the syntax; the whole tag must match, `^` and `$` \
                        are implied";
            problems.error(regex.span(), message, help);
            None
        }
    }
}

fn version_range(range: &Spanned<String>, problems: &mut Problems) -> Option<VersionReq> {
    match VersionReq::parse(range.get_ref()) {
        Ok(range) => Some(range),
        Err(error) => {
            let message = format!("bad `semver` range: {error}");
            problems.error(
                range.span(),
                message,
                "write a range such as \">=1.31, <1.34\"",
            );
            None
        }
    }
}

impl fmt::Display for Selectors {
    /// Selectors as `mirror.toml` has them, in the order in which they apply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |key: &str, values: &[String]| format!("{key} = {values:?}");
        let duration = |age| humantime::format_duration(age).to_string();
        let parts = [
            self.tags
                .as_ref()
                .map(|globs| list("tags", globs.written())),
            self.regex
                .as_ref()
                .map(|regex| list("regex", regex.written())),
            self.semver
                .as_ref()
                .map(|range| format!("semver = \"{range}\"")),
            self.exclude
                .as_ref()
                .map(|globs| list("exclude", globs.written())),
            self.exclude_regex
                .as_ref()
                .map(|regex| list("exclude_regex", regex.written())),
            self.max_age
                .map(|age| format!("max_age = \"{}\"", duration(age))),
            self.latest.map(|count| format!("latest = {count}")),
            self.min_tags.map(|count| format!("min_tags = {count}")),
            self.max_tags.map(|count| format!("max_tags = {count}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join("  "))
    }
}
