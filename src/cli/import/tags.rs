//! Which tags: what other tools allow, deny and compare, as the ANDed selectors of `mirror.toml`.

use super::{
    model::{Selectors, Tags},
    pattern,
    range::Range,
};

/// What a tag must pass to be one of a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    /// Any of these expressions for the whole tag, if there is one.
    pub(super) allow: Vec<String>,
    /// All of these as well.
    pub(super) also: Vec<String>,
    /// Any of these ranges, if there is one.
    pub(super) ranges: Vec<Range>,
    /// None of these expressions for the whole tag.
    pub(super) deny: Vec<String>,
}

/// The sets of tags that together are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sets {
    /// Never empty.
    pub(super) sets: Vec<Tags>,
    /// What is not selected, and the original selects.
    pub(super) lost: Option<String>,
    /// What cannot be said, so that the entry is only begun.
    pub(super) refused: Option<String>,
}

/// What became of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selected {
    /// Each takes tags; a tag that any of them takes is one of the set.
    pub(super) alternatives: Vec<Selectors>,
    /// What it does not select, and the original does.
    pub(super) lost: Option<String>,
}

impl Filter {
    /// The selectors that take what the filter takes, or less; or what they cannot say.
    pub(super) fn selectors(&self) -> Result<Selected, String> {
        let (tags, regex) = self.by_name()?;
        let mut exclude = Vec::new();
        for denied in &self.deny {
            let globs = pattern::globs(denied).ok_or_else(|| {
                format!("`exclude` takes globs, and `{denied}` can be said by none")
            })?;
            exclude.extend(globs);
        }
        let is_denied = exclude.iter().any(|glob| glob == "*-*");
        let expressions = [&self.allow[..], &self.also[..]];
        let is_plain = |patterns: &&[String]| {
            !patterns.is_empty() && !patterns.iter().any(|p| pattern::may_hold(p, '-'))
        };
        let is_without_suffixes = is_denied || expressions.iter().any(is_plain);
        let has_suffixes = |range: &Range| range.loses_suffixes && !is_without_suffixes;
        let lost = self.ranges.iter().find(|range| has_suffixes(range));
        let lost = lost.map(|range| {
            format!(
                "`semver = \"{}\"` leaves out versions with a suffix, such as 1.2.3-alpine, which \
                 the original takes",
                range.text
            )
        });
        let ranges: Vec<Option<&Range>> = match self.ranges.as_slice() {
            [] => vec![None],
            ranges => ranges.iter().map(Some).collect(),
        };
        let alternatives = ranges.into_iter().map(|range| {
            let mut selectors = Selectors {
                tags: tags.clone(),
                regex: regex.clone(),
                semver: range.map(|range| range.text.clone()),
                exclude: exclude.clone(),
                may_be_empty: false,
            };
            selectors
                .exclude
                .extend(range.into_iter().flat_map(|range| range.exclude.clone()));
            selectors.settled()
        });
        Ok(Selected {
            alternatives: alternatives.collect(),
            lost,
        })
    }

    /// Globs and an expression that say together what names are allowed.
    fn by_name(&self) -> Result<(Vec<String>, Option<String>), String> {
        let mut sets = self.also.clone();
        if !self.allow.is_empty() {
            sets.insert(0, pattern::any_of(&self.allow));
        }
        let (mut tags, mut regex) = (Vec::new(), None);
        for set in sets {
            let globs = match (tags.is_empty(), &regex) {
                (false, _) => None,
                (true, None) => pattern::plain_globs(&set),
                (true, Some(_)) => pattern::globs(&set),
            };
            match (globs, &regex) {
                (Some(globs), _) => tags = globs,
                (None, None) => regex = Some(set),
                (None, Some(_)) => {
                    return Err(format!("`regex` is taken, so that it cannot say `{set}`"));
                }
            }
        }
        Ok((tags, regex))
    }
}

impl Selectors {
    /// Every tag.
    pub(super) fn all() -> Self {
        Self {
            tags: vec!["*".into()],
            ..Self::default()
        }
    }

    /// Without what says nothing, and with something that selects.
    fn settled(mut self) -> Self {
        if self.tags.iter().any(|glob| glob == "*") {
            self.tags = vec!["*".into()];
        }
        for list in [&mut self.tags, &mut self.exclude] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|glob| seen.insert(glob.clone()));
        }
        let selects = self.regex.is_some() || self.semver.is_some();
        match (selects, self.tags.as_slice()) {
            (true, [all]) if all == "*" => self.tags.clear(),
            (false, []) => self.tags.push("*".into()),
            _ => {}
        }
        self
    }
}

impl Sets {
    /// Names, and whatever passes one of several filters; every tag where there is neither.
    pub(super) fn new(names: Vec<String>, filters: &[Result<Filter, String>]) -> Self {
        let mut made = Self {
            sets: Vec::new(),
            lost: None,
            refused: None,
        };
        if !names.is_empty() {
            made.sets.push(Tags::Named(names));
        } else if filters.is_empty() {
            made.sets.push(Tags::Listed(Selectors::all()));
        }
        for filter in filters {
            match filter.clone().and_then(|filter| filter.selectors()) {
                Ok(selected) => {
                    made.lost = made.lost.or(selected.lost);
                    let alternatives = selected.alternatives.into_iter().map(Tags::Listed);
                    made.sets.extend(alternatives);
                }
                Err(reason) => return Self::begun(reason),
            }
        }
        made.settled()
    }

    /// No selector, and why.
    fn begun(reason: String) -> Self {
        Self {
            sets: vec![Tags::Listed(Selectors::default())],
            lost: None,
            refused: Some(reason),
        }
    }

    /// Each set once; where there are several, one may select nothing.
    fn settled(mut self) -> Self {
        let mut unique: Vec<Tags> = Vec::new();
        for tags in self.sets.drain(..) {
            if !unique.contains(&tags) {
                unique.push(tags);
            }
        }
        let are_several = unique.len() > 1;
        for tags in &mut unique {
            if let Tags::Listed(selectors) = tags {
                selectors.may_be_empty = are_several;
            }
        }
        Self {
            sets: unique,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::range::{Dialect, parse};
    use super::*;

    fn texts(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(|text| (*text).to_owned()).collect()
    }

    fn filter(allow: &[&str], range: &str, deny: &[&str]) -> Filter {
        let ranges = match range {
            "" => Vec::new(),
            range => parse(range, Dialect::Regsync).unwrap(),
        };
        Filter {
            allow: texts(allow),
            deny: texts(deny),
            ranges,
            ..Filter::default()
        }
    }

    fn only(filter: &Filter) -> Selectors {
        let selected = filter.selectors().unwrap();
        assert_eq!(selected.alternatives.len(), 1);
        selected.alternatives[0].clone()
    }

    #[test]
    fn names_and_stars_become_globs_and_what_is_more_an_expression() {
        let selectors = only(&filter(&["latest", "v1.*"], "", &[]));
        assert_eq!(
            selectors.tags,
            ["latest"]
                .map(String::from)
                .iter()
                .chain(&["v1*".into()])
                .cloned()
                .collect::<Vec<_>>()
        );
        let selectors = only(&filter(&["latest", "3\\.\\d+"], "", &["3\\.0"]));
        assert_eq!(selectors.regex.as_deref(), Some("latest|3\\.\\d+"));
        assert_eq!(selectors.exclude, ["3.0"]);
        assert!(selectors.tags.is_empty());
    }

    #[test]
    fn what_only_denies_takes_every_other_tag() {
        let selectors = only(&filter(&[], "", &[".*-rc.*"]));
        assert_eq!(
            (selectors.tags, selectors.exclude),
            (texts(&["*"]), texts(&["*-rc*"]))
        );
    }

    #[test]
    fn a_denial_that_no_glob_says_is_refused() {
        let refused = filter(&["v.*"], "", &["v\\d+-rc"]).selectors();
        assert!(refused.unwrap_err().contains("takes globs"));
    }

    #[test]
    fn suffixes_are_told_where_the_range_alone_decides() {
        let lost = |filter: Filter| filter.selectors().unwrap().lost.is_some();
        assert!(lost(filter(&[], ">=1.0", &[])));
        assert!(lost(filter(&["v.*"], ">=1.0", &[])));
        assert!(!lost(filter(&["v\\d+\\.\\d+"], ">=1.0", &[])));
        assert!(!lost(filter(&[], ">=1.0", &[".*-.*"])));
    }

    #[test]
    fn expressions_that_must_both_match_share_globs_and_regex() {
        let both = |also: &str| Filter {
            also: texts(&[also]),
            ..filter(&["v\\d+.*"], "", &[])
        };
        let selectors = only(&both(".*-slim"));
        assert_eq!(selectors.regex.as_deref(), Some("v\\d+.*"));
        assert_eq!(selectors.tags, ["*-slim"]);
        assert!(both("[a-z0-9]+").selectors().is_err());
    }
}
