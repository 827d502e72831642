//! Reads YAML, and JSON with it, into serde types whose values know their lines.
//!
//! Aliases, depth and size are bounded while the file is read. No message quotes a value, because
//! any value may be a password.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::{Spanned, options::AliasLimits};

use crate::{diagnostics::Error, reader::Reader};

/// Most values that a file stands for, aliases expanded. Ten thousand images need fewer.
const MAX_VALUES: usize = 250_000;

/// Most values within values.
const MAX_DEPTH: usize = 64;

/// A text as written, and its line.
pub(crate) type Text = Spanned<String>;

/// Reads a file that holds one document.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, reader: &Reader<'_>) -> Result<T, Error> {
    let mut limits = AliasLimits::default();
    limits.max_total_replayed_events = 4 * MAX_VALUES;
    let options = serde_saphyr::options! {
        alias_limits: limits,
        budget: serde_saphyr::budget! { max_nodes: MAX_VALUES, max_depth: MAX_DEPTH },
        with_snippet: false,
    };
    let help = "correct the file: the tool that it is for refuses it as well";
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |place| place.line() as usize);
        reader.error(line, explain(&error), help)
    })
}

fn explain(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as Yaml;
    match error {
        Yaml::ExternalMessage { msg, .. } => format!("not YAML or JSON: {msg}"),
        Yaml::UnknownAnchor { .. } => "not YAML: an alias without an anchor".into(),
        Yaml::DuplicateMappingKey { .. } => "a key is given twice".into(),
        Yaml::MultipleDocuments { .. } => "a second document begins".into(),
        Yaml::Unexpected { expected, .. } => format!("wrong kind of value: expected {expected}"),
        Yaml::Budget { .. } | Yaml::AliasReplayLimitExceeded { .. } => format!(
            "the file is too large: more than {MAX_VALUES} values with aliases expanded, or \
             {MAX_DEPTH} values within values"
        ),
        Yaml::AliasError { error, .. } => explain(error),
        _ => "wrong kind of value".into(),
    }
}

/// The line where a value stands.
pub(crate) fn line<T>(value: &Spanned<T>) -> usize {
    value.referenced.line() as usize
}

/// A text that is there and not empty.
pub(crate) fn given(text: &Option<Text>) -> Option<&str> {
    let text = text.as_ref()?.value.as_str();
    (!text.is_empty()).then_some(text)
}

/// The texts of a list, in which an element may be null.
pub(crate) fn texts(list: &[Option<Text>]) -> impl Iterator<Item = &str> {
    list.iter().flatten().map(|text| text.value.as_str())
}

/// Declares a struct that reads the named keys of a map. A null is the default of its type, and
/// the keys that are not named are kept in `other` with their lines.
macro_rules! record {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        $vis struct $name {
            $($field: $type,)*
            other: Vec<$crate::yaml::Text>,
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct RecordVisitor;
                impl<'de> serde::de::Visitor<'de> for RecordVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a map")
                    }

                    fn visit_map<A>(self, mut map: A) -> Result<$name, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<$crate::yaml::Text>()? {
                            match key.value.as_str() {
                                $($key => {
                                    let value = map.next_value::<Option<$type>>()?;
                                    read.$field = value.unwrap_or_default();
                                })*
                                _ => {
                                    let value = map.next_value::<Option<serde::de::IgnoredAny>>()?;
                                    read.other.extend(value.map(|_| key));
                                }
                            }
                        }
                        Ok(read)
                    }
                }
                deserializer.deserialize_map(RecordVisitor)
            }
        }
    };
}
pub(crate) use record;

/// The entries of a map in the order of the file. A null value is the default of its type.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Pairs<V>(HashMap<Text, Option<V>>);

impl<V: Default> Pairs<V> {
    pub(crate) fn into_sorted(self) -> Vec<(Text, V)> {
        let pairs = self.0.into_iter();
        let mut pairs: Vec<_> = pairs.map(|(key, v)| (key, v.unwrap_or_default())).collect();
        pairs.sort_by_key(|(key, _)| (line(key), key.referenced.column()));
        pairs
    }
}

/// One text, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// The texts. None is the empty text.
    pub(crate) fn into_texts(self) -> Vec<String> {
        match self {
            Self::None => vec![String::new()],
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}
