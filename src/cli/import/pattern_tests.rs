//! That a translated pattern matches what the original does, and nothing else.

use globset::GlobBuilder;
use proptest::prelude::*;
use regex::Regex;

use super::*;

fn is_match(globs: &[String], tag: &str) -> bool {
    globs.iter().any(|glob| {
        let glob = GlobBuilder::new(glob).backslash_escape(true).build();
        glob.unwrap().compile_matcher().is_match(tag)
    })
}

#[test]
fn what_is_searched_for_becomes_an_expression_for_the_whole() {
    for (search, expected) in [
        ("a+", ".*a+.*"),
        ("^1\\.13", "1\\.13.*"),
        ("-alpine$", ".*-alpine"),
        ("^v\\d+$", "v\\d+"),
        ("^a|b$", "a.*|.*b"),
        (".*-rc.*", ".*-rc.*"),
        ("v\\.*", ".*v\\.*.*"),
        ("", ".*"),
        ("^$", ""),
        ("(^a|b)c$", ".*(^a|b)c"),
    ] {
        assert_eq!(whole(search).unwrap(), expected, "{search}");
    }
}

#[test]
fn an_expression_that_is_none_says_so() {
    for wrong in ["(", "a{2,1}", "*"] {
        assert!(whole(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn globs_read_as_people_write_them() {
    let table: [(&str, &[&str]); 9] = [
        ("latest", &["latest"]),
        (".*-rc.*", &["*-rc*"]),
        (".*-(rc|alpha)\\.1", &["*-rc.1", "*-alpha.1"]),
        ("v?1\\.2", &["v1.2", "1.2"]),
        ("3.0", &["3?0"]),
        ("v[0-9].*", &["v[0-9]*"]),
        ("[^-]x", &["[!-]x"]),
        ("\\d{2}", &["[0-9][0-9]"]),
        ("a.+", &["a?*"]),
    ];
    for (pattern, expected) in table {
        assert_eq!(globs(pattern).unwrap(), expected, "{pattern}");
    }
    for inexpressible in ["v\\d+", "[a-f]*", "(a|b)*", "^a"] {
        assert_eq!(globs(inexpressible), None, "{inexpressible}");
    }
}

#[test]
fn repositories_become_patterns_of_from() {
    let table: [(&str, &[&str]); 7] = [
        (".*", &["**"]),
        ("team/app", &["team/app"]),
        ("team/.*", &["team/**"]),
        ("team/[^/]+", &["team/*"]),
        ("team/a.*", &["team/a*", "team/a*/**"]),
        (".*/app", &["*/**/app"]),
        (".*-app", &["**/*-app"]),
    ];
    for (pattern, expected) in table {
        assert_eq!(repositories(pattern).unwrap(), expected, "{pattern}");
    }
    for inexpressible in ["team/a.+", "[a-m].*", "a[^/]+"] {
        assert_eq!(repositories(inexpressible), None, "{inexpressible}");
    }
}

#[test]
fn what_may_hold_a_suffix_is_known() {
    for (pattern, expected) in [
        ("v\\d+\\.\\d+", false),
        ("v\\d+(-rc)?", true),
        (".*", true),
        ("[^.]+", true),
    ] {
        assert_eq!(may_hold(pattern, '-'), expected, "{pattern}");
    }
}

/// Patterns such as people write, and odd ones.
fn patterns() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a",
        "b",
        "-",
        "1",
        "\\.",
        ".",
        ".*",
        ".+",
        "[ab]",
        "[^-]",
        "\\d",
        "a?",
        "(a|b1)",
        "^",
        "$",
        "(rc|b)?",
        "[0-9]{1,2}",
        "|",
    ]);
    prop::collection::vec(atom, 0..6).prop_map(|atoms| atoms.concat())
}

proptest! {
    #[test]
    fn an_expression_for_the_whole_matches_what_the_search_finds(
        search in patterns(),
        tag in "[ab1.-]{0,6}",
    ) {
        if let (Ok(whole), Ok(searched)) = (whole(&search), Regex::new(&search)) {
            prop_assert_eq!(matches(&whole, &tag), searched.is_match(&tag), "{} of {}", whole, search);
        }
    }

    #[test]
    fn globs_match_what_their_expression_does(pattern in patterns(), tag in "[ab1.-]{1,6}") {
        if let Some(globs) = globs(&pattern) {
            prop_assert_eq!(is_match(&globs, &tag), matches(&pattern, &tag), "{:?} of {}", globs, pattern);
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
