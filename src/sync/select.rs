//! Which of a repository's tags are mirrored. Pure: what goes in decides what comes out, whatever
//! the order of the listing.

use std::{cmp::Ordering, collections::HashSet};

use semver::{BuildMetadata, Prerelease, Version};
use serde::Serialize;

use crate::{
    config::{Route, Selection, Selectors},
    oci::Tag,
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

/// Applies a route's selection to a listing of its source.
pub fn select(route: &Route, mut listing: Vec<Tag>) -> Selected {
    listing.sort_by(|a, b| natural(a.as_str(), b.as_str()));
    listing.dedup();
    let mut selected = match &route.selection {
        Selection::Tag(tag) => Selected {
            tags: vec![tag.clone()],
            dropped: Vec::new(),
        },
        Selection::Matching(selectors) => matching(selectors, listing.clone()),
    };
    let taken: HashSet<Tag> = route
        .taken
        .iter()
        .flat_map(|taken| taken_tags(taken, &listing))
        .collect();
    selected.keep("another entry", |tag| !taken.contains(tag));
    selected
}

fn taken_tags(taken: &Selection, listing: &[Tag]) -> Vec<Tag> {
    match taken {
        Selection::Tag(tag) => vec![tag.clone()],
        Selection::Matching(selectors) => matching(selectors, listing.to_vec()).tags,
    }
}

fn matching(selectors: &Selectors, tags: Vec<Tag>) -> Selected {
    let mut selected = Selected {
        tags,
        dropped: Vec::new(),
    };
    if let Some(globs) = &selectors.tags {
        selected.keep("tags", |tag| globs.is_match(tag.as_str()));
    }
    if let Some(regex) = &selectors.regex {
        selected.keep("regex", |tag| regex.is_match(tag.as_str()));
    }
    if let Some(range) = &selectors.semver {
        selected.keep("semver", |tag| {
            version(tag.as_str()).is_some_and(|v| range.matches(&v))
        });
    }
    if let Some(globs) = &selectors.exclude {
        selected.keep("exclude", |tag| !globs.is_match(tag.as_str()));
    }
    if let Some(count) = selectors.latest {
        let newest = newest(&selected.tags, count);
        selected.keep("latest", |tag| newest.contains(tag));
    }
    selected
}

impl Selected {
    fn keep(&mut self, selector: &'static str, is_kept: impl Fn(&Tag) -> bool) {
        let (kept, dropped): (Vec<Tag>, Vec<Tag>) = std::mem::take(&mut self.tags)
            .into_iter()
            .partition(|tag| is_kept(tag));
        self.tags = kept;
        if !dropped.is_empty() {
            let count = dropped.len();
            let first = dropped.into_iter().take(EXAMPLES).collect();
            self.dropped.push(Dropped {
                selector,
                count,
                first,
            });
        }
    }
}

/// The newest tags: versions before what is none, then by version or by natural order.
fn newest(tags: &[Tag], count: usize) -> HashSet<Tag> {
    let mut keyed: Vec<(Option<Version>, &Tag)> = tags
        .iter()
        .map(|tag| (version(tag.as_str()), tag))
        .collect();
    keyed.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| natural(y.as_str(), x.as_str())));
    keyed
        .into_iter()
        .take(count)
        .map(|(_, tag)| tag.clone())
        .collect()
}

/// A tag as a version: `v1.31.2`, `1.31`, `1`, with a pre-release and build metadata perhaps.
/// Missing parts are zero.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    // `+` is no legal character of a tag, so build metadata cannot occur.
    let (core, pre) = text.split_once('-').unwrap_or((text, ""));
    let mut numbers = [0; 3];
    let mut parts = core.split('.');
    for (at, part) in parts.by_ref().take(3).enumerate() {
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        numbers[at] = part.parse().ok()?;
    }
    if parts.next().is_some() {
        return None;
    }
    let [major, minor, patch] = numbers;
    Some(Version {
        major,
        minor,
        patch,
        pre: Prerelease::new(pre).ok()?,
        build: BuildMetadata::EMPTY,
    })
}

/// Compares texts as people do: runs of digits by their value.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (x, y) = (leading_digits(left), leading_digits(right));
        let order = if x.is_empty() || y.is_empty() {
            match (left.split_first(), right.split_first()) {
                (None, None) => return a.cmp(b),
                (x, y) => x.map(|(c, _)| c).cmp(&y.map(|(c, _)| c)),
            }
        } else {
            let significant = |digits: &[u8]| {
                let zeros = digits.iter().take_while(|d| **d == b'0').count();
                (digits.len() - zeros, digits[zeros..].to_vec())
            };
            significant(x).cmp(&significant(y))
        };
        if order != Ordering::Equal {
            return order;
        }
        left = &left[x.len().max(1)..];
        right = &right[y.len().max(1)..];
    }
}

fn leading_digits(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;

    /// The route of a `[[mirror]]` with these selectors.
    fn route(selectors: &str) -> Route {
        let text = format!(
            "[[mirror]]\nfrom = \"quay.io/a/b\"\ntarget = \"m.example.com\"\n{selectors}\n"
        );
        let config = Config::parse(std::path::Path::new("mirror.toml"), &text);
        config.unwrap_or_else(|e| panic!("{e}")).mirrors[0].routes[0].clone()
    }

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn selected(selectors: &str, listing: &[&str]) -> Vec<String> {
        let selected = select(&route(selectors), tags(listing));
        selected.tags.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_selector_keeps_what_it_says() {
        let listing = [
            "1.2.0",
            "v1.10.1",
            "v1.9",
            "2",
            "v2.0.0-rc1",
            "latest",
            "1.2.0-alpine",
            "1.2.3.4",
            "nightly-9",
            "nightly-10",
        ];
        let table: [(&str, &[&str]); 11] = [
            ("tags = \"*\"\nexclude = [\"*\"]", &[]),
            (
                "tags = [\"v*\", \"latest\"]",
                &["latest", "v1.9", "v1.10.1", "v2.0.0-rc1"],
            ),
            ("tags = \"1.?.0\"", &["1.2.0"]),
            ("tags = \"[0-9]\"", &["2"]),
            ("regex = \"v\\\\d+\\\\.\\\\d+\"", &["v1.9"]),
            ("regex = \"1|2\"", &["2"]),
            ("semver = \">=1.9, <2\"", &["v1.9", "v1.10.1"]),
            ("semver = \"*\"", &["1.2.0", "2", "v1.9", "v1.10.1"]),
            ("semver = \">=2.0.0-rc1\"", &["2", "v2.0.0-rc1"]),
            ("latest = 2", &["2", "v2.0.0-rc1"]),
            ("regex = \"nightly.*\"\nlatest = 1", &["nightly-10"]),
        ];
        for (selectors, expected) in table {
            assert_eq!(selected(selectors, &listing), expected, "{selectors}");
        }
    }

    #[test]
    fn selectors_are_anded_and_latest_comes_last() {
        let listing = ["v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0-rc1", "v2.0.0"];
        let selectors = "semver = \"1\"\nexclude = \"*.3.*\"\nlatest = 1";
        assert_eq!(selected(selectors, &listing), ["v1.2.0"]);
    }

    #[test]
    fn what_each_selector_dropped_is_told() {
        let result = select(
            &route("tags = \"v*\"\nlatest = 1"),
            tags(&["a", "v1", "v2", "b"]),
        );
        let told: Vec<_> = result
            .dropped
            .iter()
            .map(|d| (d.selector, d.count))
            .collect();
        assert_eq!(told, [("tags", 2), ("latest", 1)]);
        assert_eq!(result.dropped[0].first, tags(&["a", "b"]));
    }

    #[test]
    fn tags_of_another_entry_are_left_to_it() {
        let mut late = route("tags = \"*\"");
        late.taken = vec![
            Selection::Tag("latest".parse().unwrap()),
            Selection::Matching(Arc::new(Selectors {
                latest: Some(1),
                ..Selectors::default()
            })),
        ];
        let result = select(&late, tags(&["v1", "v2", "latest"]));
        assert_eq!(result.tags, tags(&["v1"]));
    }

    #[test]
    fn leading_zeros_and_case_do_not_confuse_the_order() {
        assert_eq!(natural("a10", "a9"), Ordering::Greater);
        assert_eq!(natural("a010", "a10"), Ordering::Less);
        assert_eq!(natural("a", "a1"), Ordering::Less);
        assert_eq!(natural("1a", "1a"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn selection_does_not_depend_on_the_order_of_the_listing(
            mut names in prop::collection::vec("(v?[0-9]{1,2}(\\.[0-9]{1,3}){0,2}(-rc[0-9])?)|[a-z]{1,4}", 0..30),
            seed in any::<u64>(),
        ) {
            let route = route("tags = [\"v*\", \"[0-9]*\", \"a*\"]\nexclude = \"*-rc1\"\nlatest = 5");
            let parse = |names: &[String]| names.iter().map(|n| n.parse().unwrap()).collect::<Vec<Tag>>();
            let first = select(&route, parse(&names));
            fastrand::Rng::with_seed(seed).shuffle(&mut names);
            prop_assert_eq!(first, select(&route, parse(&names)));
        }

        #[test]
        fn natural_order_is_total(a in "[a0-9.]{0,6}", b in "[a0-9.]{0,6}", c in "[a0-9.]{0,6}") {
            prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                prop_assert!(natural(&a, &c).is_le());
            }
        }
    }
}
