//! Which tags: what other tools allow, deny and compare, as selectors that all have to pass.

pub(crate) mod pattern;
pub(crate) mod range;

use self::range::Range;
use crate::{
    model::{self, Keys, Toml},
    reference,
};

/// What a tag has to pass to be one of a set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Any of these expressions for the whole tag, if there is one.
    pub(crate) allow: Vec<String>,
    /// All of these as well.
    pub(crate) also: Vec<String>,
    /// Any of these ranges, if there is one.
    pub(crate) ranges: Vec<Range>,
    /// None of these expressions for the whole tag.
    pub(crate) deny: Vec<String>,
}

/// Named tags, or the selectors for tags of a listing.
pub(crate) type TagSet = (Vec<String>, Keys);

/// Names, and whatever passes one of several filters. Every tag where there is neither.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    pub(crate) names: Vec<String>,
    /// Names that become others at the target.
    pub(crate) renamed: Vec<(String, String)>,
    pub(crate) filters: Vec<Filter>,
}

impl Filter {
    /// Selectors of which each takes tags. Together they take what the filter takes, or less.
    fn selectors(&self) -> Result<Vec<Keys>, String> {
        let (tags, regex) = self.by_name()?;
        let (mut exclude, mut exclude_regex) = (Vec::new(), Vec::new());
        for denied in &self.deny {
            match pattern::globs(denied) {
                Some(globs) => exclude.extend(globs),
                None => exclude_regex.push(denied.clone()),
            }
        }
        let with = |range: Option<&Range>| {
            let is_every = tags.is_empty() || tags.iter().any(|glob| glob == "*");
            let tags = match (is_every, regex.is_some() || range.is_some()) {
                (true, true) => Vec::new(),
                (true, false) => vec!["*".to_owned()],
                (false, _) => tags.clone(),
            };
            let excluded = range.iter().flat_map(|range| &range.exclude);
            let exclude_regex: Vec<_> = exclude_regex.iter().chain(excluded).cloned().collect();
            model::keys([
                ("tags", Toml::texts(&tags)),
                ("regex", regex.as_ref().map(Toml::text)),
                ("semver", range.map(|range| Toml::text(&range.text))),
                ("exclude", Toml::texts(&exclude)),
                ("exclude_regex", Toml::texts(&exclude_regex)),
            ])
        };
        Ok(match self.ranges.as_slice() {
            [] => vec![with(None)],
            ranges => ranges.iter().map(|range| with(Some(range))).collect(),
        })
    }

    /// The ranges leave versions with a suffix out, unless no tag with a `-` passes anyway.
    fn lost_suffixes(&self) -> Option<String> {
        let is_plain = |patterns: &&[String]| {
            let mut patterns = patterns.iter();
            patterns.len() > 0 && !patterns.any(|text| pattern::may_hold_hyphen(text))
        };
        let denies_hyphens = self.deny.iter().any(|text| text == ".*-.*");
        if denies_hyphens || [&self.allow[..], &self.also[..]].iter().any(is_plain) {
            return None;
        }
        let range = self.ranges.iter().find(|range| range.loses_suffixes)?;
        Some(format!(
            "`semver = \"{}\"` leaves out versions with a suffix, such as 1.2.3-alpine, which the \
             original takes",
            range.text
        ))
    }

    /// Globs and an expression that together say which names are allowed.
    fn by_name(&self) -> Result<(Vec<String>, Option<String>), String> {
        let (mut tags, mut regex) = (Vec::new(), None);
        let allow = Some(self.allow.as_slice()).filter(|allow| !allow.is_empty());
        for set in allow.into_iter().chain(self.also.chunks(1)) {
            // In an expression that is a tag itself, such as `v1.2`, a dot is taken as a dot.
            let globs = set.iter().map(|text| match reference::is_tag(text) {
                true => Some(vec![text.clone()]),
                false => pattern::globs(text),
            });
            match globs.collect::<Option<Vec<_>>>() {
                Some(globs) if tags.is_empty() => tags = globs.concat(),
                _ if regex.is_none() => regex = Some(pattern::any_of(set)),
                _ => {
                    let set = pattern::any_of(set);
                    return Err(format!("a mirror has one `regex`: `{set}` has no place"));
                }
            }
        }
        Ok((tags, regex))
    }
}

impl Tags {
    pub(crate) fn named(names: Vec<String>) -> Self {
        let others = Self::default();
        Self { names, ..others }
    }

    pub(crate) fn passing(filters: Vec<Filter>) -> Self {
        let others = Self::default();
        Self { filters, ..others }
    }

    /// Tags that an expression for the whole of them matches.
    pub(crate) fn matching(whole: String) -> Self {
        let (allow, others) = (vec![whole], Filter::default());
        Self::passing(vec![Filter { allow, ..others }])
    }

    /// Versions in any of several ranges.
    pub(crate) fn in_ranges(ranges: Vec<Range>) -> Self {
        let others = Filter::default();
        Self::passing(vec![Filter { ranges, ..others }])
    }

    /// The sets that together are the tags, or less. What they lack is told to `lose`.
    pub(crate) fn sets(&self, lose: impl Fn(String)) -> Result<Vec<TagSet>, String> {
        let mut sets = Vec::new();
        let every = [Filter::default()];
        let has_names = !self.names.is_empty() || !self.renamed.is_empty();
        let filters = match self.filters.as_slice() {
            [] if !has_names => &every,
            filters => filters,
        };
        for filter in filters {
            let selectors = filter.selectors()?.into_iter();
            sets.extend(selectors.map(|keys| (Vec::new(), keys)));
        }
        if sets.len() + usize::from(has_names) > 1 {
            // One of several may select nothing.
            for (_, keys) in &mut sets {
                keys.push(("min_tags", Toml::number(0.0)));
            }
        }
        if !self.names.is_empty() {
            sets.insert(0, (self.names.clone(), Keys::new()));
        }
        for (old, new) in &self.renamed {
            let tag = reference::rename(old, new).map(Toml::text);
            sets.push((vec![old.clone()], model::keys([("tag", tag)])));
        }
        let lost = filters.iter().find_map(Filter::lost_suffixes);
        lost.into_iter().for_each(lose);
        Ok(sets)
    }
}
