use std::path::Path;

use super::*;
use crate::{config::Config, inventory};

fn arguments(latest: Option<usize>, semver: Option<&str>) -> Import {
    Import {
        file: None,
        latest,
        semver: semver.map(str::to_owned),
        preset: None,
        from: None,
        auth: None,
        target: None,
        scoped: false,
        set: Vec::new(),
    }
}

fn imported(input: &str, arguments: &Import) -> String {
    entries(&inventory::read(input.as_bytes()).unwrap(), arguments)
}

#[test]
fn every_preset_is_valid() {
    for (name, text) in PRESETS {
        let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n\n{text}");
        let parsed = Config::parse(Path::new("mirror.toml"), &text);
        let config = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(config.warnings.is_empty(), "{name}: {}", config.warnings);
    }
}

#[test]
fn presets_work_side_by_side() {
    let texts = PRESETS
        .iter()
        .filter(|(name, _)| !matches!(*name, "ingress-nginx" | "kubeadm"));
    let texts: String = texts.map(|(_, text)| format!("{text}\n")).collect();
    let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n\n{texts}");
    Config::parse(Path::new("mirror.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn preset_is_narrowed_to_a_version() {
    for (name, text) in PRESETS {
        let text = narrowed(text, &arguments(Some(2), Some("~1.34")));
        let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n\n{text}");
        let config = Config::parse(Path::new("mirror.toml"), &text);
        config.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            text.matches("\nsemver = \"~1.34\"\nlatest = 2\n").count(),
            1,
            "{name}: {text}"
        );
    }
    let (_, text) = PRESETS.iter().find(|(name, _)| *name == "kubeadm").unwrap();
    assert!(narrowed(text, &arguments(None, None)) == *text);
}

#[test]
fn images_are_grouped_by_registry() {
    let text = imported(
        "quay.io/a/b:1\nnginx\nquay.io/a/b:2\n",
        &arguments(None, None),
    );
    assert_eq!(
        text,
        "[[mirror]]\nname = \"docker.io\"\nfrom = [\n  \"docker.io/library/nginx:latest\",\n]\n\n\
         [[mirror]]\nname = \"quay.io\"\nfrom = [\n  \"quay.io/a/b:1\",\n  \"quay.io/a/b:2\",\n]\n"
    );
}

#[test]
fn selectors_take_the_place_of_tags() {
    let latest = imported("quay.io/a/b:1\nquay.io/a/b:2\n", &arguments(Some(3), None));
    assert_eq!(
        latest,
        "[[mirror]]\nname = \"quay.io\"\nfrom = [\n  \"quay.io/a/b\",\n]\ntags = \"*\"\nlatest = 3\n"
    );
    let semver = imported("quay.io/a/b:1\n", &arguments(None, Some(">=1.2")));
    assert!(semver.ends_with("]\nsemver = \">=1.2\"\n"), "{semver}");
}

#[test]
fn uncertain_images_are_comments() {
    let pod = "kind: Pod\nspec:\n  containers:\n  - image: quay.io/a/c:1\n    args: [\"--i=quay.io/a/b:1\"]\n";
    let text = imported(pod, &arguments(None, None));
    assert!(text.contains("\n# maybe: \"quay.io/a/b:1\"\n"), "{text}");
    assert!(!text.contains("  \"quay.io/a/b:1\""), "{text}");
}

#[test]
fn patterns_find_repositories() {
    let text = imported("docker.io/library/*\n**/a\n", &arguments(None, None));
    let entry = "[[mirror]]\nname = \"docker.io repositories\"\nfrom = [\n  \"docker.io/library/*\",\n]\ntags = \
                 \"*\"\nlatest = 5\n";
    assert!(text.contains(entry), "{text}");
    assert!(text.contains("# left out: \"**/a\": "), "{text}");
    let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n\n{text}");
    Config::parse(Path::new("mirror.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_may_be_an_image_is_never_an_entry() {
    let input = "kind: Pod\nspec:\n  containers:\n  - image: quay.io/a/c:1\n    args: [\"--i=quay.io/a/b:1\"]\n    env: [{name: \
                 X, value: \"quay.io/a/d@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]\n---\n\
                 kind: ConfigMap\ndata: {x: \"ghcr.io/a/e:1\"}\n";
    for arguments in [
        arguments(None, None),
        arguments(Some(3), None),
        arguments(None, Some(">=1")),
    ] {
        let text = imported(input, &arguments);
        let text = format!("[defaults]\ntarget = \"registry.example.com/m\"\n\n{text}");
        let config =
            Config::parse(Path::new("mirror.toml"), &text).unwrap_or_else(|e| panic!("{e}"));
        let routes = config.mirrors.iter().flat_map(|mirror| &mirror.routes);
        let sources: Vec<String> = routes.map(|route| route.source.to_string()).collect();
        assert_eq!(sources, ["quay.io/a/c"], "{text}");
    }
}

#[test]
fn image_without_a_tag_is_a_comment_or_a_repository() {
    let pinned = format!("quay.io/a/b@sha256:{}\n", "a".repeat(64));
    let text = imported(&pinned, &arguments(None, None));
    let comment = format!(
        "# by digest only, add a tag that has it: \"{}\"\n",
        pinned.trim()
    );
    assert_eq!(text, comment);
    let latest = imported(&pinned, &arguments(Some(3), None));
    assert!(latest.contains("\n  \"quay.io/a/b\",\n"), "{latest}");
}
