//! Variables in files: Go templates of regsync, and `${NAME}` of a shell.

use std::{cell::RefCell, collections::BTreeMap};

use regex::Regex;

use crate::{
    diagnostics::Remark,
    formats::Reader,
    model::{Sensitive, Setting},
};

/// `{{ env "NAME" }}`, `{{ file "/path" }}` or another expression.
const GO_VARIABLE: &str =
    r#"\{\{-?\s*(?:env\s+["`]([^"`\\]+)["`]|file\s+["`]([^"`\\]+)["`]|(.*?))\s*-?\}\}"#;

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
    let (mark, variable) = match syntax {
        Syntax::Go => ("{{", GO_VARIABLE),
        Syntax::Shell => ("$", r"\$\{(\w+)\}()()|\$(\w+)|\$"),
        Syntax::Literal => return vec![Part::Text(text)],
    };
    // Most texts have none, and an expression takes time to compile.
    let variable = text.contains(mark).then_some(variable);
    let variable = variable.and_then(|variable| Regex::new(variable).ok());
    let (mut parts, mut end) = (Vec::new(), 0);
    for found in variable
        .iter()
        .flat_map(|variable| variable.captures_iter(text))
    {
        let (whole, name) = (found.get_match(), |at| {
            found.get(at).map(|name| name.as_str())
        });
        if whole.start() > end {
            parts.push(Part::Text(&text[end..whole.start()]));
        }
        end = whole.end();
        parts.push(match (name(1).or(name(4)), name(2)) {
            (Some(name), _) => Part::Env(name),
            (None, Some(path)) => Part::File(path),
            (None, None) => Part::Expression(name(3).unwrap_or("$")),
        });
    }
    if end < text.len() {
        parts.push(Part::Text(&text[end..]));
    }
    parts
}

#[cfg(test)]
mod tests;
