//! What people read, in every language at once: who reads it is known only where it is sent.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::locales::Language;

/// A text or a document in every language. Programs and logs get the English one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Localized<T> {
    english: T,
    chinese: T,
}

impl<T> Localized<T> {
    /// Makes each language's.
    pub fn new(make: impl Fn(Language) -> T) -> Self {
        Self {
            english: make(Language::English),
            chinese: make(Language::Chinese),
        }
    }

    /// A language's.
    pub fn get(&self, language: Language) -> &T {
        match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        }
    }
}

impl Localized<String> {
    /// One text a line, as the store keeps them. What is the same in every language is one line.
    pub fn to_lines(&self) -> String {
        match self.english == self.chinese {
            true => self.english.clone(),
            false => format!("{}\n{}", self.english, self.chinese),
        }
    }

    /// The texts of these lines. An older version kept the English one only.
    pub fn from_lines(lines: &str) -> Self {
        let (english, chinese) = lines.split_once('\n').unwrap_or((lines, lines));
        Self {
            english: english.into(),
            chinese: chinese.into(),
        }
    }
}

impl<T: Clone> From<T> for Localized<T> {
    /// The same in every language.
    fn from(one: T) -> Self {
        Self::new(|_| one.clone())
    }
}

impl From<&str> for Localized<String> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T> Deref for Localized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.english
    }
}

impl<T: fmt::Display> fmt::Display for Localized<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.english.fmt(f)
    }
}

impl PartialEq<&str> for Localized<String> {
    fn eq(&self, other: &&str) -> bool {
        self.english == *other
    }
}

impl PartialEq<String> for Localized<String> {
    fn eq(&self, other: &String) -> bool {
        self.english == *other
    }
}

impl<T: Serialize> Serialize for Localized<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.english.serialize(serializer)
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for Localized<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Into::into)
    }
}
