//! Which tags: what other tools allow, deny and compare, as selectors that all have to pass.

pub(crate) mod pattern;
pub(crate) mod range;

use self::range::Range;
use crate::model::{self, Keys, Setting};

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

/// The sets of tags that a list selects together.
#[derive(Debug, Default)]
pub(crate) struct TagSets {
    pub(crate) sets: Vec<TagSet>,
    /// What the original selects and the sets do not.
    pub(crate) lost: Option<String>,
    /// What cannot be said, so that the entry is written as a comment.
    pub(crate) refused: Option<String>,
}

impl Filter {
    /// A filter for one expression.
    pub(crate) fn matching(whole: String) -> Self {
        Self {
            allow: vec![whole],
            ..Self::default()
        }
    }

    /// A filter for versions.
    pub(crate) fn in_ranges(ranges: Vec<Range>) -> Self {
        Self {
            ranges,
            ..Self::default()
        }
    }

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
            let semver = range.map(|range| Setting::Text(range.text.clone()));
            let excluded = range.iter().flat_map(|range| &range.exclude);
            let exclude_regex = exclude_regex.iter().chain(excluded).cloned();
            model::keys([
                ("tags", Setting::texts(tags)),
                ("regex", regex.clone().map(Setting::Text)),
                ("semver", semver),
                ("exclude", Setting::texts(exclude.clone())),
                ("exclude_regex", Setting::texts(exclude_regex.collect())),
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
            let globs = set.iter().map(|text| pattern::allowed_globs(text));
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

impl TagSets {
    /// Names, and whatever passes one of several filters. Every tag where there is neither.
    pub(crate) fn new(names: Vec<String>, mut filters: Vec<Result<Filter, String>>) -> Self {
        let mut made = Self::default();
        if !names.is_empty() {
            made.sets.push((names, Keys::new()));
        } else if filters.is_empty() {
            filters.push(Ok(Filter::default()));
        }
        for filter in filters {
            match filter.and_then(|filter| Ok((filter.selectors()?, filter.lost_suffixes()))) {
                Ok((selectors, lost)) => {
                    made.lost = made.lost.or(lost);
                    let sets = selectors.into_iter().map(|keys| (Vec::new(), keys));
                    made.sets.extend(sets);
                }
                Err(reason) => {
                    made.sets = vec![(Vec::new(), Keys::new())];
                    made.refused = Some(reason);
                    return made;
                }
            }
        }
        if made.sets.len() > 1 {
            // One of several may select nothing.
            for (_, keys) in made.sets.iter_mut().filter(|(names, _)| names.is_empty()) {
                keys.push(("min_tags", Setting::Number("0".into())));
            }
        }
        made
    }
}
