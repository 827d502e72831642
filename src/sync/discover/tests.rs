use proptest::prelude::*;

use crate::sync::discover::*;

fn config(entries: &str) -> Config {
    let text = format!("[defaults]\ntarget = \"m.example.com\"\npath = \"{{name}}\"\n{entries}");
    Config::parse(std::path::Path::new("mirror.toml"), &text).unwrap_or_else(|e| panic!("{e}"))
}

fn catalogs(config: &Config, repositories: &[&str]) -> HashMap<Key, Catalog> {
    let repositories: Arc<[Repository]> = repositories.iter().map(|r| r.parse().unwrap()).collect();
    let discoveries = config.mirrors.iter().flat_map(|mirror| &mirror.discoveries);
    discoveries
        .map(|discovery| (key(discovery), Ok(repositories.clone())))
        .collect()
}

/// What the last mirror's patterns stand for: a source and how many selections it leaves to
/// others, or why a source is refused.
fn expanded(entries: &str, repositories: &[&str]) -> Vec<String> {
    let config = config(entries);
    let found = catalogs(&config, repositories);
    let mirror = config.mirrors.last().unwrap();
    let routes = expand(&config, mirror, &found)
        .into_iter()
        .map(|route| match route {
            Ok(route) => format!("{} {}", route.source, route.taken.len()),
            Err(refused) => format!("{}: {}", refused.source, refused.error),
        });
    routes.collect()
}

#[test]
fn pattern_yields_sorted_routes() {
    let found = [
        "r.io/team/b",
        "r.io/team/a",
        "r.io/other/c",
        "r.io/team/a/deep",
    ];
    assert_eq!(
        expanded("[[mirror]]\nfrom = \"r.io/team/*\"\ntags = \"*\"\n", &found),
        ["r.io/team/a 0", "r.io/team/b 0"]
    );
}

#[test]
fn a_pattern_that_matches_nothing_is_a_failure() {
    let routes = expanded(
        "[[mirror]]\nfrom = \"r.io/team/*\"\ntags = \"*\"\n",
        &["r.io/x/a"],
    );
    assert_eq!(routes.len(), 1);
    assert!(
        routes[0].starts_with("r.io/team/*: find r.io/team/*: not found"),
        "{routes:?}"
    );
}

#[test]
fn later_source_of_a_target_is_refused() {
    let entry = "[[mirror]]\nfrom = \"r.io/*/app\"\ntags = \"*\"\n";
    let routes = expanded(entry, &["r.io/b/app", "r.io/a/app"]);
    assert_eq!(routes[0], "r.io/a/app 0");
    assert!(
        routes[1].starts_with("r.io/b/app: both r.io/a/app and r.io/b/app would be written to"),
        "{routes:?}"
    );
}

#[test]
fn named_repository_beats_found_one() {
    let found = "[[mirror]]\nfrom = \"r.io/a/*\"\ntags = \"*\"\n";
    let named = "[[mirror]]\nfrom = \"r.io/b/app:1\"\n";
    let routes = expanded(&format!("{named}{found}"), &["r.io/a/app", "r.io/a/x"]);
    assert!(
        routes[0].starts_with("r.io/a/app: both r.io/b/app and"),
        "{routes:?}"
    );
    assert_eq!(routes[1], "r.io/a/x 0");
    // The entry that names it may well come later in the file.
    let config = config(&format!("{found}{named}"));
    let catalogs = catalogs(&config, &["r.io/a/app"]);
    assert!(expand(&config, &config.mirrors[0], &catalogs)[0].is_err());
}

#[test]
fn what_an_earlier_mirror_finds_is_left_to_it() {
    let first = "[[mirror]]\nfrom = \"r.io/a/*\"\ntags = \"v*\"\n";
    let second = "[[mirror]]\nfrom = \"r.io/**\"\ntags = \"*\"\n";
    let routes = expanded(
        &format!("{first}{second}"),
        &["r.io/a/app", "r.io/b/app", "r.io/c"],
    );
    assert_eq!(routes[0], "r.io/a/app 1");
    assert!(
        routes[1].starts_with("r.io/b/app: both r.io/a/app and"),
        "{routes:?}"
    );
    assert_eq!(routes[2], "r.io/c 0");
}

#[test]
fn overlapping_patterns_mirror_once() {
    let entry = "[[mirror]]\nfrom = [\"r.io/a/x\", \"r.io/a/*\", \"r.io/*/y\"]\ntags = \"*\"\n";
    let routes = expanded(entry, &["r.io/a/x", "r.io/a/y"]);
    assert_eq!(routes, ["r.io/a/y 0"]);
}

#[test]
fn a_catalog_that_was_refused_is_a_failure_of_its_mirror() {
    let config = config("[[mirror]]\nfrom = \"r.io/a/*\"\ntags = \"*\"\n");
    let mirror = &config.mirrors[0];
    let (name, kind) = ("r.io".parse().unwrap(), Kind::Denied("no".into()));
    let error = registry::Error::new(registry::Operation::ListRepositories, "r.io/a", &name, kind);
    let found = HashMap::from([(key(&mirror.discoveries[0]), Err(error))]);
    let expanded = expand(&config, mirror, &found);
    let [Err(refused)] = &expanded[..] else {
        panic!("{expanded:?}")
    };
    assert_eq!(refused.error.class(), crate::registry::ErrorClass::Denied);
}

proptest! {
    #[test]
    fn catalogs_give_a_target_one_source(
        mut catalog in prop::collection::vec("r\\.io/[abc](/[xy]){1,2}", 0..12),
        seed in any::<u64>(),
    ) {
        let config = config(
            "[[mirror]]\nfrom = \"r.io/a/*\"\ntags = \"v*\"\n\
             [[mirror]]\nfrom = [\"r.io/b/**\", \"r.io/*/x\"]\ntags = \"*\"\n\
             [[mirror]]\nfrom = \"r.io/c/y:1\"\n",
        );
        let expand_all = |catalog: &[String]| {
            let names: Vec<&str> = catalog.iter().map(String::as_str).collect();
            let found = catalogs(&config, &names);
            let mirrors = config.mirrors.iter();
            mirrors.flat_map(|mirror| expand(&config, mirror, &found)).collect::<Vec<_>>()
        };
        let expanded = expand_all(&catalog);
        let fixed = config.mirrors.iter().flat_map(|mirror| &mirror.routes);
        let mut writers: HashMap<&Repository, &Repository> = HashMap::new();
        for route in expanded.iter().flatten().chain(fixed) {
            for target in &route.targets {
                let first = *writers.entry(target).or_insert(&route.source);
                prop_assert_eq!(first, &route.source);
            }
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut catalog);
        prop_assert_eq!(format!("{expanded:?}"), format!("{:?}", expand_all(&catalog)));
    }
}
