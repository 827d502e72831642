//! How far a listing is followed, page after page, before it is called endless, and what is done
//! where a page is lost on the way.

use std::{collections::HashSet, fmt, marker::PhantomData, str::FromStr};

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use url::Url;

use crate::{Error, Kind};

/// Most bytes of all pages of one listing.
const BYTES: usize = 256 << 20;
/// Most entries of one listing: the largest repositories known have a tenth of that.
pub(crate) const ENTRIES: usize = 1_000_000;
/// Longest address of a page.
const ADDRESS: usize = 8 << 10;
/// What is asked for at a time where a registry refuses more: quay.io and Docker Hub give a hundred.
const MODEST: &str = "n=100";

/// The pages of one listing that were read so far.
#[derive(Debug)]
pub(crate) struct Pages {
    max_pages: usize,
    seen: HashSet<Url>,
    bytes: usize,
    entries: usize,
    /// Whether a page was lost before, and the listing begun anew.
    is_anew: bool,
}

impl Pages {
    /// None so far, of `most` that there may be.
    pub(crate) fn at_most(max_pages: usize) -> Self {
        Self {
            max_pages,
            seen: HashSet::new(),
            bytes: 0,
            entries: 0,
            is_anew: false,
        }
    }

    /// Turns to a page, which has to be another one.
    pub(crate) fn turn(&mut self, url: &Url) -> Result<(), Kind> {
        if url.as_str().len() > ADDRESS {
            let text = format!("its next page has an address of more than {ADDRESS} letters");
            return Err(Kind::Protocol(text));
        }
        if !self.seen.insert(url.clone()) {
            let text = format!("its listing goes in a circle at {url}");
            return Err(Kind::Protocol(text));
        }
        self.within(self.seen.len() <= self.max_pages, self.max_pages, "pages")
    }

    /// Whether the first page is being read, for the first time.
    pub(crate) fn is_first(&self) -> bool {
        self.seen.len() <= 1 && !self.is_anew
    }

    /// After a page that was not given: where the listing is begun anew, or the error, which is
    /// then no word of a listing that is not there. What the pages before it held is forgotten.
    ///
    /// A page is lost where the entry that it begins after is deleted meanwhile, or its token ends;
    /// that may happen once. A registry may also refuse the number that `first` asks for.
    pub(crate) fn again(&mut self, first: &mut Url, mut error: Error) -> Result<Url, Error> {
        let (status, said) = match &*error.kind {
            Kind::NotFound(said) => (404, said),
            Kind::Rejected { status, message } if [400, 410, 422].contains(status) => {
                (*status, message)
            }
            _ => return Err(error),
        };
        if self.is_first() {
            let asks_for_more = first
                .query()
                .is_some_and(|n| n.starts_with("n=") && n != MODEST);
            if status != 400 || !asks_for_more {
                return Err(error);
            }
            first.set_query(Some(MODEST));
            *self = Self::at_most(self.max_pages);
        } else if self.is_anew {
            let text = format!(
                "a page in the middle of its listing is gone, and was again when it was read anew \
                 (status {status}: {said}); a later run reads it again"
            );
            *error.kind = Kind::Protocol(text);
            return Err(error);
        } else {
            tracing::debug!(%error, "a page of a listing is gone; it is read anew");
            *self = Self::at_most(self.max_pages);
            self.is_anew = true;
        }
        Ok(first.clone())
    }

    /// Takes note of what a page held.
    pub(crate) fn took(&mut self, bytes: usize, entries: usize) -> Result<(), Kind> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries = self.entries.saturating_add(entries);
        self.within(self.bytes <= BYTES, BYTES >> 20, "MiB")?;
        self.within(self.entries <= ENTRIES, ENTRIES, "entries")
    }

    fn within(&self, is_within: bool, max_pages: usize, of_what: &str) -> Result<(), Kind> {
        let endless = || Kind::Protocol(format!("its listing has more than {max_pages} {of_what}"));
        is_within.then_some(()).ok_or_else(endless)
    }
}

/// Reads a list of names, each as it comes: those that are no legal ones are left out. No list is
/// a list of none.
pub(crate) fn legal_names<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct NamesVisitor<T>(PhantomData<T>);
    impl<'de, T: FromStr> Visitor<'de> for NamesVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_none<E: de::Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut names = Vec::new();
            while let Some(name) = list.next_element::<std::borrow::Cow<'de, str>>()? {
                names.extend(name.parse().ok());
                if names.len() > ENTRIES {
                    let text = format!("it names more than {ENTRIES}");
                    return Err(de::Error::custom(text));
                }
            }
            Ok(names)
        }
    }
    deserializer.deserialize_any(NamesVisitor(PhantomData))
}

#[cfg(test)]
mod tests;
