//! Variables in files: Go templates of regsync, and `${NAME}` of a shell.

use regex::Regex;

use crate::model::Toml;

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
pub(crate) enum Part<'a> {
    Text(&'a str),
    Env(&'a str),
    File(&'a str),
    /// Anything else that is computed, such as `.Sync.Source`.
    Expression(&'a str),
}

/// Where a user name or a password is: `Some(None)` if the file holds it, and None if it is computed.
pub(crate) fn elsewhere(text: &str, syntax: Syntax) -> Option<Option<Toml>> {
    match parts(text.trim(), syntax).as_slice() {
        [Part::Env(name)] => Some(Some(Toml::elsewhere("env", name))),
        [Part::File(path)] => Some(Some(Toml::elsewhere("file", path))),
        [Part::Text(_)] => Some(None),
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

/// The parts of a text.
pub(crate) fn parts(text: &str, syntax: Syntax) -> Vec<Part<'_>> {
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
