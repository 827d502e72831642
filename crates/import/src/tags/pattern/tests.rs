//! That a translated pattern matches what the original does.

use proptest::prelude::*;

use super::*;

#[test]
fn searches_become_expressions_for_the_whole() {
    for (search, expected) in [
        ("a+", ".*a+.*"),
        ("^1\\.13", "1\\.13.*"),
        ("-alpine$", ".*-alpine"),
        ("^v\\d+$", "v\\d+"),
        ("^a|b$", "a.*|.*b"),
        (".*-rc.*", ".*-rc.*"),
        ("v\\.*", ".*v\\.*.*"),
        ("[|)]|(a|b)", ".*[|)].*|.*(a|b).*"),
        ("", ".*"),
        ("^$", ""),
    ] {
        assert_eq!(whole(search).unwrap(), expected, "{search}");
    }
    for wrong in ["(", "a{2,1}", "*"] {
        assert!(whole(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn globs_read_as_people_write_them() {
    let table: [(&str, &[&str]); 5] = [
        ("latest", &["latest"]),
        ("v1.2", &["v1.2"]),
        (".*-rc.*", &["*-rc*"]),
        (".*-(rc|alpha)\\.1", &["*-rc.1", "*-alpha.1"]),
        ("v?1\\.2", &["v1.2", "1.2"]),
    ];
    for (pattern, expected) in table {
        assert_eq!(allowed_globs(pattern).unwrap(), expected, "{pattern}");
    }
    for inexpressible in ["v\\d+", "3.0", "a.+", "(a|b)*", "^a"] {
        assert_eq!(globs(inexpressible), None, "{inexpressible}");
    }
    assert!(may_hold_hyphen("v\\d+(-rc)?") && may_hold_hyphen("[^.]+"));
    assert!(!may_hold_hyphen("v\\d+\\.\\d+"));
}

#[test]
fn repositories_become_patterns_of_from() {
    let table: [(&str, &[&str]); 9] = [
        (".*", &["**"]),
        ("team/app", &["team/app"]),
        ("team/.+", &["team/**"]),
        ("team/[^/]+", &["team/*"]),
        ("team/a.*", &["team/a*", "team/a*/**"]),
        (".*/app", &["*/**/app"]),
        (".*-app", &["**/*-app"]),
        ("team/(a|b)/.*", &["team/a/**", "team/b/**"]),
        ("a[^/]*/b", &["a*/b"]),
    ];
    for (pattern, expected) in table {
        assert_eq!(repositories(pattern).unwrap(), expected, "{pattern}");
    }
    for inexpressible in ["team/a.+", "[a-m].*", "a[^/]+"] {
        assert_eq!(repositories(inexpressible), None, "{inexpressible}");
    }
}

/// Patterns such as people write, and odd ones.
fn patterns() -> impl Strategy<Value = String> {
    let atoms = "a b - 1 \\. . .* .+ [ab] [^-] \\d a? (a|b1) ^ $ (rc|b)? [0-9]{1,2} |";
    let atom = prop::sample::select(atoms.split(' ').collect::<Vec<_>>());
    prop::collection::vec(atom, 0..6).prop_map(|atoms| atoms.concat())
}

proptest! {
    #[test]
    fn the_whole_matches_where_the_search_does(search in patterns(), tag in "[ab1.-]{0,6}") {
        if let (Ok(whole), Ok(searched)) = (whole(&search), Regex::new(&search)) {
            prop_assert_eq!(matches(&whole, &tag), searched.is_match(&tag), "{} of {}", whole, search);
        }
    }

    #[test]
    fn globs_match_what_their_expression_does(pattern in patterns(), tag in "[ab1.-]{1,6}") {
        if let Some(globs) = globs(&pattern) {
            let glob = |glob: &String| regex::escape(glob).replace("\\*", ".*");
            let is_match = globs.iter().any(|text| matches(&glob(text), &tag));
            prop_assert_eq!(is_match, matches(&pattern, &tag), "{:?} of {}", globs, pattern);
        }
    }

    #[test]
    fn several_expressions_are_one(a in patterns(), b in patterns(), tag in "[ab1.-]{0,6}") {
        if let (Ok(a), Ok(b)) = (whole(&a), whole(&b)) {
            let either = matches(&a, &tag) || matches(&b, &tag);
            prop_assert_eq!(matches(&any_of(&[a, b]), &tag), either);
        }
    }
}
