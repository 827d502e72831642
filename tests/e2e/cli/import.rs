//! The files of other tools become a mirror.toml that brings the same images to the same places.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;

use crate::support::programs::transship::{Finished, Transship, sum};
use crate::support::registries::client::{Client, assert_mirrored};
use crate::support::registries::corpus::Image;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};

/// `import` of a file with this text, and what it made put in the place of mirror.toml.
fn import(transship: &Transship, text: &str, more: &[&str]) -> Finished {
    let file = transship.write("other.yml", text);
    let finished = transship.run(&[&["import", file.to_str().unwrap()], more].concat());
    transship.write("mirror.toml", &finished.stdout);
    finished
}

/// What the source of a company holds.
fn push_all(from: &Client) {
    for (repository, tag) in [
        ("base/alpine", "3.19"),
        ("base/alpine", "3.20"),
        ("base/alpine", "3.20-rc1"),
        ("base/alpine", "edge"),
        ("tools/cli", "v1"),
        ("team/a", "1"),
        ("team/b/c", "2"),
        ("private/x", "1"),
    ] {
        from.push(repository, tag, &Image::oci(&format!("{repository}:{tag}")));
    }
}

#[test]
fn imports_regsync() {
    let (source, target) = (Registry::start(), Registry::guarded(Guard::Login));
    let (from, to) = (source.client(), target.client());
    let (s, t) = (source.host(), target.host());
    let mut transship = Transship::without_config();
    push_all(&from);
    let text = format!(
        r#"
version: 1
creds:
  - {{registry: "{s}", tls: disabled}}
  - {{registry: "{t}", tls: disabled, user: {USERNAME}, pass: {PASSWORD}}}
defaults:
  interval: 60m
sync:
  - source: {s}/base/alpine
    target: {t}/hub/alpine
    type: repository
    tags:
      allow: ['3\.\d+.*', edge]
      deny: ['.*-rc.*', '3\.19']
  - source: {s}/tools/cli:v1
    target: {t}/tools/our-cli:v1-mirror
    type: image
  - source: {s}
    target: {t}/copy
    type: registry
    repos: {{allow: ['team/.*']}}
"#
    );
    let finished = import(&transship, &text, &[]).expect_code(0);
    let variable = format!("REGISTRY_{}_PASSWORD", t.replace(['.', ':'], "_"));
    assert!(finished.stderr.contains(&variable), "{finished}");
    assert!(!finished.to_string().contains(PASSWORD), "{finished}");
    transship.set_env(&variable, PASSWORD);
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/copied"), 5, "{report:#}");
    for (repository, tag, copy) in [
        ("base/alpine", "3.20", "hub/alpine"),
        ("base/alpine", "edge", "hub/alpine"),
        ("team/a", "1", "copy/team/a"),
        ("team/b/c", "2", "copy/team/b/c"),
    ] {
        assert_mirrored(&from, repository, &to, copy, tag);
    }
    let renamed = to.manifest("tools/our-cli", "v1-mirror").unwrap();
    assert_eq!(
        renamed.bytes,
        from.manifest("tools/cli", "v1").unwrap().bytes
    );
    assert_eq!(to.tags("hub/alpine").len(), 2);
    assert_eq!(sum(&transship.sync(), "/tags/unchanged"), 5);
}

/// `skopeo sync` of a file to a place on a registry.
fn skopeo_sync(file: &Path, target: &str) {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "sync", "--all", "--preserve-digests"]);
    command.args([
        "--src",
        "yaml",
        "--dest",
        "docker",
        "--dest-tls-verify=false",
    ]);
    let output = command.arg(file).arg(target).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Every tag of a registry, with the bytes of its manifest.
fn contents(client: &Client) -> Vec<(String, String, Bytes)> {
    let mut found = Vec::new();
    for repository in client.repositories() {
        for tag in client.tags(&repository) {
            let bytes = client.manifest(&repository, &tag).unwrap().bytes;
            found.push((repository.clone(), tag, bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn imports_skopeo() {
    let (source, theirs, ours) = (Registry::start(), Registry::start(), Registry::start());
    let s = source.host();
    for (repository, tag) in [
        ("team/app", "v1.2-slim"),
        ("team/app", "v1.2"),
        ("team/app", "slim-v1"),
        ("base", "1"),
        ("base", "2"),
        ("db", "9"),
        ("db", "10"),
    ] {
        let image = Image::two_platforms(&format!("{repository}:{tag}"));
        source.client().push(repository, tag, &image);
    }
    let transship = Transship::without_config();
    let t = ours.host();
    let text = format!(
        "'{s}':\n  tls-verify: false\n  images:\n    base: []\n    db: ['9']\n\
         \x20 images-by-tag-regex:\n    team/app: -slim|slim-\n'{t}': {{tls-verify: false}}\n"
    );
    import(&transship, &text, &[])
        .expect_code(64)
        .expect_stderr(&["--target HOST/PATH"]);
    import(&transship, &text, &["--target", &format!("{t}/mirror")]).expect_code(0);
    assert_eq!(sum(&transship.sync(), "/tags/copied"), 5);
    let file = transship.path().join("other.yml");
    skopeo_sync(&file, &format!("{}/mirror", theirs.host()));
    assert_eq!(contents(&ours.client()), contents(&theirs.client()));
}

#[test]
fn variables_come_from_set_or_environment() {
    let mut transship = Transship::without_config();
    let host = "'{{ env \"MIRROR_HOST\" }}/a'";
    let text = format!("sync:\n- {{source: q.io/a, target: {host}, type: repository}}\n");
    let missing = import(&transship, &text, &[]).expect_code(1);
    missing.expect_stderr(&["--set MIRROR_HOST=", "1 thing left out"]);
    let set = import(&transship, &text, &["--set", "MIRROR_HOST=r.io"]).expect_code(0);
    assert!(set.stdout.contains("target = \"r.io\""), "{set}");
    transship.set_env("MIRROR_HOST", "s.io");
    let from_environment = import(&transship, &text, &[]).expect_code(0);
    assert!(
        from_environment.stdout.contains("target = \"s.io\""),
        "{from_environment}"
    );
}

#[test]
fn losses_end_with_status_1_and_are_in_the_json() {
    let transship = Transship::without_config();
    let text = "q.io/a/b: r.io/a/b\nq.io/a/c: r.io/a/c:1\n";
    let file = transship.write("images.yaml", text);
    let finished = transship.run(&["--json", "import", file.to_str().unwrap()]);
    let json = finished.expect_code(1).json();
    assert_eq!(json["tool"], "image-syncer");
    assert_eq!(json["left_out"][0]["line"], 2, "{json:#}");
    assert!(json["toml"].as_str().unwrap().contains("[[mirror]]"));
}

#[test]
fn options_of_other_tools_are_refused() {
    let transship = Transship::without_config();
    let text = "sync:\n- {source: q.io/a, target: r.io/a, type: repository}\n";
    for (options, words) in [
        (vec!["--scoped"], "--scoped is for skopeo"),
        (
            vec!["--target", "r.io"],
            "--target is for skopeo and image-syncer",
        ),
        (vec!["--auth", "x"], "--auth is for image-syncer"),
        (vec!["--from", "crane"], "possible values: regsync"),
    ] {
        let refused = import(&transship, text, &options).expect_code(64);
        refused.expect_stderr(&[words]);
    }
    let text = "q.io: {images: {a: []}}";
    let refused = import(&transship, text, &["--target", "not a host"]).expect_code(64);
    refused.expect_stderr(&["bad --target"]);
    let refused = transship.run(&["import", "gone.yml"]).expect_code(78);
    refused.expect_stderr(&["gone.yml", "help: check the path"]);
}
