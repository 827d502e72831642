//! Which tags are mirrored, where they go, and which platforms of them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::programs::pair::Pair;
use crate::support::programs::transship::{Transship, sum};
use crate::support::registries::client::{Client, assert_mirrored};
use crate::support::registries::corpus::Image;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, blob_gets, count};

/// The tags that arrive when a repository holds `tags` and its entry has these selectors.
fn mirrored(tags: &[&str], selectors: &str) -> Vec<String> {
    let pair = Pair::mirroring(&format!("[[mirror]]\nfrom = \"SOURCE/app\"\n{selectors}\n"));
    let image = Image::without_layers("same under every tag");
    for tag in tags {
        pair.from.push("app", tag, &image);
    }
    pair.transship.sync();
    pair.to.tags("mirror/app")
}

#[test]
fn globs_are_a_union() {
    let tags = ["v1", "v1.2", "latest", "latest-rc", "edge"];
    assert_eq!(mirrored(&tags, "tags = \"v*\""), ["v1", "v1.2"]);
    assert_eq!(
        mirrored(&tags, "tags = [\"v1\", \"latest\"]"),
        ["latest", "v1"]
    );
}

#[test]
fn exclude_drops_selected_tags() {
    let tags = ["1.0", "1.0-rc1", "1.1", "1.1-alpine", "2.0"];
    assert_eq!(
        mirrored(&tags, "tags = \"1.*\"\nexclude = [\"*-rc*\", \"*-alpine\"]"),
        ["1.0", "1.1"]
    );
}

#[test]
fn regex_matches_whole_tag() {
    assert_eq!(
        mirrored(&["v1", "v12", "v1-rc", "xv1", "v"], "regex = \"v\\\\d+\""),
        ["v1", "v12"]
    );
}

#[test]
fn regex_alternation_is_anchored() {
    assert_eq!(
        mirrored(&["a", "b", "ab", "ba", "xb", "ax"], "regex = \"a|b\""),
        ["a", "b"]
    );
}

#[test]
fn semver_selects_within_range() {
    let tags = [
        "v1.30.5",
        "v1.31.0",
        "1.33.2",
        "v1.34.0",
        "latest",
        "v1.33.1-rc.0",
    ];
    let selectors = "semver = \">=1.31, <1.34\"\nexclude = \"*-rc*\"";
    assert_eq!(mirrored(&tags, selectors), ["1.33.2", "v1.31.0"]);
}

#[test]
fn latest_keeps_highest_versions() {
    let tags = ["1.2.0", "1.9.0", "1.10.0", "1.11.0"];
    assert_eq!(
        mirrored(&tags, "semver = \">=1.0\"\nlatest = 2"),
        ["1.10.0", "1.11.0"]
    );
}

#[test]
fn latest_applies_last() {
    let tags = ["1.8.0", "1.9.0", "1.10.0", "1.11.0-rc.1", "2.0.0"];
    let selectors = "semver = \">=1.0, <2\"\nexclude = \"*-rc*\"\nlatest = 2";
    assert_eq!(mirrored(&tags, selectors), ["1.10.0", "1.9.0"]);
}

#[test]
fn braces_expand_repositories() {
    let pair =
        Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/kube-{apiserver,proxy}\"\ntags = \"*\"\n");
    for name in ["kube-apiserver", "kube-proxy", "kube-scheduler"] {
        pair.from.push(name, "v1", &Image::oci(name));
    }
    pair.transship.sync();
    assert_eq!(
        pair.to.repositories(),
        ["mirror/kube-apiserver", "mirror/kube-proxy"]
    );
    pair.assert_mirrored(&[("kube-apiserver", "v1"), ("kube-proxy", "v1")]);
}

#[test]
fn from_may_be_a_list() {
    let pair =
        Pair::mirroring("[[mirror]]\nfrom = [\"SOURCE/one\", \"SOURCE/two:v1\"]\ntags = \"*\"\n");
    for (name, tag) in [("one", "v1"), ("one", "v2"), ("two", "v1"), ("two", "v2")] {
        pair.from.push(name, tag, &Image::oci(name));
    }
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/one"), ["v1", "v2"]);
    assert_eq!(pair.to.tags("mirror/two"), ["v1"]);
}

/// Where the source's `team/app` goes under a path template.
fn repository_under(path: &str) -> (Vec<String>, Pair) {
    let entry =
        format!("[[mirror]]\nfrom = \"SOURCE/team/app\"\ntags = \"*\"\npath = \"{path}\"\n");
    let pair = Pair::mirroring(&entry);
    pair.from.push("team/app", "v1", &Image::oci("placed"));
    pair.transship.sync();
    (pair.to.repositories(), pair)
}

#[test]
fn path_template_uses_source_parts() {
    assert_eq!(
        repository_under("{name}/{namespace}").0,
        ["mirror/app/team"]
    );
    assert_eq!(repository_under("x-{name}").0, ["mirror/x-app"]);
}

#[test]
fn port_becomes_legal_in_path() {
    let (repositories, pair) = repository_under("{registry}/{repository}");
    let registry = pair.source.host().replace(':', "-");
    assert_eq!(repositories, [format!("mirror/{registry}/team/app")]);
}

#[test]
fn default_path_is_registry_and_repository() {
    let (source, target) = (Registry::start(), Registry::start());
    let transship = Transship::new(&format!(
        "[registries.\"{0}\"]\nplain_http = true\n[registries.\"{1}\"]\nplain_http = true\n\
         [[mirror]]\nfrom = \"{0}/team/app\"\ntags = \"*\"\ntarget = \"{1}/all\"\n",
        source.host(),
        target.host(),
    ));
    source
        .client()
        .push("team/app", "v1", &Image::oci("default path"));
    transship.sync();
    let registry = source.host().replace(':', "-");
    assert_eq!(
        target.client().repositories(),
        [format!("all/{registry}/team/app")]
    );
}

#[test]
fn flatten_makes_one_path_part() {
    let (repositories, _pair) = repository_under("{repository|flatten}");
    let [repository] = &repositories[..] else {
        panic!("one repository: {repositories:?}")
    };
    let flat = repository.strip_prefix("mirror/").unwrap();
    assert!(
        flat.contains("team") && flat.contains("app") && !flat.contains('/'),
        "{repository}"
    );
}

#[test]
fn path_filters_match_known_mirrors() {
    for (path, expected) in [
        ("x.{repository|dots}", "mirror/x.team.app"),
        ("x_{repository|underscores}", "mirror/x_team_app"),
        ("n/{repository|drop(1)}", "mirror/n/app"),
    ] {
        let (repositories, pair) = repository_under(path);
        assert_eq!(repositories, [expected], "{path}");
        assert_mirrored(&pair.from, "team/app", &pair.to, expected, "v1");
    }
}

/// A source, two targets and an entry that names both.
fn two_targets() -> (Registry, [Registry; 2], Transship) {
    let (source, targets) = (Registry::start(), [Registry::start(), Registry::start()]);
    let hosts = [source.host(), targets[0].host(), targets[1].host()];
    let registries = hosts.map(|host| format!("[registries.\"{host}\"]\nplain_http = true\n"));
    let transship = Transship::new(&format!(
        "{}[[mirror]]\nfrom = \"{}/app\"\ntags = \"*\"\ntarget = [\"{}/x\", \"{}/y\"]\npath = \"{{repository}}\"\n",
        registries.concat(),
        hosts[0],
        hosts[1],
        hosts[2],
    ));
    (source, targets, transship)
}

#[test]
fn every_target_gets_everything() {
    let (source, [x, y], transship) = two_targets();
    source.client().push("app", "v1", &Image::oci("one"));
    source
        .client()
        .push("app", "v2", &Image::two_platforms("two"));
    transship.sync();
    for tag in ["v1", "v2"] {
        assert_mirrored(&source.client(), "app", &x.client(), "x/app", tag);
        assert_mirrored(&source.client(), "app", &y.client(), "y/app", tag);
    }
}

#[test]
fn several_targets_pull_once() {
    let (source, _targets, transship) = two_targets();
    source
        .client()
        .push("app", "v1", &Image::oci("pulled once"));
    transship.sync();
    let requests = source.new_requests();
    let gets = blob_gets(&requests);
    assert!(gets.values().all(|times| *times == 1), "{gets:#?}");
    let is_manifest =
        |request: &Request| request.method == "GET" && request.path.contains("/manifests/");
    assert_eq!(count(&requests, is_manifest), 1);
}

#[test]
fn heals_only_the_lossy_target() {
    let (source, [x, y], transship) = two_targets();
    source.client().push("app", "v1", &Image::oci("one of two"));
    transship.sync();
    x.wipe();
    y.new_requests();
    transship.sync();
    assert_mirrored(&source.client(), "app", &x.client(), "x/app", "v1");
    assert_only_reads(&y.new_requests());
}

#[test]
fn dead_target_fails_only_itself() {
    let (source, [x, y], transship) = two_targets();
    let (alive, dead) = (x.host().to_owned(), y.host().to_owned());
    source.client().push("app", "v1", &Image::oci("one"));
    transship.sync();
    drop(y);
    source.client().push("app", "v1", &Image::oci("two"));
    let report = transship.run(&["--json", "sync"]).expect_code(1).json();
    assert_mirrored(&source.client(), "app", &x.client(), "x/app", "v1");
    let outcome = &report["mirrors"][0]["targets"];
    assert_eq!(outcome[&alive]["copied"], 1, "{report:#}");
    assert_eq!(outcome[&dead]["failed"], 1, "{report:#}");
    let status = transship.status();
    let targets = status["mirrors"][0]["targets"].as_array().unwrap();
    let behind = |host: &str| {
        let target = targets
            .iter()
            .find(|target| target["target"] == host)
            .unwrap();
        target["behind"].as_u64().unwrap()
    };
    assert_eq!((behind(&alive), behind(&dead)), (0, 1), "{status:#}");
}

/// Two linux platforms and a windows one, each with its attestation.
fn attested_platforms() -> (Image, Vec<Image>) {
    let images = ["linux/amd64", "linux/arm64", "windows/amd64"]
        .map(|platform| Image::oci_for("many", platform));
    let attestations = images.iter().map(Image::attestation).collect::<Vec<_>>();
    let children: Vec<_> = images.into_iter().chain(attestations).collect();
    (Image::index(children.clone()), children)
}

fn digests(index: &Value) -> BTreeSet<String> {
    let children = index["manifests"].as_array().unwrap().iter();
    children
        .map(|child| child["digest"].as_str().unwrap().to_owned())
        .collect()
}

fn amd64_only() -> Pair {
    Pair::mirroring(
        "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nplatforms = [\"linux/amd64\"]\n",
    )
}

#[test]
fn platform_subset_keeps_attestations() {
    let (index, children) = attested_platforms();
    let pair = amd64_only();
    pair.from.push("app", "v1", &index);
    pair.transship.sync();
    let copy = pair
        .to
        .manifest("mirror/app", "v1")
        .expect("the tag is there");
    assert_eq!(copy.media_type, index.media_type);
    let chosen: BTreeSet<_> = [&children[0], &children[3]].map(Image::digest).into();
    assert_eq!(digests(&copy.json()), chosen);
    for child in copy.json()["manifests"].as_array().unwrap() {
        let original = index_children(&index)
            .into_iter()
            .find(|original| original["digest"] == child["digest"]);
        assert_eq!(Some(child.clone()), original, "a descriptor is kept whole");
        let digest = child["digest"].as_str().unwrap();
        assert_mirrored(&pair.from, "app", &pair.to, "mirror/app", digest);
    }
    let left_out = &children[2];
    assert!(
        !pair.target.has_blob(&left_out.blobs[1].digest()),
        "windows was copied"
    );
}

fn index_children(index: &Image) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&index.bytes).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

#[test]
fn platform_subset_is_unchanged_next_run() {
    let pair = amd64_only();
    pair.from.push("app", "v1", &attested_platforms().0);
    pair.transship.sync();
    pair.ignore_requests();
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn platform_subset_survives_lost_store() {
    let pair = amd64_only();
    pair.from.push("app", "v1", &attested_platforms().0);
    pair.transship.sync();
    let before = manifest_of(&pair.to);
    pair.transship.forget();
    pair.transship.sync();
    assert_eq!(manifest_of(&pair.to), before);
}

fn manifest_of(target: &Client) -> crate::support::registries::client::Manifest {
    target
        .manifest("mirror/app", "v1")
        .expect("the tag is there")
}

#[test]
fn added_platform_is_copied() {
    let entry = "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\n";
    let pair = Pair::mirroring(&format!("{entry}platforms = [\"linux/amd64\"]\n"));
    let (index, children) = attested_platforms();
    pair.from.push("app", "v1", &index);
    pair.transship.sync();
    pair.reconfigure(&format!(
        "{entry}platforms = [\"linux/amd64\", \"linux/arm64\"]\n"
    ));
    pair.transship.sync();
    let chosen = [0, 1, 3, 4].map(|number| children[number].digest());
    assert_eq!(digests(&manifest_of(&pair.to).json()), chosen.into());
    pair.reconfigure(entry);
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn full_platform_set_stays_identical() {
    let selectors = "tags = \"*\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]";
    let pair = Pair::mirroring(&format!("[[mirror]]\nfrom = \"SOURCE/app\"\n{selectors}\n"));
    pair.from
        .push("app", "v1", &Image::two_platforms("all chosen"));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn single_platform_image_stays_identical() {
    let pair = amd64_only();
    pair.from.push("app", "v1", &Image::oci("single"));
    pair.from.push("app", "v2", &Image::docker("single"));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2")]);
}
