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
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_template_for_a_tag_is_refused() {
        for wrong in ["mirror", "", "{tag}/x", ".{tag}", "{tag} ", "{tag}-{tag}"] {
            assert!(Rename::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_becomes_too_long_is_an_error() {
        let rename = Rename::parse("{tag}-mirror").unwrap();
        let long = "x".repeat(128).parse().unwrap();
        assert!(rename.target(&long).is_err());
    }

    proptest! {
        #[test]
        fn two_tags_never_get_one_name(
            before in "([a-z][a-z0-9.-]{0,3})?",
            after in "[a-z0-9.-]{0,4}",
            tag in "[a-z0-9][a-z0-9.-]{0,6}",
            other in "[a-z0-9][a-z0-9.-]{0,6}",
        ) {
            let rename = Rename::parse(&format!("{before}{{tag}}{after}")).unwrap();
            let (tag, other): (Tag, Tag) = (tag.parse().unwrap(), other.parse().unwrap());
            let name = rename.target(&tag).unwrap();
            prop_assert_eq!(rename.source(&name), Some(tag.clone()));
            prop_assert_eq!(rename.target(&other).unwrap() == name, other == tag);
        }
    }
}
