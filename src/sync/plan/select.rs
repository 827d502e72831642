//! Which of a repository's tags are mirrored. Pure: what goes in decides what comes out, whatever
//! the order of the listing.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    config::{Origin, Route, Selection, Selectors},
    oci::Tag,
    sync::plan::tag_version::{TagVersion, is_in_range, natural},
};

/// How many dropped tags of a selector are named.
const EXAMPLES: usize = 3;

/// The tags that a route mirrors, and what became of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// In natural order.
    pub tags: Vec<Tag>,
    /// What each selector dropped, in the order in which they apply.
    pub dropped: Vec<Dropped>,
    /// Tags that `max_age` kept because nobody knows how old they are.
    pub undated: Vec<Tag>,
    /// The tags from which `latest` chose, newest first.
    pub order: Vec<OrderedTag>,
}

/// A place in the order of `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderedTag {
    /// The tag.
    pub tag: Tag,
    /// What gave the tag its place.
    pub by: OrderedBy,
}

/// What gives a tag its place in the order of `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderedBy {
    /// The version, date or revision that the tag stands for.
    Version,
    /// When it was pushed.
    Time,
    /// Its name, with numbers compared as numbers.
    Name,
}

/// What one selector dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The selector's key in `mirror.toml`.
    pub selector: &'static str,
    /// How many tags.
    pub count: usize,
    /// The first few of them.
    pub first: Vec<Tag>,
}

/// The present, and when tags were pushed or made, where that is known; in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Clock<'a> {
    /// Now.
    pub now: i64,
    /// Then.
    pub times: &'a HashMap<Tag, i64>,
}

/// A tag that no selector has dropped yet. Versions are parsed once, where one is asked for.
struct ListedTag<'a> {
    tag: &'a Tag,
    version: OnceCell<Option<TagVersion>>,
}

/// What is left of a listing.
struct Sieve<'a> {
    left: Vec<ListedTag<'a>>,
    dropped: Vec<Dropped>,
    undated: Vec<Tag>,
    order: Vec<OrderedTag>,
}

/// Applies a route's selection to a listing of its source. A selection outside of its guards is
/// an error in a sentence.
pub fn select(route: &Route, listing: &[Tag], clock: Clock<'_>) -> Result<Selected, String> {
    let sorted = sorted(listing);
    let mut sieve = match &route.selection {
        Selection::Tag(tag) => Sieve::new([tag]),
        Selection::Nothing => Sieve::new([]),
        Selection::Matching(selectors) => {
            let sieve = Sieve::new(sorted.iter().copied()).all(selectors, clock);
            guard(route, selectors, sieve.left.len())?;
            if sieve.left.is_empty() && !sorted.is_empty() && selectors.min_tags.is_none() {
                nothing(route, sorted.len(), &sieve.dropped)?;
            }
            sieve
        }
    };
    let mut taken: HashSet<&Tag> = HashSet::new();
    for selection in &route.taken {
        match selection {
            Selection::Tag(tag) => {
                taken.insert(tag);
            }
            Selection::Nothing => {}
            Selection::Matching(selectors) => {
                let theirs = Sieve::new(sorted.iter().copied()).all(selectors, clock);
                taken.extend(theirs.left.iter().map(|candidate| candidate.tag));
            }
        }
    }
    sieve.keep("another entry", |candidate| !taken.contains(candidate.tag));
    Ok(Selected {
        tags: sieve.left.iter().map(|left| left.tag.clone()).collect(),
        dropped: sieve.dropped,
        undated: sieve.undated,
        order: sieve.order,
    })
}

/// Whether a route takes a tag by its name; what its age or other tags make of it is left open.
pub fn allows(route: &Route, tag: &Tag) -> bool {
    match &route.selection {
        Selection::Tag(named) => named == tag,
        Selection::Nothing => false,
        Selection::Matching(selectors) => !Sieve::new([tag]).by_name(selectors).left.is_empty(),
    }
}

/// Whether two selections are one: the same tag, or the selectors of the same entry.
pub(crate) fn is_same(a: &Selection, b: &Selection) -> bool {
    match (a, b) {
        (Selection::Tag(a), Selection::Tag(b)) => a == b,
        (Selection::Matching(a), Selection::Matching(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// The tags whose age decides, and is not known yet.
pub fn undated(route: &Route, listing: &[Tag], times: &HashMap<Tag, i64>) -> Vec<Tag> {
    let selections = std::iter::once(&route.selection).chain(&route.taken);
    let selectors: Vec<&Selectors> = selections
        .filter_map(|selection| match selection {
            Selection::Matching(selectors) if selectors.needs_age() => Some(&**selectors),
            _ => None,
        })
        .collect();
    if selectors.is_empty() {
        return Vec::new();
    }
    let sorted = sorted(listing);
    let mut asked = HashSet::new();
    for selectors in selectors {
        let sieve = Sieve::new(sorted.iter().copied()).by_name(selectors);
        asked.extend(sieve.left.iter().map(|candidate| candidate.tag));
    }
    let is_unknown = |tag: &&&Tag| !times.contains_key(**tag);
    let asked = sorted.iter().filter(|tag| asked.contains(**tag));
    asked.filter(is_unknown).map(|tag| (*tag).clone()).collect()
}

/// Whether it takes push times to tell what is newest: there are fewer versions than wanted.
pub(crate) fn needs_times(route: &Route, listing: &[Tag]) -> bool {
    let mut selections = std::iter::once(&route.selection).chain(&route.taken);
    selections.any(|selection| {
        let Selection::Matching(selectors) = selection else {
            return false;
        };
        let Some(latest) = selectors.latest else {
            return false;
        };
        let left = Sieve::new(listing).by_name(selectors).left;
        let versions = left.iter().filter(|left| left.version().is_some()).count();
        versions < latest && latest < left.len()
    })
}

fn sorted(listing: &[Tag]) -> Vec<&Tag> {
    let mut sorted: Vec<&Tag> = listing.iter().collect();
    sorted.sort_unstable_by(|a, b| natural(a.as_str(), b.as_str()));
    sorted.dedup();
    sorted
}

/// An entry that selects nothing is a mistake, unless a catalog named the repository, or its tags
/// are merely old.
fn nothing(route: &Route, listed: usize, dropped: &[Dropped]) -> Result<(), String> {
    let is_old = dropped.iter().any(|dropped| dropped.selector == "max_age");
    if route.origin == Origin::Found || is_old {
        return Ok(());
    }
    let by: Vec<String> = dropped
        .iter()
        .map(|d| format!("{} by {}", d.count, d.selector))
        .collect();
    Err(format!(
        "the selectors of {} select none of its {listed} tags (dropped: {}); correct them, or \
         allow it with `min_tags = 0`",
        route.source,
        by.join(", ")
    ))
}

/// A guard against a typo that selects nothing, or the world.
fn guard(route: &Route, selectors: &Selectors, count: usize) -> Result<(), String> {
    let tags = match count {
        1 => "1 tag".to_owned(),
        count => format!("{count} tags"),
    };
    let refuse = |than: String| {
        let source = &route.source;
        Err(format!(
            "the selectors of {source} select {tags}, {than}; nothing of it is copied until the \
             selectors or the guard are corrected"
        ))
    };
    match (selectors.min_tags, selectors.max_tags) {
        (Some(min), _) if count < min => refuse(format!("less than `min_tags = {min}`")),
        (_, Some(max)) if count > max => refuse(format!("more than `max_tags = {max}`")),
        _ => Ok(()),
    }
}

impl<'a> Sieve<'a> {
    fn new(tags: impl IntoIterator<Item = &'a Tag>) -> Self {
        let candidate = |tag| ListedTag {
            tag,
            version: OnceCell::new(),
        };
        Self {
            left: tags.into_iter().map(candidate).collect(),
            dropped: Vec::new(),
            undated: Vec::new(),
            order: Vec::new(),
        }
    }

    fn all(self, selectors: &Selectors, clock: Clock<'_>) -> Self {
        let mut sieve = self.by_name(selectors);
        if let Some(max_age) = selectors.max_age {
            let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            let oldest = clock.now.saturating_sub(max_age);
            let time = |candidate: &ListedTag<'_>| clock.times.get(candidate.tag);
            sieve.keep("max_age", |left| time(left).is_none_or(|at| *at >= oldest));
            let unknown = sieve.left.iter().filter(|left| time(left).is_none());
            sieve.undated = unknown.map(|left| left.tag.clone()).collect();
        }
        if let Some(count) = selectors.latest {
            sieve.keep_newest(count, clock.times);
        }
        sieve
    }

    /// Applies the selectors that look only at names.
    fn by_name(mut self, selectors: &Selectors) -> Self {
        if let Some(globs) = &selectors.tags {
            self.keep("tags", |left| globs.is_match(left.tag.as_str()));
        }
        if let Some(regex) = &selectors.regex {
            self.keep("regex", |left| regex.is_match(left.tag.as_str()));
        }
        if let Some(range) = &selectors.semver {
            self.keep("semver", |left| is_in_range(range, left.tag.as_str()));
        }
        if let Some(globs) = &selectors.exclude {
            self.keep("exclude", |left| !globs.is_match(left.tag.as_str()));
        }
        if let Some(set) = &selectors.exclude_regex {
            self.keep("exclude_regex", |left| !set.is_match(left.tag.as_str()));
        }
        self
    }

    /// Keeps the newest: versions before what is none, then by version, by time where that is
    /// known, and by natural order.
    fn keep_newest(&mut self, count: usize, times: &HashMap<Tag, i64>) {
        let mut order: Vec<usize> = (0..self.left.len()).collect();
        order.sort_unstable_by(|a, b| {
            let (x, y) = (&self.left[*a], &self.left[*b]);
            let time = |left: &ListedTag<'_>| match left.version() {
                Some(_) => None,
                None => times.get(left.tag),
            };
            // What is left is in natural order: the place decides where all else is equal.
            let by_version = y.version().cmp(&x.version());
            by_version
                .then_with(|| time(y).cmp(&time(x)))
                .then_with(|| b.cmp(a))
        });
        let ordered = order.iter().map(|place| {
            let left = &self.left[*place];
            let by = match left.version() {
                Some(_) => OrderedBy::Version,
                None if times.contains_key(left.tag) => OrderedBy::Time,
                None => OrderedBy::Name,
            };
            let tag = left.tag.clone();
            OrderedTag { tag, by }
        });
        self.order = ordered.collect();
        let mut is_newest = vec![false; order.len()];
        for place in order.into_iter().take(count) {
            is_newest[place] = true;
        }
        let mut is_newest = is_newest.into_iter();
        self.keep("latest", |_| is_newest.next().unwrap_or_default());
    }

    fn keep(&mut self, selector: &'static str, mut is_kept: impl FnMut(&ListedTag<'a>) -> bool) {
        let (mut count, mut first) = (0, Vec::new());
        self.left.retain(|candidate| {
            let is_kept = is_kept(candidate);
            if !is_kept {
                count += 1;
                if first.len() < EXAMPLES {
                    first.push(candidate.tag.clone());
                }
            }
            is_kept
        });
        // An exclusion that excludes nothing is most likely a mistake.
        if count > 0 || selector.starts_with("exclude") {
            self.dropped.push(Dropped {
                selector,
                count,
                first,
            });
        }
    }
}

impl ListedTag<'_> {
    fn version(&self) -> Option<&TagVersion> {
        let parse = || TagVersion::parse(self.tag.as_str());
        self.version.get_or_init(parse).as_ref()
    }
}

#[cfg(test)]
mod tests;
