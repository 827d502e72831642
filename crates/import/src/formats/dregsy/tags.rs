//! The `tags` of dregsy's mappings: names, `semver:` and `regex:`, any of which may match, and
//! `keep:`, all of which have to.

use crate::tags::{
    Filter, Tags, pattern,
    range::{self, Dialect},
};

/// The tags that a list selects.
pub(super) fn read<'a>(list: impl Iterator<Item = &'a str>) -> Result<Tags, String> {
    let (mut names, mut ranges) = (Vec::new(), Vec::new());
    let (mut allow, mut deny, mut kept) = (Vec::new(), Vec::new(), Filter::default());
    for text in list {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let rest = rest.trim();
        match (kind, rest.strip_prefix('!')) {
            ("semver", _) => ranges.extend(range::parse(rest, Dialect::Blang)?),
            ("regex", Some(denied)) => deny.push(bound(denied)?),
            ("regex", None) => allow.push(bound(rest)?),
            ("keep", Some(denied)) => kept.deny.push(bound(denied)?),
            ("keep", None) => kept.also.push(bound(rest)?),
            _ => names.push(text.to_owned()),
        }
    }
    let has_names = !names.is_empty();
    let matches = |name: &str, pattern: &String| pattern::matches(pattern, name);
    names.retain(|name| kept.also.iter().all(|also| matches(name, also)));
    names.retain(|name| !kept.deny.iter().any(|denied| matches(name, denied)));
    let mut filters = Vec::new();
    if !allow.is_empty() {
        let kept = kept.clone();
        filters.push(Filter { allow, ..kept });
    }
    for denied in deny {
        let mut filter = kept.clone();
        filter.deny.push(denied);
        filters.push(filter);
    }
    if !ranges.is_empty() {
        let kept = kept.clone();
        filters.push(Filter { ranges, ..kept });
    }
    match (names.is_empty() && filters.is_empty(), has_names) {
        (true, true) => return Err("`keep` keeps none of the tags that are named".into()),
        // Where nothing selects, every tag is kept that may be.
        (true, false) => filters.push(kept),
        (false, _) => {}
    }
    let others = Tags::default();
    Ok(Tags {
        names,
        filters,
        ..others
    })
}

/// dregsy puts `^` before an expression and `$` after it where they are not there, without a group
/// around it.
pub(super) fn bound(expression: &str) -> Result<String, String> {
    let begin = if expression.starts_with('^') { "" } else { "^" };
    let end = if expression.ends_with('$') { "" } else { "$" };
    pattern::whole(&format!("{begin}{expression}{end}"))
}
