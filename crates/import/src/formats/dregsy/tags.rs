//! The `tags` of dregsy's mappings: names, `semver:` and `regex:`, any of which may match, and
//! `keep:`, all of which have to.

use crate::tags::{
    Filter, TagSets, pattern,
    range::{self, Dialect},
};

/// The sets of tags that a list selects together.
pub(super) fn read<'a>(list: impl Iterator<Item = &'a str>) -> Result<TagSets, String> {
    let (mut names, mut ranges) = (Vec::new(), Vec::new());
    let (mut allow, mut deny, mut kept) = (Vec::new(), Vec::new(), Filter::default());
    for text in list {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let rest = rest.trim();
        match (kind, rest.strip_prefix('!')) {
            ("semver", _) => ranges.push(rest),
            ("regex", Some(denied)) => deny.push(bound(denied)?),
            ("regex", None) => allow.push(bound(rest)?),
            ("keep", Some(denied)) => kept.deny.push(bound(denied)?),
            ("keep", None) => kept.also.push(bound(rest)?),
            _ => names.push(text),
        }
    }
    let has_names = !names.is_empty();
    names.retain(|name| {
        kept.also.iter().all(|also| pattern::matches(also, name))
            && !kept
                .deny
                .iter()
                .any(|denied| pattern::matches(denied, name))
    });
    let names: Vec<String> = names.into_iter().map(String::from).collect();
    let mut filters = Vec::new();
    if !allow.is_empty() {
        let kept = kept.clone();
        filters.push(Ok(Filter { allow, ..kept }));
    }
    for denied in deny {
        let mut filter = kept.clone();
        filter.deny.push(denied);
        filters.push(Ok(filter));
    }
    if !ranges.is_empty() {
        let ranges = ranges
            .iter()
            .map(|range| range::parse(range, Dialect::Blang));
        let ranges = ranges
            .collect::<Result<Vec<_>, _>>()
            .map(|ranges| ranges.concat());
        let kept = kept.clone();
        filters.push(ranges.map(|ranges| Filter { ranges, ..kept }));
    }
    if filters.is_empty() && names.is_empty() {
        if has_names {
            return Err("`keep` keeps none of the tags that are named".into());
        }
        // Where nothing selects, every tag is kept that may be.
        filters.push(Ok(kept));
    }
    Ok(TagSets::new(names, filters))
}

/// dregsy puts `^` before an expression and `$` after it where they are not there, without a group
/// around it.
pub(super) fn bound(expression: &str) -> Result<String, String> {
    let begin = if expression.starts_with('^') { "" } else { "^" };
    let end = if expression.ends_with('$') { "" } else { "$" };
    pattern::whole(&format!("{begin}{expression}{end}"))
}
