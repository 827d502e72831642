//! Ranges of each dialect.

use super::{Dialect::*, *};

fn texts(text: &str, dialect: Dialect) -> Vec<String> {
    let ranges = parse(text, dialect).unwrap_or_else(|error| panic!("{error}"));
    ranges.into_iter().map(|range| range.text).collect()
}

#[test]
fn each_dialect_is_translated() {
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
        "=" => version == bound,
        ">" => version > bound,
        "<" => version < bound,
        ">=" => version >= bound,
        "<=" => version <= bound,
        _ => version >= bound && version < upper,
    }
}

#[test]
fn versions_are_those_that_regsync_selects() {
    let triples = || (0..27).map(|at| [at / 9, at / 3 % 3, at % 3]);
    for operator in ["=", ">", "<", ">=", "<=", "~", "^"] {
        for (bound, length) in triples().flat_map(|bound| (1..=3).map(move |n| (bound, n))) {
            let mut filled = bound;
            filled[length..].fill(0);
            let text = format!("{operator}{}", joined(&bound[..length], "."));
            let range = VersionReq::parse(&texts(&text, Regsync)[0]).unwrap();
            for version in triples() {
                let [major, minor, patch] = version;
                let is_match = range.matches(&semver::Version::new(major, minor, patch));
                let expected = regsync_takes(operator, filled, version);
                assert_eq!(is_match, expected, "{version:?} in {text}");
            }
        }
    }
}

#[test]
fn exclusions_and_suffixes_are_known() {
    for (text, expression) in [
        (">=1, !=1.2.3", r"v?1\.2\.3"),
        ("!=1.2", r"v?1\.2(\..*)?"),
        ("!=1.2.0", r"v?1\.2(\.0)?"),
        ("!=1.2.0-rc", r"v?1\.2\.0\-rc"),
    ] {
        assert_eq!(parse(text, Masterminds).unwrap()[0].exclude, [expression]);
    }
    let loses = |text, dialect| parse(text, dialect).unwrap()[0].loses_suffixes;
    assert!(!loses(">=1.0", Masterminds) && loses(">=1.0-0", Masterminds));
    assert!(loses(">=1.0.0", Regsync) && loses(">=1.0.0", Blang));
}

#[test]
fn wrong_ranges_are_refused() {
    for (text, dialect, words) in [
        ("", Masterminds, "version is missing"),
        (">=", Masterminds, "version is missing"),
        (">=latest", Masterminds, "not a version"),
        ("1.2.3.4", Regsync, "up to three numbers"),
        ("1.x", Regsync, "no `x`"),
        ("!=1.0.0", Regsync, "unknown operator"),
        (">=1.2", Blang, "whole versions"),
        ("~1.2.0", Blang, "unknown operator"),
    ] {
        let error = parse(text, dialect).expect_err(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}
