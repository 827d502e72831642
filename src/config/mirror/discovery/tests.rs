use crate::config::{Config, mirror::discovery::*};

fn discovery(from: &str) -> Discovery {
    let text =
        format!("[[mirror]]\nfrom = \"{from}\"\ntags = \"*\"\ntarget = \"m.example.com/a\"\n");
    let config = Config::parse(std::path::Path::new("mirror.toml"), &text);
    let mut config = config.unwrap_or_else(|error| panic!("{error}"));
    config.mirrors.remove(0).discoveries.remove(0)
}

#[test]
fn a_star_stays_within_a_part_and_two_do_not() {
    let table: [(&str, &[&str], &[&str]); 5] = [
        (
            "quay.io/prometheus/*",
            &["quay.io/prometheus/node-exporter"],
            &[
                "quay.io/prometheus/a/b",
                "quay.io/coreos/etcd",
                "r.io/prometheus/a",
            ],
        ),
        (
            "r.io/team/*/app",
            &["r.io/team/x/app"],
            &["r.io/team/app", "r.io/team/x/y/app", "r.io/team/x/apps"],
        ),
        (
            "r.io/team/**",
            &["r.io/team/a", "r.io/team/a/b"],
            &["r.io/teams/a"],
        ),
        (
            "r.io/**/app",
            &["r.io/a/app", "r.io/a/b/app", "r.io/app"],
            &["r.io/a/b"],
        ),
        (
            "ngin*",
            &["docker.io/library/nginx"],
            &["docker.io/acme/nginx"],
        ),
    ];
    for (from, inside, outside) in table {
        let matches = |name: &&str| discovery(from).matches(&name.parse().unwrap());
        assert!(inside.iter().all(&matches), "{from}");
        assert!(!outside.iter().any(matches), "{from}");
    }
}

#[test]
fn what_comes_before_the_first_star_narrows_the_catalog() {
    for (from, prefix) in [
        ("quay.io/prometheus/*", "prometheus"),
        ("r.io/team/*/app", "team"),
        ("r.io/team/a-*", "team"),
        ("r.io/a*", ""),
        ("r.io/**/app", ""),
        ("nginx*", "library"),
    ] {
        assert_eq!(discovery(from).prefix(), prefix, "{from}");
    }
}

#[test]
fn what_is_found_becomes_a_route() {
    let route = discovery("quay.io/prometheus/*")
        .route(&"quay.io/prometheus/prometheus".parse().unwrap())
        .unwrap();
    assert_eq!(
        route.targets[0].to_string(),
        "m.example.com/a/quay.io/prometheus/prometheus"
    );
}

fn excluding(keys: &str) -> Result<Config, crate::config::Error> {
    let text = format!("[[mirror]]\ntags = \"*\"\ntarget = \"m.example.com/a\"\n{keys}\n");
    Config::parse(std::path::Path::new("mirror.toml"), &text)
}

#[test]
fn excludes_repositories() {
    let config = excluding(
        "from = [\"r.io/team/**\", \"other.io:5000/team/*\"]\n\
         exclude_repositories = [\"team/*-test\", \"r.io/team/old/**\", \"other.io:5000/*/b\"]",
    );
    let mirror = &config.unwrap().mirrors[0];
    let finds = |name: &str| {
        let repository = name.parse().unwrap();
        let mut found = mirror.discoveries.iter();
        found.any(|discovery| discovery.matches(&repository))
    };
    assert!(finds("r.io/team/a") && finds("r.io/team/b") && finds("r.io/team/x/a-test"));
    assert!(finds("other.io:5000/team/a"));
    for excluded in [
        "r.io/team/a-test",
        "r.io/team/old/a/b",
        "other.io:5000/team/a-test",
        "other.io:5000/team/b",
    ] {
        assert!(!finds(excluded), "{excluded}");
    }
}

#[test]
fn refuses_exclusions_without_effect() {
    for (keys, expected) in [
        (
            "from = \"r.io/a/b\"\nexclude_repositories = \"a/*\"",
            "excludes nothing: no `from` has a `*`",
        ),
        (
            "from = \"r.io/a/*\"\nexclude_repositories = \"a/B*\"",
            "bad `exclude_repositories`: `a/B*` is no pattern",
        ),
        (
            "from = \"r.io/a/*\"\nexclude_repositories = []",
            "`exclude_repositories` is an empty list",
        ),
    ] {
        let said = excluding(keys).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
}
