//! Reads one TOML table key by key, so that every mistake in it is found and none hides another.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::config::parse::{diagnostics::Problems, redact::is_secret_key};

/// What a key that is a switch or a list asks for.
#[derive(Clone, Debug)]
pub(crate) enum SwitchOrList {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// What these name.
    Some(Vec<Spanned<String>>),
}

/// A table being read. What is left in it at the end is unknown.
pub(crate) struct TableReader<'p, 'i> {
    name: String,
    span: Range<usize>,
    table: DeTable<'i>,
    asked: Vec<&'static str>,
    problems_before: usize,
    problems: &'p mut Problems,
}

impl<'p, 'i> TableReader<'p, 'i> {
    /// Starts to read a table, called `name` in messages.
    pub(crate) fn new(
        name: impl Into<String>,
        table: Spanned<DeTable<'i>>,
        problems: &'p mut Problems,
    ) -> Self {
        Self {
            name: name.into(),
            span: table.span(),
            table: table.into_inner(),
            asked: Vec::new(),
            problems_before: problems.len(),
            problems,
        }
    }

    /// Where the table stands.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Notes an error about something in the table.
    pub(crate) fn error_at(&mut self, span: Range<usize>, message: String, help: &str) {
        self.problems.error(span, message, help);
    }

    /// The value of a key as any type that serde can read.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        expected: &str,
    ) -> Option<Spanned<T>> {
        let value = self.remove(key)?;
        let span = value.span();
        if value.get_ref().is_table() || value.get_ref().is_array() {
            hide_all(&value, self.problems);
        }
        match T::deserialize(toml::de::ValueDeserializer::from(value)) {
            Ok(read) => Some(Spanned::new(span, read)),
            Err(error) => {
                let message = format!("bad value for `{key}`: {}", error.message());
                self.problems
                    .error(span, message, format!("write {expected}"));
                None
            }
        }
    }

    /// The value of a key that may be one string or a list of them.
    pub(crate) fn strings(&mut self, key: &'static str) -> Option<Spanned<Vec<Spanned<String>>>> {
        let value = self.remove(key)?;
        let span = value.span();
        let items = match value.into_inner() {
            DeValue::Array(items) => items.into_iter().collect(),
            other => vec![Spanned::new(span.clone(), other)],
        };
        let before = items.len();
        let strings: Vec<_> = items
            .into_iter()
            .filter_map(|item| self.string(key, item, "write a string, or a list of strings"))
            .collect();
        if before == 0 {
            let message = format!("`{key}` is an empty list");
            self.problems
                .error(span, message, "name at least one, or leave the key out");
            return None;
        }
        (strings.len() == before).then(|| Spanned::new(span, strings))
    }

    fn string(
        &mut self,
        key: &str,
        item: Spanned<DeValue<'i>>,
        help: &str,
    ) -> Option<Spanned<String>> {
        let span = item.span();
        match item.into_inner() {
            DeValue::String(text) => Some(Spanned::new(span, text.into_owned())),
            other => {
                let message = format!(
                    "bad value for `{key}`: this is of type {}",
                    other.type_str()
                );
                hide_value(&other, span.clone(), self.problems);
                self.problems.error(span, message, help);
                None
            }
        }
    }

    /// The value of a key that may be a switch, one string, or a list of strings.
    pub(crate) fn switch_or_strings(&mut self, key: &'static str) -> Option<Spanned<SwitchOrList>> {
        match self
            .table
            .get(key)
            .map(|value| (value.span(), value.get_ref().as_bool()))
        {
            Some((span, Some(is_wanted))) => {
                self.remove(key);
                Some(Spanned::new(
                    span,
                    if is_wanted {
                        SwitchOrList::All
                    } else {
                        SwitchOrList::None
                    },
                ))
            }
            _ => self.strings(key).map(|strings| {
                let span = strings.span();
                Spanned::new(span, SwitchOrList::Some(strings.into_inner()))
            }),
        }
    }

    /// Hides the value of a key from every message, unless it is a table, which only says where
    /// the secret lies.
    pub(crate) fn hide(&mut self, key: &str) {
        if let Some(value) = self.table.get(key)
            && !value.get_ref().is_table()
        {
            self.problems.hide(value.span());
        }
    }

    /// A table under this one.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<TableReader<'_, 'i>> {
        let value = self.remove(key)?;
        self.subsection(format!("[{key}]"), value)
    }

    /// A value that is either a string or a table: the string is returned as `Err`.
    pub(crate) fn string_or_section(
        &mut self,
        key: &'static str,
        help: &str,
    ) -> Option<Result<TableReader<'_, 'i>, Spanned<String>>> {
        let value = self.remove(key)?;
        match value.get_ref() {
            DeValue::Table(_) => self.subsection(format!("`{key}`"), value).map(Ok),
            _ => self.string(key, value, help).map(Err),
        }
    }

    /// A value that is either a table, or one string or a list of them: the strings are returned as
    /// `Err`.
    pub(crate) fn strings_or_section(
        &mut self,
        key: &'static str,
    ) -> Option<Result<TableReader<'_, 'i>, Spanned<Vec<Spanned<String>>>>> {
        let value = self.table.get(key);
        if !value.is_some_and(|value| value.get_ref().is_table()) {
            return self.strings(key).map(Err);
        }
        let value = self.remove(key)?;
        self.subsection(format!("`{key}`"), value).map(Ok)
    }

    /// A value that is either a string or a list of tables, each handed to `read`: the string is
    /// returned as `Err`.
    pub(crate) fn string_or_each<T>(
        &mut self,
        key: &'static str,
        help: &str,
        read: impl FnMut(TableReader<'_, 'i>) -> T,
    ) -> Option<Result<Vec<T>, Spanned<String>>> {
        let value = self.remove(key)?;
        let span = value.span();
        let wrong = match value.into_inner() {
            DeValue::String(text) => return Some(Err(Spanned::new(span, text.into_owned()))),
            DeValue::Array(items) if items.is_empty() => format!("`{key}` is an empty list"),
            DeValue::Array(items) => {
                let mut read = read;
                let items = items.into_iter();
                let read = items
                    .filter_map(|item| self.subsection(format!("`{key}`"), item).map(&mut read));
                return Some(Ok(read.collect()));
            }
            other => {
                hide_value(&other, span.clone(), self.problems);
                format!(
                    "bad value for `{key}`: this is of type {}",
                    other.type_str()
                )
            }
        };
        self.problems.error(span, wrong, help);
        None
    }

    /// The tables of an array of tables, each handed to `read`.
    pub(crate) fn each<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(TableReader<'_, 'i>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.remove(key) else {
            return Vec::new();
        };
        let span = value.span();
        if !value.get_ref().is_array() {
            hide_all(&value, self.problems);
        }
        let DeValue::Array(items) = value.into_inner() else {
            let message = format!("`{key}` is not a list of tables");
            self.problems
                .error(span, message, format!("start each entry with [[{key}]]"));
            return Vec::new();
        };
        let name = format!("[[{key}]]");
        let items = items.into_iter();
        items
            .filter_map(|item| self.subsection(name.clone(), item).map(&mut read))
            .collect()
    }

    /// The tables of a table of tables, each handed to `read` with its key.
    pub(crate) fn each_named<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(Spanned<String>, TableReader<'_, 'i>) -> T,
    ) -> Vec<T> {
        let Some(value) = self.remove(key) else {
            return Vec::new();
        };
        let Some(outer) = self.subsection(format!("[{key}]"), value) else {
            return Vec::new();
        };
        let TableReader {
            table, problems, ..
        } = outer;
        let mut read_all = Vec::new();
        for (name, value) in table {
            let name = Spanned::new(name.span(), name.into_inner().into_owned());
            let title = format!("[{key}.\"{}\"]", name.get_ref());
            let mut parent = TableReader::new(
                String::new(),
                Spanned::new(value.span(), DeTable::default()),
                &mut *problems,
            );
            if let Some(section) = parent.subsection(title, value) {
                read_all.push(read(name, section));
            }
        }
        read_all
    }

    fn subsection(
        &mut self,
        name: String,
        value: Spanned<DeValue<'i>>,
    ) -> Option<TableReader<'_, 'i>> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(TableReader::new(
                name,
                Spanned::new(span, table),
                self.problems,
            )),
            other => {
                hide_value(&other, span.clone(), self.problems);
                let message = format!("{name} is of type {}, not a table", other.type_str());
                self.problems
                    .error(span, message, format!("write {name} and its keys below it"));
                None
            }
        }
    }

    fn remove(&mut self, key: &'static str) -> Option<Spanned<DeValue<'i>>> {
        self.asked.push(key);
        self.table.remove(key)
    }

    /// Ends the reading: every key that nobody asked for is an error with a suggestion. Tells
    /// whether the table was read whole, so that no problem is reported as the consequence of another.
    /// The value of such a key may be a secret under another name, and is hidden unless the key is
    /// one with no secret in it but for one slip of the fingers.
    pub(crate) fn finish(self) -> bool {
        for (key, value) in &self.table {
            let written: &str = key.get_ref();
            let message = format!("unknown key `{written}` in {}", self.name);
            let known = closest(written, self.asked.iter().copied());
            // In a word of three letters, a slip makes any other.
            let is_slip =
                |known: &str| known.len() > 3 && strsim::damerau_levenshtein(written, known) == 1;
            let is_harmless = known.is_some_and(|known| is_slip(known) && !is_secret_key(known));
            if !is_harmless || is_secret_key(written) {
                hide_all(value, self.problems);
            }
            let help = match (misplaced(written), known) {
                (Some(place), _) if !self.asked.contains(&written) => {
                    format!("`{written}` belongs elsewhere: move it {place}")
                }
                (_, Some(known)) => format!("did you mean `{known}`?"),
                (_, None) => format!("the keys here are: {}", self.asked.join(", ")),
            };
            self.problems.error(key.span(), message, help);
        }
        self.problems.len() == self.problems_before
    }
}

/// Where a key belongs that is written below the wrong table.
fn misplaced(key: &str) -> Option<&'static str> {
    Some(match key {
        "timezone" => "to the top of the file, above the first [table]",
        "drain" => "to [state]",
        "listen" => "to [http]",
        "traffic" => "to [limits]",
        "schedule" | "every" | "jitter" | "max_lag" | "paused" | "target" | "tags" | "exclude"
        | "semver" | "latest" | "platforms" | "prune" => "to a [[mirror]], or to [defaults]",
        "name" | "exclude_repositories" => "to a [[mirror]]",
        "plain_http" | "ca_file" | "connections" | "chunk" | "stall" | "login" => {
            "to [registries.\"HOST\"]"
        }
        _ => return None,
    })
}

fn hide_all(value: &Spanned<DeValue<'_>>, problems: &mut Problems) {
    hide_value(value.get_ref(), value.span(), problems);
}

/// Hides all that stands in a value, but not the keys in it.
fn hide_value(value: &DeValue<'_>, span: Range<usize>, problems: &mut Problems) {
    match value {
        DeValue::Table(table) => table.values().for_each(|value| hide_all(value, problems)),
        DeValue::Array(items) => items.iter().for_each(|item| hide_all(item, problems)),
        DeValue::Boolean(_) => {}
        _ => problems.hide(span),
    }
}

/// The known word that a misspelt one was most likely meant to be: the nearest, and among equally near ones that of the same length.
pub fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::damerau_levenshtein(written, word), word))
        .filter(|(distance, word)| *distance <= word.len().div_ceil(3).max(1))
        .min_by_key(|(distance, word)| (*distance, word.len().abs_diff(written.len()), *word))
        .map(|(_, word)| word)
}
