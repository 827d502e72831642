//! That a translated range matches what the original does.

use super::{Dialect::*, *};

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
            let range = VersionReq::parse(&parse(&text, Regsync).unwrap()[0].text).unwrap();
            for version in triples() {
                let [major, minor, patch] = version;
                let is_match = range.matches(&semver::Version::new(major, minor, patch));
                let expected = regsync_takes(operator, filled, version);
                assert_eq!(is_match, expected, "{version:?} in {text}");
            }
        }
    }
}
