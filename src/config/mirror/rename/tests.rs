use proptest::prelude::*;

use crate::config::mirror::rename::*;

#[test]
fn what_is_no_template_for_a_tag_is_refused() {
    for wrong in ["mirror", "", "{tag}/x", ".{tag}", "{tag} ", "{tag}-{tag}"] {
        assert!(Rename::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_name_that_becomes_too_long_is_an_error() {
    let rename = Rename::parse("{tag}-mirror").unwrap();
    let long = "x".repeat(128).parse().unwrap();
    assert!(rename.target(&long).is_err());
}

#[test]
fn fixed_name_maps_one_tag() {
    let tag = |text: &str| text.parse::<Tag>().unwrap();
    let rename = Rename::parse_for("stable", &tag("1.27")).unwrap();
    assert_eq!(rename.target(&tag("1.27")).unwrap(), tag("stable"));
    assert_eq!(rename.source(&tag("stable")), Some(tag("1.27")));
    assert_eq!(rename.source(&tag("1.27")), None);
    assert!(Rename::parse_for("a/b", &tag("1.27")).is_err());
}

proptest! {
    #[test]
    fn two_tags_never_get_one_name(
        before in "([a-z][a-z0-9.-]{0,3})?",
        after in "[a-z0-9.-]{0,4}",
        tag in "[a-z0-9][a-z0-9.-]{0,6}",
        other in "[a-z0-9][a-z0-9.-]{0,6}",
    ) {
        let rename = Rename::parse(&format!("{before}{{tag}}{after}")).unwrap();
        let (tag, other): (Tag, Tag) = (tag.parse().unwrap(), other.parse().unwrap());
        let name = rename.target(&tag).unwrap();
        prop_assert_eq!(rename.source(&name), Some(tag.clone()));
        prop_assert_eq!(rename.target(&other).unwrap() == name, other == tag);
    }
}
