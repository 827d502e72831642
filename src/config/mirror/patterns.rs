//! Compiled patterns that compare by their text: equal ones select the same.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::RegexSet;

/// A set of globs.
#[derive(Clone, Debug)]
pub struct Globs {
    written: Vec<String>,
    set: GlobSet,
}

impl Globs {
    /// Compiles globs that were parsed with [`glob`].
    pub(crate) fn new(globs: &[globset::Glob]) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(glob.clone());
        }
        Ok(Self {
            written: globs.iter().map(|glob| glob.glob().to_owned()).collect(),
            set: set.build()?,
        })
    }

    /// The globs as written.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Whether any of the globs matches a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.set.is_match(text)
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Globs {}

/// Parses one glob.
pub(crate) fn glob(text: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(text).backslash_escape(true).build()
}

/// A set of regular expressions.
#[derive(Clone, Debug)]
pub struct Expressions(RegexSet);

impl Expressions {
    /// Compiles expressions.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, regex::Error> {
        RegexSet::new(texts).map(Self)
    }

    /// The expressions as written.
    pub fn written(&self) -> &[String] {
        self.0.patterns()
    }

    /// Whether any of the expressions matches a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Expressions {
    fn eq(&self, other: &Self) -> bool {
        self.0.patterns() == other.0.patterns()
    }
}

impl Eq for Expressions {}
