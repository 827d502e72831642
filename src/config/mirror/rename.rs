//! Tag renaming: the name of a source's tag at the target.

use crate::oci::{NameError, Tag};

/// A parsed `tag`. It never gives two tags one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rename {
    /// A template such as `{tag}-mirror`.
    Template {
        /// The text before `{tag}`.
        before: String,
        /// The text after it.
        after: String,
    },
    /// The one tag that an entry names, and its name at the target.
    Fixed {
        /// The source's tag.
        source: Tag,
        /// The target's.
        target: Tag,
    },
}

impl Default for Rename {
    /// `{tag}`.
    fn default() -> Self {
        let (before, after) = (String::new(), String::new());
        Self::Template { before, after }
    }
}

impl Rename {
    /// Parses a template, or returns what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((before, after)) = text.split_once("{tag}") else {
            return Err("it does not hold {tag}, so every tag would get one name".into());
        };
        let rename = Self::Template {
            before: before.into(),
            after: after.into(),
        };
        // Any tag does for a trial of the text around it.
        let trial = rename.target(&"x".parse().map_err(|e: NameError| e.to_string())?);
        trial.map(|_| rename).map_err(|error| error.to_string())
    }

    /// Parses a template, or the name of the one tag that an entry names.
    pub(crate) fn parse_for(text: &str, source: &Tag) -> Result<Self, String> {
        if text.contains('{') {
            return Self::parse(text);
        }
        let target = text.parse().map_err(|error: NameError| error.to_string())?;
        let source = source.clone();
        Ok(Self::Fixed { source, target })
    }

    /// The name at the target. Fails if it is too long for a tag.
    pub fn target(&self, source: &Tag) -> Result<Tag, NameError> {
        match self {
            Self::Template { before, after } => format!("{before}{source}{after}").parse(),
            Self::Fixed { target, .. } => Ok(target.clone()),
        }
    }

    /// The source's tag that has this name at the target, if there can be one.
    pub fn source(&self, target: &Tag) -> Option<Tag> {
        match self {
            Self::Template { before, after } => {
                let inner = target.as_str().strip_prefix(before.as_str())?;
                inner.strip_suffix(after.as_str())?.parse().ok()
            }
            Self::Fixed {
                source,
                target: name,
            } => (name == target).then(|| source.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
