use std::collections::BTreeSet;

use crate::metrics;

/// The classes that a source names.
fn classes(source: &'static str) -> BTreeSet<&'static str> {
    let rest = source.split_once("pub fn class(&self)").unwrap().1;
    let (body, _) = rest.split_once("\n    }").unwrap();
    let named = body.split("=> \"").skip(1);
    named.map(|rest| rest.split_once('"').unwrap().0).collect()
}

#[test]
fn every_class_is_counted_from_the_start() {
    let counted = metrics::ERRORS.iter().chain(&metrics::OWN_ERRORS);
    let counted: BTreeSet<&str> = counted.copied().collect();
    let mut named = classes(include_str!("../../../crates/registry/src/error/mod.rs"));
    assert!(named.contains("network"), "{named:?}");
    named.extend(classes(include_str!("../error.rs")));
    assert_eq!(counted, named);
}
