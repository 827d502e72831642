//! Regular expressions as other tools write them, which are those of Go: as expressions for the
//! whole tag, and as globs where globs say the same.

use regex_syntax::{
    ast::{self, Ast},
    hir::{Class, Hir, HirKind},
};

/// What tags are made of; no other character of a pattern can ever match.
const OF_TAGS: &str = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// What the paths of repositories are made of.
const OF_PATHS: &str = "-./0123456789_abcdefghijklmnopqrstuvwxyz";

/// Globs that one expression may become.
const MOST_GLOBS: usize = 24;

/// The expression that matches a whole text wherever this one finds a match in it.
pub(super) fn whole(search: &str) -> Result<String, String> {
    let wrong = |reason: String| format!("the regular expression `{search}`: {reason}");
    let parsed = ast::parse::Parser::new().parse(search);
    let parsed = parsed.map_err(|error| wrong(error.kind().to_string()))?;
    // What Go takes and this program does not, such as sets in classes, shows here.
    parse(search).ok_or_else(|| wrong("its syntax is not known".into()))?;
    let branches = match &parsed {
        Ast::Alternation(alternation) => alternation.asts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let branches: Vec<String> = branches.iter().map(|ast| branch(search, ast)).collect();
    Ok(branches.join("|"))
}

fn branch(search: &str, ast: &Ast) -> String {
    let mut items = match ast {
        Ast::Empty(_) => &[],
        Ast::Concat(concat) => concat.asts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let begins = matches!(items.first(), Some(Ast::Assertion(a)) if matches!(
        a.kind,
        ast::AssertionKind::StartLine | ast::AssertionKind::StartText
    ));
    items = &items[usize::from(begins)..];
    let ends = matches!(items.last(), Some(Ast::Assertion(a)) if matches!(
        a.kind,
        ast::AssertionKind::EndLine | ast::AssertionKind::EndText
    ));
    items = &items[..items.len() - usize::from(ends)];
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return if begins && ends { "" } else { ".*" }.into();
    };
    let body = &search[first.span().start.offset..last.span().end.offset];
    let before = if begins || is_anything(first) {
        ""
    } else {
        ".*"
    };
    let after = if ends || is_anything(last) { "" } else { ".*" };
    format!("{before}{body}{after}")
}

/// Whether this is `.*`.
fn is_anything(ast: &Ast) -> bool {
    let Ast::Repetition(repetition) = ast else {
        return false;
    };
    repetition.op.kind == ast::RepetitionKind::ZeroOrMore && matches!(*repetition.ast, Ast::Dot(_))
}

/// One expression for whatever one of several matches.
pub(super) fn any_of(patterns: &[String]) -> String {
    let parts = patterns.iter().map(|pattern| match pattern.contains("(?") {
        // A flag counts to the end of its group.
        true if patterns.len() > 1 => format!("(?:{pattern})"),
        _ => pattern.clone(),
    });
    parts.collect::<Vec<_>>().join("|")
}

/// Whether the whole of a text matches.
pub(super) fn matches(whole: &str, text: &str) -> bool {
    regex::Regex::new(&format!("^(?:{whole})$")).is_ok_and(|regex| regex.is_match(text))
}

/// Whether a tag that matches may hold a character.
pub(super) fn may_hold(whole: &str, c: char) -> bool {
    parse(whole).is_none_or(|hir| holds(&hir, c))
}

fn holds(hir: &Hir, c: char) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&(c as u8)),
        HirKind::Class(class) => contains(class, c),
        HirKind::Repetition(repetition) => holds(&repetition.sub, c),
        HirKind::Capture(capture) => holds(&capture.sub, c),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(|part| holds(part, c))
        }
    }
}

fn contains(class: &Class, c: char) -> bool {
    match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&c)),
        Class::Bytes(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&(c as u8))),
    }
}

fn parse(text: &str) -> Option<Hir> {
    regex_syntax::Parser::new().parse(text).ok()
}

/// A part of what an expression matches.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    /// One of these characters.
    Class(String),
    /// Any text, or any that is not empty.
    Any {
        is_some: bool,
    },
    /// The same without `/`.
    Within {
        is_some: bool,
    },
}

/// The globs for tags that together match what an expression for the whole tag does.
pub(super) fn globs(whole: &str) -> Option<Vec<String>> {
    let ways = ways(&parse(whole)?, OF_TAGS)?;
    Some(ways.iter().map(|pieces| glob(pieces)).collect())
}

/// The same, if the globs are as short as people write them.
pub(super) fn plain_globs(whole: &str) -> Option<Vec<String>> {
    globs(whole).filter(|globs| !globs.iter().any(|glob| glob.contains(['?', '[', '\\'])))
}

fn glob(pieces: &[Piece]) -> String {
    let mut glob = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => text.chars().for_each(|c| {
                if "*?[]{}\\!,".contains(c) {
                    glob.push('\\');
                }
                glob.push(c);
            }),
            Piece::Class(chars) => glob.push_str(&class_glob(chars)),
            Piece::Any { is_some } | Piece::Within { is_some } => {
                glob.push_str(if *is_some { "?*" } else { "*" });
            }
        }
    }
    glob
}

/// A class as globs write it: `?`, `[0-9a]` or `[!-]`.
fn class_glob(chars: &str) -> String {
    let others: String = OF_TAGS.chars().filter(|c| !chars.contains(*c)).collect();
    match others.len() {
        0 => "?".into(),
        1..=3 => format!("[!{others}]"),
        _ => format!("[{}]", runs(chars)),
    }
}

/// `-` first, for it is no range there; three letters in a row and more as a range.
fn runs(chars: &str) -> String {
    let mut text = String::new();
    let mut rest: &[u8] = chars.as_bytes();
    while let Some(&first) = rest.first() {
        let is_next = |(at, c): &(usize, &u8)| usize::from(**c) == usize::from(first) + at;
        let length = rest.iter().enumerate().take_while(is_next).count();
        match (length, first.is_ascii_alphanumeric()) {
            (3.., true) => {
                text.push_str(&format!("{}-{}", first as char, rest[length - 1] as char))
            }
            _ => text.extend(rest[..length].iter().map(|c| *c as char)),
        }
        rest = &rest[length..];
    }
    text
}

/// The patterns of `from` that together match the repositories which an expression for their whole
/// path does.
pub(super) fn repositories(whole: &str) -> Option<Vec<String>> {
    let ways = ways(&parse(whole)?, OF_PATHS)?;
    let patterns = ways.iter().map(|pieces| repository(pieces));
    Some(patterns.collect::<Option<Vec<_>>>()?.concat())
}

fn repository(pieces: &[Piece]) -> Option<Vec<String>> {
    let mut patterns = vec![String::new()];
    for (at, piece) in pieces.iter().enumerate() {
        let begins = at == 0 || matches!(&pieces[at - 1], Piece::Text(text) if text.ends_with('/'));
        let next = pieces.get(at + 1);
        let is_before_slash = matches!(next, Some(Piece::Text(text)) if text.starts_with('/'));
        let endings: &[&str] = match piece {
            Piece::Text(text) => &[text],
            Piece::Class(_) => return None,
            Piece::Within { is_some } => match begins && (next.is_none() || is_before_slash) {
                false if *is_some => return None,
                _ => &["*"],
            },
            Piece::Any { is_some } => match (begins, next) {
                (true, None) => &["**"],
                (true, _) if is_before_slash => &["*/**"],
                (true, Some(Piece::Text(_))) if !is_some => &["**/*"],
                (false, None) if !is_some => &["*", "*/**"],
                _ => return None,
            },
        };
        let longer = patterns
            .iter()
            .flat_map(|text| endings.iter().map(move |end| format!("{text}{end}")));
        patterns = longer.collect();
    }
    Some(patterns)
}

/// The ways in which a text can match, if they are few and each is a row of pieces.
fn ways(hir: &Hir, alphabet: &str) -> Option<Vec<Vec<Piece>>> {
    let found = match hir.kind() {
        HirKind::Empty => vec![Vec::new()],
        HirKind::Literal(literal) => {
            let text = String::from_utf8(literal.0.to_vec()).ok()?;
            vec![vec![Piece::Text(text)]]
        }
        HirKind::Class(class) => {
            let chars: String = alphabet.chars().filter(|c| contains(class, *c)).collect();
            match chars.len() {
                0..=4 => chars.chars().map(|c| vec![Piece::Text(c.into())]).collect(),
                _ => vec![vec![Piece::Class(chars)]],
            }
        }
        HirKind::Look(_) => return None,
        HirKind::Capture(capture) => ways(&capture.sub, alphabet)?,
        HirKind::Alternation(parts) => {
            let parts = parts.iter().map(|part| ways(part, alphabet));
            parts.collect::<Option<Vec<_>>>()?.concat()
        }
        HirKind::Concat(parts) => {
            let parts = parts.iter().map(|part| ways(part, alphabet));
            let parts: Vec<_> = parts.collect::<Option<_>>()?;
            parts.into_iter().try_fold(vec![Vec::new()], product)?
        }
        HirKind::Repetition(repetition) => repeated(repetition, alphabet)?,
    };
    (found.len() <= MOST_GLOBS).then(|| found.into_iter().map(joined).collect())
}

fn repeated(repetition: &regex_syntax::hir::Repetition, alphabet: &str) -> Option<Vec<Vec<Piece>>> {
    let least = repetition.min;
    if let (HirKind::Class(class), None) = (repetition.sub.kind(), repetition.max) {
        let is_some = match least {
            0 => false,
            1 => true,
            _ => return None,
        };
        let is_every = |c: char| contains(class, c);
        if alphabet.chars().all(is_every) {
            return Some(vec![vec![Piece::Any { is_some }]]);
        }
        if alphabet.chars().filter(|c| *c != '/').all(is_every) {
            return Some(vec![vec![Piece::Within { is_some }]]);
        }
    }
    let most = repetition.max.filter(|most| *most <= 8)?;
    let once = ways(&repetition.sub, alphabet)?;
    let mut found = Vec::new();
    for count in (least..=most).rev() {
        let times = (0..count).map(|_| once.clone());
        found.extend(times.into_iter().try_fold(vec![Vec::new()], product)?);
    }
    Some(found)
}

/// Each way of the one followed by each of the other.
fn product(before: Vec<Vec<Piece>>, after: Vec<Vec<Piece>>) -> Option<Vec<Vec<Piece>>> {
    let count = before.len() * after.len();
    (count <= MOST_GLOBS).then(|| {
        let pairs = before
            .iter()
            .flat_map(|way| after.iter().map(move |next| [&way[..], &next[..]].concat()));
        pairs.collect()
    })
}

/// The same with neighbouring texts in one.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(text)), Piece::Text(next)) => text.push_str(&next),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
