//! The `tags` of dregsy's mappings: names, `semver:` and `regex:`, any of which may match, and
//! `keep:`, all of which must.

use super::{
    pattern,
    range::{self, Dialect},
    tags::{Filter, Sets},
};

/// A list of tags, by what is written before each.
#[derive(Default)]
struct Written<'a> {
    names: Vec<&'a str>,
    ranges: Vec<&'a str>,
    expressions: Vec<String>,
    denied: Vec<String>,
    kept: Filter,
}

/// The sets of tags that a list selects together.
pub(super) fn read(list: &[String]) -> Result<Sets, String> {
    let mut written = Written::default();
    for text in list {
        written.add(text)?;
    }
    written.sets()
}

impl<'a> Written<'a> {
    fn add(&mut self, text: &'a str) -> Result<(), String> {
        if let Some(range) = text.strip_prefix("semver:") {
            self.ranges.push(range);
        } else if let Some(expression) = text.strip_prefix("regex:") {
            match expression.trim().strip_prefix('!') {
                Some(denied) => self.denied.push(line(denied)?),
                None => self.expressions.push(line(expression.trim())?),
            }
        } else if let Some(expression) = text.strip_prefix("keep:") {
            match expression.trim().strip_prefix('!') {
                Some(denied) => self.kept.deny.push(line(denied)?),
                None => self.kept.also.push(line(expression.trim())?),
            }
        } else {
            self.names.push(text);
        }
        Ok(())
    }

    fn sets(self) -> Result<Sets, String> {
        let is_kept = |name: &&&str| {
            self.kept
                .also
                .iter()
                .all(|also| pattern::matches(also, name))
                && !self
                    .kept
                    .deny
                    .iter()
                    .any(|denied| pattern::matches(denied, name))
        };
        let names = self.names.iter().filter(is_kept);
        let names: Vec<String> = names.map(|name| (*name).into()).collect();
        let mut filters = Vec::new();
        if !self.expressions.is_empty() {
            filters.push(Ok(Filter {
                allow: self.expressions.clone(),
                ..self.kept.clone()
            }));
        }
        for denied in &self.denied {
            let mut filter = self.kept.clone();
            filter.deny.push(denied.clone());
            filters.push(Ok(filter));
        }
        if !self.ranges.is_empty() {
            let ranges = self.ranges.iter();
            let ranges: Result<Vec<_>, _> = ranges
                .map(|range| range::parse(range, Dialect::Blang))
                .collect();
            filters.push(ranges.map(|ranges| Filter {
                ranges: ranges.concat(),
                ..self.kept.clone()
            }));
        }
        if filters.is_empty() && names.is_empty() {
            if !self.names.is_empty() {
                return Err("`keep` keeps none of the tags that are named".into());
            }
            // Where nothing selects, every tag is kept that may be.
            filters.push(Ok(self.kept));
        }
        Ok(Sets::new(names, &filters))
    }
}

/// dregsy puts `^` before an expression and `$` after it where they are not there, and no group
/// around it.
pub(super) fn line(expression: &str) -> Result<String, String> {
    let begin = if expression.starts_with('^') { "" } else { "^" };
    let end = if expression.ends_with('$') { "" } else { "$" };
    pattern::whole(&format!("{begin}{expression}{end}"))
}
