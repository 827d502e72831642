//! Version ranges of other tools, as the `semver` of `mirror.toml`.
//!
//! There a range is comparators that all have to match, and a version with a suffix is a
//! pre-release, which only a comparator of the same version with a suffix takes.

use regex::Regex;
use semver::VersionReq;

/// Whose ranges they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// regsync: missing numbers are zero, and a suffix is a version like any.
    Regsync,
    /// Masterminds/semver, which skopeo uses: `1.2` is every `1.2.x`, a suffix is a pre-release.
    Masterminds,
    /// blang/semver, which dregsy uses: whole versions or `1.2.x`, a suffix is a version like any.
    Blang,
}

/// One of several ranges of which a version may be in any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The range as `semver` takes it.
    pub(crate) text: String,
    /// Expressions for versions that the range takes and the original does not.
    pub(crate) exclude: Vec<String>,
    /// Whether the original takes versions with a suffix that this one does not.
    pub(crate) loses_suffixes: bool,
}

/// Reads ranges joined by `||`, or returns what is wrong.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Vec<Range>, String> {
    let ranges = text.split("||").map(|part| one(part.trim(), dialect));
    let ranges: Result<_, String> = ranges.collect();
    ranges.map_err(|reason| format!("the range `{text}`: {reason}"))
}

fn one(text: &str, dialect: Dialect) -> Result<Range, String> {
    let (mut comparators, mut exclude) = (Vec::new(), Vec::new());
    let mut loses_suffixes = dialect != Dialect::Masterminds;
    let hyphens = Regex::new(r"(\S+) - (\S+)").map_err(|error| error.to_string())?;
    let spelled = hyphens.replace_all(text, ">=$1 <=$2");
    let comparisons = Regex::new(r"^([<>=!~^ ]*)([^<>=!~^ ,]+)[ ,]*");
    let comparisons = comparisons.map_err(|error| error.to_string())?;
    let mut rest = spelled.as_ref();
    while let Some(found) = comparisons.captures(rest) {
        let (operator, version) = (found[1].replace(' ', ""), Version::parse(&found[2])?);
        rest = &rest[found[0].len()..];
        loses_suffixes |= !version.suffix.is_empty();
        match operator.as_str() {
            "!=" | "!" if dialect != Dialect::Regsync => exclude.push(version.expression()),
            _ => comparators.extend(comparator(&operator, version, dialect)?),
        }
    }
    if !rest.is_empty() || text.is_empty() {
        return Err("a version is missing".into());
    }
    if comparators.is_empty() {
        comparators.push("*".into());
    }
    let text = comparators.join(", ");
    VersionReq::parse(&text).map_err(|error| error.to_string())?;
    Ok(Range {
        text,
        exclude,
        loses_suffixes,
    })
}

/// A comparator of `mirror.toml`. None where every version passes.
fn comparator(
    operator: &str,
    mut version: Version,
    dialect: Dialect,
) -> Result<Option<String>, String> {
    let is_partial = version.numbers.len() < 3;
    let operator = match (operator, dialect) {
        ("", _) | ("==", Dialect::Blang) => "=",
        ("=>", Dialect::Masterminds) => ">=",
        ("=<", Dialect::Masterminds) => "<=",
        ("~>", Dialect::Masterminds) => "~",
        ("=" | ">" | "<" | ">=" | "<=", _) => operator,
        ("~" | "^", Dialect::Regsync | Dialect::Masterminds) => operator,
        (other, _) => return Err(format!("unknown operator `{other}`")),
    };
    match dialect {
        Dialect::Regsync if version.has_wildcard => {
            return Err("regsync has no `x` or `*` in versions".into());
        }
        Dialect::Blang if is_partial && !version.has_wildcard => {
            return Err("dregsy takes whole versions, such as 1.2.0".into());
        }
        _ if dialect == Dialect::Regsync || !version.suffix.is_empty() => {
            version.numbers.resize(3, 0);
        }
        _ => {}
    }
    let text = format!(
        "{operator}{}{}",
        joined(&version.numbers, "."),
        version.suffix
    );
    Ok((!version.numbers.is_empty()).then_some(text))
}

/// A version, or its beginning.
struct Version {
    numbers: Vec<u64>,
    /// With its `-`.
    suffix: String,
    has_wildcard: bool,
}

impl Version {
    fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let bare = bare.split('+').next().unwrap_or_default();
        let (core, suffix) = bare.split_at(bare.find('-').unwrap_or(bare.len()));
        let parts: Vec<&str> = core.split('.').collect();
        let numbers = parts
            .iter()
            .take_while(|part| !["x", "X", "*"].contains(part));
        let numbers: Result<Vec<u64>, _> = numbers.map(|part| part.parse()).collect();
        match numbers {
            Ok(numbers) if parts.len() <= 3 => Ok(Self {
                has_wildcard: numbers.len() < parts.len(),
                numbers,
                suffix: suffix.into(),
            }),
            _ => Err(format!("`{text}` is not a version of up to three numbers")),
        }
    }

    /// An expression for the tags of this version, or of all that begin with it.
    fn expression(&self) -> String {
        let (mut written, mut more) = (joined(&self.numbers, r"\."), String::new());
        if self.numbers.len() < 3 {
            more.push_str(r"(\..*)?");
        } else if self.suffix.is_empty() {
            // 1.2.0 may be tagged 1.2.
            while let Some(before) = written.strip_suffix(r"\.0") {
                written.truncate(before.len());
                more.push_str(r"(\.0)?");
            }
        }
        format!("v?{written}{more}{}", regex::escape(&self.suffix))
    }
}

fn joined(numbers: &[u64], dot: &str) -> String {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    numbers.join(dot)
}

#[cfg(test)]
mod tests;
