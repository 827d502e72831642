//! Version ranges as other tools write them, as ranges of `mirror.toml`.
//!
//! There a range is ANDed comparators, and takes a version with a suffix (`1.2.3-alpine` is a
//! pre-release to all of them) only where it names one of the same version.

use std::fmt::Write as _;

use semver::VersionReq;

/// Whose ranges they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// regsync's own: what is missing of a version is zero, and a suffix is a version like any.
    Regsync,
    /// Masterminds/semver, which skopeo uses: `1.2` is every `1.2.x`, a suffix is a pre-release.
    Masterminds,
    /// blang/semver, which dregsy uses: whole versions or `1.2.x`, a suffix is a version like any.
    Blang,
}

/// One range of several of which a version may be in any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The range as `semver` takes it.
    pub(super) text: String,
    /// Globs for versions within that are none of it.
    pub(super) exclude: Vec<String>,
    /// Whether the original takes versions with a suffix that this one does not.
    pub(super) loses_suffixes: bool,
}

/// Reads ranges joined by `||`, or says what is wrong.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Vec<Range>, String> {
    let parts: Vec<&str> = match dialect {
        Dialect::Regsync => vec![text],
        Dialect::Masterminds | Dialect::Blang => text.split("||").collect(),
    };
    let ranges = parts.into_iter().map(|part| one(part.trim(), dialect));
    let ranges: Result<_, String> = ranges.collect();
    ranges.map_err(|reason| format!("the range `{text}`: {reason}"))
}

fn one(text: &str, dialect: Dialect) -> Result<Range, String> {
    let text = match dialect {
        Dialect::Masterminds => hyphens(text),
        Dialect::Regsync | Dialect::Blang => text.to_owned(),
    };
    let (mut comparators, mut exclude, mut names_suffix) = (Vec::new(), Vec::new(), false);
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty".into());
    }
    while !rest.is_empty() {
        let version_at = rest
            .find(|c: char| !"<>=!~^ ".contains(c))
            .ok_or("an operator without a version")?;
        let operator = rest[..version_at].replace(' ', "");
        let end = rest[version_at..].find([' ', ',', '<', '>', '=', '!', '~', '^']);
        let end = end.map_or(rest.len(), |end| version_at + end);
        let version = Version::parse(&rest[version_at..end])?;
        rest = rest[end..].trim_start_matches([' ', ',']);
        names_suffix |= !version.suffix.is_empty();
        match operator.as_str() {
            "!=" | "!" if dialect != Dialect::Regsync => exclude.extend(version.globs()),
            _ => comparators.extend(comparator(&operator, version, dialect)?),
        }
    }
    let text = match comparators.is_empty() {
        true => "*".into(),
        false => comparators.join(", "),
    };
    VersionReq::parse(&text).map_err(|error| error.to_string())?;
    Ok(Range {
        text,
        exclude,
        loses_suffixes: names_suffix || dialect != Dialect::Masterminds,
    })
}

/// `1.2 - 1.4` as `>=1.2 <=1.4`.
fn hyphens(text: &str) -> String {
    let mut words = text.split_whitespace().peekable();
    let mut written = String::new();
    while let Some(word) = words.next() {
        let is_hyphen = words.peek() == Some(&"-");
        let space = if written.is_empty() { "" } else { " " };
        match is_hyphen {
            true => {
                words.next();
                let upper = words.next().unwrap_or_default();
                let _ = write!(written, "{space}>={word} <={upper}");
            }
            false => {
                let _ = write!(written, "{space}{word}");
            }
        }
    }
    written
}

/// A comparator of `mirror.toml`; none for one that every version passes.
fn comparator(
    operator: &str,
    version: Version,
    dialect: Dialect,
) -> Result<Option<String>, String> {
    let operator = match operator {
        "" | "=" => "=",
        "==" if dialect == Dialect::Blang => "=",
        ">" | "<" | ">=" | "<=" => operator,
        "=>" if dialect == Dialect::Masterminds => ">=",
        "=<" if dialect == Dialect::Masterminds => "<=",
        "~" | "^" if dialect != Dialect::Blang => operator,
        "~>" if dialect == Dialect::Masterminds => "~",
        other => return Err(format!("there is no operator `{other}`")),
    };
    let is_whole = version.numbers.len() == 3;
    let version = match dialect {
        Dialect::Regsync if version.has_wildcard => {
            return Err("regsync knows no `x` or `*`".into());
        }
        Dialect::Regsync => version.filled(),
        Dialect::Blang if !is_whole && !version.has_wildcard => {
            return Err("dregsy takes whole versions, such as 1.2.0".into());
        }
        Dialect::Masterminds | Dialect::Blang if !version.suffix.is_empty() => version.filled(),
        Dialect::Masterminds | Dialect::Blang => version,
    };
    Ok((!version.numbers.is_empty()).then(|| format!("{operator}{version}")))
}

/// A version, or its beginning.
struct Version {
    numbers: Vec<u64>,
    suffix: String,
    has_wildcard: bool,
}

impl Version {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no version");
        let bare = text.strip_prefix('v').unwrap_or(text);
        let bare = bare.split_once('+').map_or(bare, |(version, _)| version);
        let (core, suffix) = bare.split_once('-').unwrap_or((bare, ""));
        let parts: Vec<&str> = core.split('.').collect();
        if parts.len() > 3 {
            return Err(format!("`{text}` has more than three numbers"));
        }
        let is_number = |part: &&&str| !matches!(**part, "x" | "X" | "*");
        let numbers = parts.iter().take_while(is_number).map(|part| part.parse());
        let numbers: Vec<u64> = numbers.collect::<Result<_, _>>().map_err(|_| wrong())?;
        Ok(Self {
            has_wildcard: numbers.len() < parts.len(),
            numbers,
            suffix: suffix.into(),
        })
    }

    /// The version with zeros for what is missing.
    fn filled(mut self) -> Self {
        self.numbers.resize(3, 0);
        self
    }

    /// Globs for the tags that are this version, or begin as it does.
    fn globs(&self) -> Vec<String> {
        let mut names = vec![self.to_string()];
        if self.numbers.len() < 3 {
            names.push(format!("{self}.*"));
        } else if self.suffix.is_empty() {
            let zeros = self.numbers.iter().rev().take_while(|n| **n == 0).count();
            let shorter = (1..=zeros.min(2)).map(|drop| Self {
                numbers: self.numbers[..3 - drop].to_vec(),
                suffix: String::new(),
                has_wildcard: false,
            });
            names.extend(shorter.map(|version| version.to_string()));
        }
        let with_v: Vec<String> = names.iter().map(|name| format!("v{name}")).collect();
        names.extend(with_v);
        names
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))?;
        match self.suffix.as_str() {
            "" => Ok(()),
            suffix => write!(f, "-{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, dialect: Dialect) -> Vec<String> {
        let ranges = parse(text, dialect).unwrap_or_else(|error| panic!("{error}"));
        ranges.into_iter().map(|range| range.text).collect()
    }

    #[test]
    fn each_dialect_says_the_same_in_its_own_way() {
        use Dialect::*;
        let table: [(Dialect, &str, &[&str]); 17] = [
            (Regsync, ">=1.2.3 <2.0", &[">=1.2.3, <2.0.0"]),
            (Regsync, ">1.2", &[">1.2.0"]),
            (Regsync, "1.2", &["=1.2.0"]),
            (Regsync, "~1", &["~1.0.0"]),
            (Regsync, "^v0.2", &["^0.2.0"]),
            (Masterminds, ">= 3.12.0", &[">=3.12.0"]),
            (Masterminds, "1.2.3", &["=1.2.3"]),
            (Masterminds, "1.2", &["=1.2"]),
            (Masterminds, "1.x", &["=1"]),
            (Masterminds, "*", &["*"]),
            (Masterminds, "~>1.2, !=1.2.4", &["~1.2"]),
            (Masterminds, "1.2 - 1.4.5", &[">=1.2, <=1.4.5"]),
            (Masterminds, "^1.2 || >=3.0", &["^1.2", ">=3.0"]),
            (Masterminds, "=>1, =<2", &[">=1, <=2"]),
            (Blang, " >=1.31.0 <1.31.9", &[">=1.31.0, <1.31.9"]),
            (Blang, ">1.2.x || ==3.0.0", &[">1.2", "=3.0.0"]),
            (Blang, "<=1.x !=1.0.0", &["<=1"]),
        ];
        for (dialect, text, expected) in table {
            assert_eq!(texts(text, dialect), expected, "{dialect:?} {text}");
        }
    }

    /// What regsync's own code makes of one comparator, for a version without a suffix.
    fn regsync_takes(operator: &str, bound: [u64; 3], version: [u64; 3]) -> bool {
        let [major, minor, patch] = bound;
        let upper = match operator {
            "~" => [major, minor + 1, 0],
            "^" if major > 0 => [major + 1, 0, 0],
            "^" if minor > 0 => [0, minor + 1, 0],
            _ => [0, 0, patch + 1],
        };
        match operator {
            "" | "=" => version == bound,
            ">" => version > bound,
            "<" => version < bound,
            ">=" => version >= bound,
            "<=" => version <= bound,
            _ => version >= bound && version < upper,
        }
    }

    #[test]
    fn the_versions_are_those_that_regsync_selects() {
        let triples = || (0..27).map(|at| [at / 9, at / 3 % 3, at % 3]);
        for operator in ["", "=", ">", "<", ">=", "<=", "~", "^"] {
            for bound in triples() {
                for length in 1..=3 {
                    let mut filled = bound;
                    filled[length..].fill(0);
                    let numbers: Vec<String> = bound[..length].iter().map(u64::to_string).collect();
                    let text = format!("{operator}{}", numbers.join("."));
                    let range = parse(&text, Dialect::Regsync).unwrap().swap_remove(0);
                    let range = VersionReq::parse(&range.text).unwrap();
                    for version in triples() {
                        let [major, minor, patch] = version;
                        let is_match = range.matches(&semver::Version::new(major, minor, patch));
                        let expected = regsync_takes(operator, filled, version);
                        assert_eq!(is_match, expected, "{version:?} in {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_left_out_of_a_range_becomes_globs() {
        let exclude = |text| {
            parse(text, Dialect::Masterminds).unwrap()[0]
                .exclude
                .clone()
        };
        assert_eq!(exclude(">=1, !=1.2.3"), ["1.2.3", "v1.2.3"]);
        assert_eq!(exclude("!=1.2"), ["1.2", "1.2.*", "v1.2", "v1.2.*"]);
        assert_eq!(exclude("!=1.2.0"), ["1.2.0", "1.2", "v1.2.0", "v1.2"]);
    }

    #[test]
    fn who_takes_suffixes_is_known() {
        let loses = |text, dialect| parse(text, dialect).unwrap()[0].loses_suffixes;
        assert!(!loses(">=1.0", Dialect::Masterminds));
        assert!(loses(">=1.0-0", Dialect::Masterminds));
        assert!(loses(">=1.0.0", Dialect::Regsync));
        assert!(loses(">=1.0.0", Dialect::Blang));
    }

    #[test]
    fn what_is_no_range_says_why() {
        for (text, dialect, words) in [
            ("", Dialect::Masterminds, "empty"),
            (">=", Dialect::Masterminds, "without a version"),
            (">=latest", Dialect::Masterminds, "no version"),
            ("1.2.3.4", Dialect::Regsync, "more than three"),
            ("1.x", Dialect::Regsync, "knows no `x`"),
            ("!=1.0.0", Dialect::Regsync, "no operator"),
            (">=1.2", Dialect::Blang, "whole versions"),
            ("~1.2.0", Dialect::Blang, "no operator"),
        ] {
            let error = parse(text, dialect).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
