use std::path::Path;

use super::*;

const TOML: &str = "[gateway]\nallow = [\"quay.io/**\"]\ntarget = \"t.example.com/cache\"\n\n[defaults]\ntarget = \
                    \"t.example.com/mirror\"\n\n[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"v*\"\n";
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn config() -> Config {
    Config::parse_without_secrets(Path::new("mirror.toml"), TOML).unwrap()
}

fn image(repository: &str, version: &str, last_pull: i64) -> DemandRecord {
    let version = match version.contains(':') {
        true => Version::Digest(version.parse().unwrap()),
        false => Version::Tag(version.parse().unwrap()),
    };
    DemandRecord {
        repository: repository.parse().unwrap(),
        version,
        last_pull,
    }
}

fn at_target(tags: &[(&str, &str)]) -> HashSet<(Repository, Tag)> {
    let place = |(path, tag): &(&str, &str)| {
        let repository = format!("t.example.com/cache/{path}");
        (repository.parse().unwrap(), tag.parse().unwrap())
    };
    tags.iter().map(place).collect()
}

#[test]
fn image_leaves_when_nobody_pulls_it_and_is_forgotten_when_it_is_gone() {
    let demand = vec![
        image("quay.io/c/new", "v1", 100),
        image("quay.io/c/old", "v1", 99),
        image("quay.io/c/gone", "v1", 99),
    ];
    let at_target = at_target(&[("quay.io/c/new", "v1"), ("quay.io/c/old", "v1")]);
    let (images, left) = sorted(&config(), demand, &at_target, 100);
    assert_eq!(images.kept.len(), 1);
    assert_eq!(images.kept[0].0.to_string(), "quay.io/c/new");
    assert_eq!(images.leaving, ["quay.io/c/old".parse().unwrap()]);
    assert_eq!(left, [image("quay.io/c/gone", "v1", 99)]);
}

#[test]
fn entry_takes_over_its_tags_and_no_digest() {
    let demand = vec![
        image("quay.io/a/b", "v1", 100),
        image("quay.io/a/b", "edge", 100),
        image("quay.io/a/b", DIGEST, 100),
    ];
    let at_target = at_target(&[("quay.io/a/b", "v1")]);
    let (images, left) = sorted(&config(), demand, &at_target, 100);
    let kept: Vec<String> = images
        .kept
        .iter()
        .filter_map(|(_, version)| Some(kept_tag(version)?.to_string()))
        .collect();
    let pin = format!("pinned-{}", &DIGEST[7..]);
    assert_eq!(kept, ["edge", pin.as_str()]);
    assert_eq!(images.leaving, ["quay.io/a/b".parse().unwrap()]);
    assert!(left.is_empty(), "{left:?}");
}
