use std::sync::Arc;

use proptest::prelude::*;

use crate::{config::Config, sync::plan::select::*};

const DAY: i64 = 86_400;

/// The route of a `[[mirror]]` with these selectors.
fn route(selectors: &str) -> Route {
    let text =
        format!("[[mirror]]\nfrom = \"quay.io/a/b\"\ntarget = \"m.example.com\"\n{selectors}\n");
    let config = Config::parse(std::path::Path::new("mirror.toml"), &text);
    config.unwrap_or_else(|e| panic!("{e}")).mirrors[0].routes[0].clone()
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// What a route selects where no time is known.
fn choose(route: &Route, listing: Vec<Tag>) -> Selected {
    choose_at(route, &listing, &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

/// The same on the 100th day, with the days on which tags were pushed.
fn choose_at(route: &Route, listing: &[Tag], days: &[(&str, i64)]) -> Result<Selected, String> {
    let times = days
        .iter()
        .map(|(name, day)| (name.parse().unwrap(), day * DAY));
    let clock = Clock {
        now: 100 * DAY,
        times: &times.collect(),
    };
    select(route, listing, clock)
}

fn names(selected: &Selected) -> Vec<&str> {
    selected.tags.iter().map(Tag::as_str).collect()
}

fn selected(selectors: &str, listing: &[&str]) -> Vec<String> {
    let selected = choose(&route(selectors), tags(listing));
    selected.tags.iter().map(ToString::to_string).collect()
}

#[test]
fn each_selector_keeps_what_it_says() {
    let listing = [
        "1.2.0",
        "v1.10.1",
        "v1.9",
        "2",
        "v2.0.0-rc1",
        "latest",
        "1.2.0-alpine",
        "1.2.3.4",
        "nightly-9",
        "nightly-10",
    ];
    let table: [(&str, &[&str]); 11] = [
        ("tags = \"*\"\nexclude = [\"*\"]\nmin_tags = 0", &[]),
        (
            "tags = [\"v*\", \"latest\"]",
            &["latest", "v1.9", "v1.10.1", "v2.0.0-rc1"],
        ),
        ("tags = \"1.?.0\"", &["1.2.0"]),
        ("tags = \"[0-9]\"", &["2"]),
        ("regex = \"v\\\\d+\\\\.\\\\d+\"", &["v1.9"]),
        ("regex = \"1|2\"", &["2"]),
        ("semver = \">=1.9, <2\"", &["v1.9", "v1.10.1"]),
        (
            "semver = \"*\"",
            &["1.2.0", "1.2.3.4", "2", "v1.9", "v1.10.1"],
        ),
        ("semver = \">=2.0.0-rc1\"", &["2", "v2.0.0-rc1"]),
        ("latest = 2", &["2", "v2.0.0-rc1"]),
        ("regex = \"nightly.*\"\nlatest = 1", &["nightly-10"]),
    ];
    for (selectors, expected) in table {
        assert_eq!(selected(selectors, &listing), expected, "{selectors}");
    }
}

#[test]
fn empty_selection_is_refused_unless_allowed() {
    let listing = tags(&["v1.0.0", "v1.1.0"]);
    let refused = |selectors: &str| choose_at(&route(selectors), &listing, &[]);
    let text = refused("semver = \">=2\"").unwrap_err();
    assert!(
        text.contains("none of its 2 tags") && text.contains("semver"),
        "{text}"
    );
    assert!(refused("semver = \">=2\"\nmin_tags = 0").is_ok());
}

#[test]
fn selectors_are_anded_and_latest_comes_last() {
    let listing = ["v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0-rc1", "v2.0.0"];
    let selectors = "semver = \"1\"\nexclude = \"*.3.*\"\nlatest = 1";
    assert_eq!(selected(selectors, &listing), ["v1.2.0"]);
}

#[test]
fn what_each_selector_dropped_is_told() {
    let result = choose(
        &route("tags = \"v*\"\nlatest = 1"),
        tags(&["a", "v1", "v2", "b"]),
    );
    let reported: Vec<_> = result
        .dropped
        .iter()
        .map(|d| (d.selector, d.count))
        .collect();
    assert_eq!(reported, [("tags", 2), ("latest", 1)]);
    assert_eq!(result.dropped[0].first, tags(&["a", "b"]));
}

#[test]
fn tags_of_another_entry_are_left_to_it() {
    let mut late = route("tags = \"*\"");
    late.taken = vec![
        Selection::Tag("latest".parse().unwrap()),
        Selection::Matching(Arc::new(Selectors {
            latest: Some(1),
            ..Selectors::default()
        })),
    ];
    let result = choose(&late, tags(&["v1", "v2", "latest"]));
    assert_eq!(result.tags, tags(&["v1"]));
}

#[test]
fn max_age_drops_what_is_older_and_keeps_what_nobody_dates() {
    let listing = tags(&["old", "new", "dateless", "edge"]);
    let days = [("old", 69), ("new", 99), ("edge", 70)];
    let selected = choose_at(&route("max_age = \"30d\""), &listing, &days).unwrap();
    assert_eq!(names(&selected), ["dateless", "edge", "new"]);
    assert_eq!(selected.undated, tags(&["dateless"]));
    assert_eq!(selected.dropped[0].selector, "max_age");
}

#[test]
fn max_age_comes_after_the_names_and_before_latest() {
    let listing = tags(&["v1", "v2", "v3", "x"]);
    let days = [("v1", 99), ("v2", 98), ("v3", 1)];
    let route = route("tags = \"v*\"\nmax_age = \"30d\"\nlatest = 1");
    let selected = choose_at(&route, &listing, &days).unwrap();
    assert_eq!(names(&selected), ["v2"]);
    let times = HashMap::from([("v1".parse().unwrap(), 0)]);
    assert_eq!(undated(&route, &listing, &times), tags(&["v2", "v3"]));
}

#[test]
fn nothing_is_dated_for_a_route_without_max_age() {
    let listing = tags(&["v1"]);
    assert!(undated(&route("tags = \"*\""), &listing, &HashMap::new()).is_empty());
}

#[test]
fn latest_goes_by_push_time_where_tags_are_no_versions() {
    let listing = tags(&["nightly-a", "nightly-b", "nightly-c"]);
    let newest = route("tags = \"*\"\nlatest = 2");
    let days = [("nightly-a", 9), ("nightly-b", 3), ("nightly-c", 5)];
    let selected = choose_at(&newest, &listing, &days).unwrap();
    assert_eq!(names(&selected), ["nightly-a", "nightly-c"]);
    let selected = choose_at(&newest, &listing, &[]).unwrap();
    assert_eq!(names(&selected), ["nightly-b", "nightly-c"]);
    let versions = tags(&["v1", "v2", "v3"]);
    let selected = choose_at(&newest, &versions, &[("v1", 9), ("v2", 8)]).unwrap();
    assert_eq!(names(&selected), ["v2", "v3"]);
}

#[test]
fn order_of_latest_names_what_placed_each_tag() {
    let listing = tags(&["2024-08", "2024-10", "nightly-a", "nightly-b", "edge"]);
    let newest = route("tags = \"*\"\nlatest = 1");
    let selected = choose_at(&newest, &listing, &[("nightly-a", 9), ("nightly-b", 3)]).unwrap();
    let order: Vec<_> = selected
        .order
        .iter()
        .map(|o| (o.tag.as_str(), o.by))
        .collect();
    let expected = [
        ("2024-10", OrderedBy::Version),
        ("2024-08", OrderedBy::Version),
        ("nightly-a", OrderedBy::Time),
        ("nightly-b", OrderedBy::Time),
        ("edge", OrderedBy::Name),
    ];
    assert_eq!(order, expected);
}

#[test]
fn few_versions_need_push_times() {
    let needs = |selectors: &str, names: &[&str]| needs_times(&route(selectors), &tags(names));
    let newest = "tags = \"*\"\nlatest = 2";
    assert!(needs(newest, &["a", "b", "c"]));
    assert!(needs(newest, &["a", "b", "v1"]));
    assert!(!needs(newest, &["a", "v1", "v2"]));
    assert!(!needs(newest, &["a", "b"]));
    assert!(!needs("tags = \"*\"", &["a", "b", "c"]));
}

#[test]
fn guarded_selection_is_refused() {
    let listing = tags(&["v1", "v2", "x"]);
    let refused = |guard: &str| {
        choose_at(&route(&format!("tags = \"v*\"\n{guard}")), &listing, &[]).unwrap_err()
    };
    let reported = refused("min_tags = 3");
    assert!(
        reported.contains("quay.io/a/b select 2 tags, less than `min_tags = 3`"),
        "{reported}"
    );
    let reported = refused("max_tags = 1");
    assert!(
        reported.contains("select 2 tags, more than `max_tags = 1`"),
        "{reported}"
    );
    let fine = route("tags = \"v*\"\nmin_tags = 2\nmax_tags = 2");
    assert!(choose_at(&fine, &listing, &[]).is_ok());
}

proptest! {
    #[test]
    fn selection_does_not_depend_on_the_order_of_the_listing(
        mut names in prop::collection::vec("(v?[0-9]{1,2}(\\.[0-9]{1,3}){0,3}([-_](rc|r)?[0-9]{1,2}){0,2})|(20[0-9]{2}-[01]?[0-9])|[a-z]{1,4}", 0..30),
        seed in any::<u64>(),
    ) {
        let route = route("tags = [\"v*\", \"[0-9]*\", \"a*\"]\nexclude = \"*-rc1\"\nlatest = 5\nmin_tags = 0");
        let parse = |names: &[String]| names.iter().map(|n| n.parse().unwrap()).collect::<Vec<Tag>>();
        let first = choose(&route, parse(&names));
        fastrand::Rng::with_seed(seed).shuffle(&mut names);
        prop_assert_eq!(first, choose(&route, parse(&names)));
    }
}

#[test]
fn exclude_regex_must_match_the_whole_tag() {
    let listing = ["1.2", "1.2-rc1", "1.2-rc10", "nightly", "x-nightly"];
    let keys = |list: &str| format!("tags = \"*\"\nexclude_regex = {list}");
    let left = selected(&keys(r#"['.*-rc\d', "nightly"]"#), &listing);
    assert_eq!(left, ["1.2", "1.2-rc10", "x-nightly"]);
    let left = selected(&keys("'.*-rc.*'"), &listing);
    assert_eq!(left, ["1.2", "nightly", "x-nightly"]);
}
