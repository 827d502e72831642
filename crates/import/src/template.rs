//! Variables in files: Go templates of regsync, and `${NAME}` of a shell.

use std::{cell::RefCell, collections::BTreeMap};

use crate::{
    diagnostics::Remark,
    formats::Reader,
    model::{Sensitive, Setting},
};

/// Words in names of variables whose values are never printed.
const SECRET_WORDS: [&str; 5] = ["PASS", "SECRET", "TOKEN", "KEY", "CRED"];

/// How a file writes variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `{{ env "NAME" }}`
    Go,
    /// `$NAME` and `${NAME}`
    Shell,
    /// There are none.
    Literal,
}

/// What stands in a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Env(&'a str),
    File(&'a str),
    /// Anything else that is computed, such as `.Sync.Source`.
    Expression(&'a str),
}

/// The values of variables in names, and the variables that have none.
pub(crate) struct Variables<'a> {
    lookup: crate::Lookup<'a>,
    /// The first line of each, and the number of places that need it.
    missing: RefCell<BTreeMap<String, (usize, usize)>>,
}

/// Why a text is not filled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// A variable has no value. It is reported once for all places.
    Missing,
    Wrong(String),
}

impl From<String> for Unfilled {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl<'a> Variables<'a> {
    pub(crate) fn new(lookup: crate::Lookup<'a>) -> Self {
        let missing = RefCell::default();
        Self { lookup, missing }
    }

    /// A text with its variables filled in. `fields` are the expressions that have values.
    pub(crate) fn fill(
        &self,
        text: &str,
        syntax: Syntax,
        line: usize,
        fields: &[(&str, &str)],
    ) -> Result<String, Unfilled> {
        let mut filled = String::new();
        for part in parts(text, syntax) {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Env(name) => match (self.lookup)(name) {
                    Some(value) => filled.push_str(&value),
                    None => {
                        let mut missing = self.missing.borrow_mut();
                        missing.entry(name.to_owned()).or_insert((line, 0)).1 += 1;
                        return Err(Unfilled::Missing);
                    }
                },
                Part::File(text) | Part::Expression(text) => {
                    let known = fields.iter().find(|(name, _)| *name == text);
                    let wrong = || format!("`{text}` has no value here: write it out");
                    filled.push_str(known.ok_or_else(wrong)?.1);
                }
            }
        }
        Ok(filled)
    }

    /// One remark for all variables without a value.
    pub(crate) fn remark(&self, reader: &Reader<'_>) -> Option<Remark> {
        let missing = self.missing.borrow();
        let first = missing.values().map(|(line, _)| *line).min()?;
        let uses: usize = missing.values().map(|(_, count)| count).sum();
        let sets = missing.keys().take(3).map(|name| format!("--set {name}=…"));
        let mut sets = sets.collect::<Vec<_>>().join(" ");
        if let Some(more) = missing.len().checked_sub(4) {
            sets.push_str(&format!(" and {} more", more + 1));
        }
        let text = format!(
            "{uses} names hold a variable without a value: import again with {sets}, or with these \
             variables in the environment"
        );
        Some(reader.loss(first, text))
    }
}

/// Whether the value of a variable may be printed.
pub(crate) fn is_printable(name: &str) -> bool {
    let upper = name.to_uppercase();
    !SECRET_WORDS.iter().any(|word| upper.contains(word))
}

/// A user name or a password, or where it is. None if it is computed.
pub(crate) fn credential(text: &str, syntax: Syntax) -> Option<Setting> {
    match parts(text.trim(), syntax).as_slice() {
        [Part::Env(name)] => Some(Setting::Elsewhere("env", (*name).into())),
        [Part::File(path)] => Some(Setting::Elsewhere("file", (*path).into())),
        [Part::Text(_)] => Some(Setting::Password(Sensitive(text.into()))),
        _ => None,
    }
}

/// A template in which `field` stands once, as `tag` and `backup_tag` take it.
pub(crate) fn tag(text: &str, field: &str) -> Option<String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let mut tag = String::new();
    for part in parts(text.trim(), Syntax::Go) {
        match part {
            Part::Text(text) if text.chars().all(is_legal) => tag.push_str(text),
            Part::Expression(name) if name == field && !tag.contains('{') => tag.push_str("{tag}"),
            _ => return None,
        }
    }
    tag.contains('{').then_some(tag)
}

fn parts(text: &str, syntax: Syntax) -> Vec<Part<'_>> {
    let next = match syntax {
        Syntax::Go => next_go,
        Syntax::Shell => next_shell,
        Syntax::Literal => return vec![Part::Text(text)],
    };
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, part, after)) = next(rest) {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(part);
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

/// What is before the first variable, the variable, and what is behind it.
type Found<'a> = (&'a str, Part<'a>, &'a str);

fn next_go(text: &str) -> Option<Found<'_>> {
    let (before, rest) = text.split_once("{{")?;
    let (inside, after) = rest.split_once("}}")?;
    let inside = inside.trim_matches('-').trim();
    let (function, argument) = inside.split_once(' ').unwrap_or(("", ""));
    let argument = argument.trim();
    let bare = |quote: char| argument.strip_prefix(quote)?.strip_suffix(quote);
    let argument = bare('"').or_else(|| bare('`'));
    let argument = argument.filter(|text| !text.contains(['"', '`', '\\']));
    let part = match (function, argument) {
        ("env", Some(name)) => Part::Env(name),
        ("file", Some(path)) => Part::File(path),
        _ => Part::Expression(inside),
    };
    Some((before, part, after))
}

fn next_shell(text: &str) -> Option<Found<'_>> {
    let (before, rest) = text.split_once('$')?;
    let end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let braced = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let (name, after) = match braced {
        Some((name, after)) if end(name).is_none() => (name, after),
        _ => rest.split_at(end(rest).unwrap_or(rest.len())),
    };
    match name {
        "" => Some((before, Part::Expression("$"), after)),
        name => Some((before, Part::Env(name), after)),
    }
}

#[cfg(test)]
mod tests;
