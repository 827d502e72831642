//! That a translated pattern matches what the original does.

use proptest::prelude::*;

use super::*;

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
