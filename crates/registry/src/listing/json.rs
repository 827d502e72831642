//! JSON of strangers, read without keeping what is not asked for.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A text or a number; anything else is read and forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Number(f64),
    #[default]
    Other,
}

/// Whether a value is there, and not null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Presence(pub(crate) bool);

/// How many texts a list has, and how many bytes; `null` is a list of none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Scalar {
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no such number is meant exactly"
    )]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no such number is meant exactly"
    )]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(
            Option::<IgnoredAny>::deserialize(deserializer)?.is_some(),
        ))
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Weigh;
        impl<'de> Visitor<'de> for Weigh {
            type Value = Weight;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_unit<E: Error>(self) -> Result<Weight, E> {
                Ok(Weight::default())
            }

            fn visit_none<E: Error>(self) -> Result<Weight, E> {
                Ok(Weight::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Weight, A::Error> {
                let mut weight = Weight::default();
                while let Some(name) = list.next_element::<std::borrow::Cow<'de, str>>()? {
                    weight.count += 1;
                    weight.bytes += name.len();
                }
                Ok(weight)
            }
        }
        deserializer.deserialize_any(Weigh)
    }
}

#[cfg(test)]
mod tests;
