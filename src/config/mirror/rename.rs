//! Tag renaming: what a source's tag is called at the target.

use crate::oci::{NameError, Tag};

/// A parsed `tag`, such as `{tag}-mirror`. Two tags never get one name by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rename {
    before: String,
    after: String,
}

impl Rename {
    /// Parses a template, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((before, after)) = text.split_once("{tag}") else {
            return Err("it does not hold {tag}, so every tag would get one name".into());
        };
        let rename = Self {
            before: before.into(),
            after: after.into(),
        };
        // Any tag does for a trial of what stands around it.
        let trial = rename.target(&"x".parse().map_err(|e: NameError| e.to_string())?);
        trial.map(|_| rename).map_err(|error| error.to_string())
    }

    /// The name at the target; an error where it would be too long for a tag.
    pub fn target(&self, source: &Tag) -> Result<Tag, NameError> {
        format!("{}{source}{}", self.before, self.after).parse()
    }

    /// The source's tag that has this name at the target, if it can be one.
    pub fn source(&self, target: &Tag) -> Option<Tag> {
        let inner = target.as_str().strip_prefix(self.before.as_str())?;
        inner.strip_suffix(self.after.as_str())?.parse().ok()
    }
}

#[cfg(test)]
mod tests;
