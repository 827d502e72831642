//! Go's regular expressions, as expressions for a whole text and as globs that match the same.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// The characters of tags and of paths. Others never match.
const CHARACTERS: &str = "-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// Most globs that one expression becomes.
const MAX_GLOBS: usize = 24;

/// The expression that matches a whole text wherever this one finds a match in it.
pub(crate) fn whole(search: &str) -> Result<String, String> {
    Regex::new(search).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        format!("the regular expression `{search}`: {reason}")
    })?;
    let branches = branches(search).into_iter().map(|branch| {
        let (bare, begins) = match branch.strip_prefix('^') {
            Some(bare) => (bare, true),
            None => (branch, branch.starts_with(".*")),
        };
        let (bare, ends) = match bare.strip_suffix('$') {
            Some(rest) if !rest.ends_with('\\') => (rest, true),
            _ => (bare, bare.ends_with(".*") && !bare.ends_with("\\.*")),
        };
        let open = |is_bound: bool| if is_bound { "" } else { ".*" };
        match bare {
            "" => open(begins && ends).to_owned(),
            bare => format!("{}{bare}{}", open(begins), open(ends)),
        }
    });
    Ok(branches.collect::<Vec<_>>().join("|"))
}

/// The alternatives of an expression, outside of groups and classes.
fn branches(search: &str) -> Vec<&str> {
    let (mut depth, mut is_class, mut is_escaped, mut start) = (0, false, false, 0);
    let mut branches = Vec::new();
    for (at, c) in search.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' => is_class = false,
            '[' => is_class = true,
            '(' if !is_class => depth += 1,
            ')' if !is_class => depth -= 1,
            '|' if !is_class && depth == 0 => {
                branches.push(&search[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&search[start..]);
    branches
}

/// One expression for what any of several match.
pub(crate) fn any_of(patterns: &[String]) -> String {
    let parts = patterns.iter().map(|pattern| match pattern.contains("(?") {
        // A flag counts to the end of its group.
        true if patterns.len() > 1 => format!("(?:{pattern})"),
        _ => pattern.clone(),
    });
    parts.collect::<Vec<_>>().join("|")
}

/// Whether the whole of a text matches.
pub(crate) fn matches(whole: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{whole})$")).is_ok_and(|regex| regex.is_match(text))
}

/// Whether a text that matches may hold a `-`.
pub(crate) fn may_hold_hyphen(whole: &str) -> bool {
    fn holds(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => false,
            HirKind::Literal(literal) => literal.0.contains(&b'-'),
            HirKind::Class(class) => contains(class, '-'),
            HirKind::Repetition(repetition) => holds(&repetition.sub),
            HirKind::Capture(capture) => holds(&capture.sub),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(holds),
        }
    }
    regex_syntax::parse(whole).map_or(true, |hir| holds(&hir))
}

fn contains(class: &Class, c: char) -> bool {
    let Class::Unicode(class) = class else {
        return false;
    };
    let mut ranges = class.iter();
    ranges.any(|range| (range.start()..=range.end()).contains(&c))
}

/// The globs for tags that together match what an expression for the whole tag does.
pub(crate) fn globs(whole: &str) -> Option<Vec<String>> {
    let globs = wildcards(&regex_syntax::parse(whole).ok()?)?;
    let of_tags = globs.iter().map(|glob| glob.replace("**", "*"));
    let is_exact = globs.iter().all(|glob| !glob.contains('?'));
    is_exact.then(|| of_tags.collect())
}

/// The patterns of `from` that together match the paths that an expression for the whole does.
pub(crate) fn repositories(whole: &str) -> Option<Vec<String>> {
    let found = wildcards(&regex_syntax::parse(whole).ok()?)?;
    let patterns = found.iter().map(|glob| {
        let mut patterns = vec![String::new()];
        let count = glob.split('/').count();
        for (at, part) in glob.split('/').enumerate() {
            let is_last = at + 1 == count;
            let is_plain = |rest: &&str| !rest.contains(['*', '?']);
            let any_begins = part.strip_prefix("**").filter(is_plain);
            let any_ends = part.strip_suffix("**").filter(is_plain);
            let endings = match (any_begins, any_ends) {
                (Some(""), _) if is_last => vec!["**".to_owned()],
                (Some(""), _) => vec!["*/**".to_owned()],
                (Some(name), _) => vec![format!("**/*{name}")],
                (_, Some(name)) if is_last => vec![format!("{name}*"), format!("{name}*/**")],
                _ if part == "?*" => vec!["*".to_owned()],
                _ if part == "?**" => vec![if is_last { "**" } else { "*/**" }.to_owned()],
                _ if part.contains("**") || part.contains('?') => return None,
                _ => vec![part.to_owned()],
            };
            let slash = if at == 0 { "" } else { "/" };
            let endings = endings.into_iter().map(|end| format!("{slash}{end}"));
            patterns = product(patterns, endings.collect())?;
        }
        Some(patterns)
    });
    Some(patterns.collect::<Option<Vec<_>>>()?.concat())
}

/// The globs that match what an expression does, if they are few: `*` is any text within a part of
/// a path, `**` any text, and `?` before one says that the text is not empty.
fn wildcards(hir: &Hir) -> Option<Vec<String>> {
    let found = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => {
            let text = String::from_utf8(literal.0.to_vec()).ok()?;
            let is_plain = text.chars().all(|c| CHARACTERS.contains(c));
            vec![Some(text).filter(|_| is_plain)?]
        }
        HirKind::Capture(capture) => wildcards(&capture.sub)?,
        HirKind::Alternation(parts) => {
            let parts = parts.iter().map(wildcards);
            parts.collect::<Option<Vec<_>>>()?.concat()
        }
        HirKind::Concat(parts) => {
            let parts: Vec<_> = parts.iter().map(wildcards).collect::<Option<_>>()?;
            parts.into_iter().try_fold(vec![String::new()], product)?
        }
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(1)) => [wildcards(&repetition.sub)?, vec![String::new()]].concat(),
            (min @ (0 | 1), None) => {
                let HirKind::Class(class) = repetition.sub.kind() else {
                    return None;
                };
                let mut others = CHARACTERS.chars().filter(|c| !contains(class, *c));
                let some = if min == 1 { "?" } else { "" };
                match (others.next(), others.next()) {
                    (None, _) => vec![format!("{some}**")],
                    (Some('/'), None) => vec![format!("{some}*")],
                    _ => return None,
                }
            }
            _ => return None,
        },
        HirKind::Class(class) => {
            let chars = CHARACTERS.chars().filter(|c| contains(class, *c));
            let chars: Vec<String> = chars.map(String::from).collect();
            Some(chars).filter(|chars| chars.len() <= 4)?
        }
        HirKind::Look(_) => return None,
    };
    (found.len() <= MAX_GLOBS).then_some(found)
}

/// Each text of the one followed by each of the other.
fn product(before: Vec<String>, after: Vec<String>) -> Option<Vec<String>> {
    let is_few = before.len() * after.len() <= MAX_GLOBS;
    let pairs = before
        .iter()
        .flat_map(|a| after.iter().map(move |b| format!("{a}{b}")));
    is_few.then(|| pairs.collect())
}

#[cfg(test)]
mod tests;
