use std::path::Path;

use crate::{config::Config, sync::release_policy::*};

fn config(keys: &str) -> Config {
    let text = format!("[[mirror]]\ntarget = \"t.example/m\"\n{keys}");
    Config::parse(Path::new("mirror.toml"), &text).unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn releases(config: &Config) -> Vec<ReleasePolicy> {
    let mirror = &config.mirrors[0];
    let routes = mirror.routes.iter();
    let of = |route| ReleasePolicy::of(mirror, route, &Scope::Whole);
    routes.map(of).collect()
}

#[test]
fn routes_to_one_place_leave_each_others_tags_alone() {
    let named = config("from = [\"s.example/a:1\", \"s.example/a:2\"]");
    let but = |name: &str| ReleasePolicy::AllBut([tag(name)].into());
    assert_eq!(releases(&named), [but("2"), but("1")]);
    let apart = config("from = [\"s.example/a:1\", \"s.example/b:2\"]");
    let all = || ReleasePolicy::AllBut(HashSet::new());
    assert_eq!(releases(&apart), [all(), all()]);
}

#[test]
fn routes_that_patterns_stand_for_leave_each_others_tags_alone() {
    let found = |config: &Config| -> Vec<_> {
        let mirror = &config.mirrors[0];
        let patterns = mirror.discoveries.iter();
        let routes = patterns.map(|p| p.route(&"s.example/t/a".parse().unwrap()).unwrap());
        let of = |route| ReleasePolicy::of(mirror, &route, &Scope::Whole);
        routes.map(of).collect()
    };
    let named = config("from = [\"s.example/t/*:1\", \"s.example/t/*:2\"]");
    let but = |name: &str| ReleasePolicy::AllBut([tag(name)].into());
    assert_eq!(found(&named), [but("2"), but("1")]);
    let both = config("from = [\"s.example/t/a:1\", \"s.example/t/*\"]\ntags = \"v*\"");
    assert_eq!(releases(&both), [ReleasePolicy::Nothing]);
    assert_eq!(found(&both), [but("1")]);
    let apart = config("from = [\"s.example/b:1\", \"s.example/t/*\"]\ntags = \"v*\"");
    assert_eq!(releases(&apart), [ReleasePolicy::AllBut(HashSet::new())]);
}

#[test]
fn a_run_about_one_image_releases_nothing_and_takes_what_the_entry_selects() {
    let config = config("from = \"s.example/a\"\ntags = \"v*\"");
    let mirror = &config.mirrors[0];
    let scope = |name: &str| Scope::Image("s.example/a".parse().unwrap(), tag(name));
    let route = &mirror.routes[0];
    assert_eq!(
        ReleasePolicy::of(mirror, route, &scope("v1")),
        ReleasePolicy::Nothing
    );
    let routes = || mirror.routes.iter().cloned().map(Ok).collect();
    let narrowed = scope("v1").narrow(routes()).remove(0).unwrap();
    assert!(matches!(narrowed.selection, Selection::Tag(only) if only == tag("v1")));
    let refused = scope("latest").narrow(routes()).remove(0).unwrap_err();
    assert_eq!(refused.source, "s.example/a:latest");
}
