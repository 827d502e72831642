//! regsync's files.

use proptest::prelude::*;
use regex::Regex;

use super::{Tool::Regsync, assert_losses, made, written};
use crate::config::Mirror;

/// A company's file, with most of what regsync offers.
const COMPANY: &str = r#"
x-keep: &keep "before-{{ .Ref.Tag }}"
version: 1
creds:
  - registry: harbor.corp.example
    user: robot$mirror
    pass: literal-password
    reqPerSec: 12.5
    reqConcurrent: 6
    blobChunk: 8388608
  - registry: docker.io
    user: acme
    pass: "{{env \"HUB_TOKEN\"}}"
  - registry: ghcr.io
    user: acme
    pass: '{{ file "/run/secrets/ghcr" }}'
  - registry: old.corp.example:5000
    tls: disabled
defaults:
  interval: 2h
  backup: *keep
sync:
  - source: busybox:1.36
    target: harbor.corp.example/hub/library/busybox:1.36
    type: image
  - source: nginx:1.27
    target: harbor.corp.example/hub/library/nginx:1.27-mirror
    type: image
  - source: alpine
    target: harbor.corp.example/hub/library/alpine
    type: repository
    tags:
      allow: ["edge", "3", '3\.\d+']
      deny: ['3\.0', '3\.1\d']
  - source: quay.io/prometheus/prometheus
    target: harbor.corp.example/monitoring/prometheus
    type: repository
    platforms: [linux/amd64, linux/arm64]
    referrers: true
    schedule: "15 01 * * *"
    tagSets:
      - allow: [latest]
      - semverRange: [">=2.50 <3.0", "~3.1"]
        allow: ['v\d+\.\d+\.\d+']
  - source: old.corp.example:5000
    target: harbor.corp.example/old
    type: registry
    repos:
      allow: ["team/.*", "base"]
"#;

#[test]
fn a_company_s_file_is_carried_over_whole() {
    let made = made(Regsync, COMPANY);
    assert_losses(&made.written, &[]);
    let of = |source: &str, tag: &str| made.takes(source, tag);
    let hub = "harbor.corp.example/hub/library";
    assert_eq!(
        of("docker.io/library/busybox", "1.36"),
        [format!("{hub}/busybox:1.36")]
    );
    assert_eq!(
        of("docker.io/library/nginx", "1.27"),
        [format!("{hub}/nginx:1.27-mirror")]
    );
    for (tag, is_taken) in [
        ("edge", true),
        ("3", true),
        ("3.9", true),
        ("3.0", false),
        ("3.12", false),
        ("3.9.1", false),
        ("latest", false),
    ] {
        assert_eq!(
            !of("docker.io/library/alpine", tag).is_empty(),
            is_taken,
            "{tag}"
        );
    }
    let prometheus = "quay.io/prometheus/prometheus";
    for (tag, is_taken) in [
        ("latest", true),
        ("v2.50.0", true),
        ("v3.0.0", false),
        ("v3.1.4", true),
        ("v3.2.0", false),
        ("v2.55.0-rc.1", false),
    ] {
        let taken = of(prometheus, tag);
        assert_eq!(!taken.is_empty(), is_taken, "{tag}");
        assert!(
            taken
                .iter()
                .all(|to| *to == format!("harbor.corp.example/monitoring/prometheus:{tag}"))
        );
    }
    let old = "old.corp.example:5000";
    assert_eq!(
        of(&format!("{old}/team/a/b"), "1"),
        ["harbor.corp.example/old/team/a/b:1"]
    );
    assert_eq!(
        of(&format!("{old}/base"), "1"),
        ["harbor.corp.example/old/base:1"]
    );
    assert!(of(&format!("{old}/other"), "1").is_empty());
}

#[test]
fn a_company_s_file_reads_as_if_a_person_had_written_it() {
    let made = made(Regsync, COMPANY);
    let (_, body) = made.written.text.split_once("\n\n[").unwrap();
    insta::assert_snapshot!(format!("[{body}"));
}

#[test]
fn what_a_mirror_keeps_of_images_is_carried_over() {
    let made = made(Regsync, COMPANY);
    let mirror = |of: &str| {
        let mut mirrors = made.config.mirrors.iter();
        let is_from = |m: &&Mirror| m.routes.iter().any(|r| r.source.path().ends_with(of));
        mirrors.find(is_from).unwrap()
    };
    let prometheus = mirror("prometheus");
    assert_eq!(prometheus.platforms.as_ref().unwrap().len(), 2);
    assert!(prometheus.referrers.is_some() && mirror("alpine").referrers.is_none());
    assert_eq!(prometheus.schedule, "15 01 * * *".parse().unwrap());
    assert_eq!(mirror("alpine").schedule, "0 */2 * * *".parse().unwrap());
    let tag = "v1".parse().unwrap();
    let backup = mirror("alpine")
        .backup
        .as_ref()
        .unwrap()
        .target(&tag)
        .unwrap();
    assert_eq!(backup.as_str(), "before-v1");
    let harbor = made
        .config
        .registry(&"harbor.corp.example".parse().unwrap());
    assert_eq!((harbor.connections, harbor.chunk), (6, 8 << 20));
    assert_eq!(harbor.requests_per_second, Some(12.5));
    assert!(
        made.config
            .registry(&"old.corp.example:5000".parse().unwrap())
            .plain_http
    );
}

/// regsync puts its anchors around a pattern without a group.
#[test]
fn a_bare_alternative_is_bound_at_one_end_only_as_regsync_has_it() {
    let made = made(
        Regsync,
        "sync:\n- source: q.io/a\n  target: r.io/a\n  type: repository\n  tags: {allow: ['v1|rc']}\n",
    );
    for (tag, is_taken) in [
        ("v1.2", true),
        ("v2-rc", true),
        ("xv1", false),
        ("rc1", false),
    ] {
        assert_eq!(!made.takes("q.io/a", tag).is_empty(), is_taken, "{tag}");
    }
}

#[test]
fn what_cannot_be_carried_over_is_told_twice_with_its_line() {
    let text = r#"
sync:
  - source: q.io/a
    target: r.io/a
    type: repository
    interval: 45m
    backup: "{{ .Ref.Registry }}/backup:{{ .Ref.Tag }}"
    ratelimit: {min: 100}
    hooks: {pre: {type: exec}}
  - source: q.io/b@sha256:0000000000000000000000000000000000000000000000000000000000000000
    target: r.io/b
    type: image
    interval: 1h
  - source: q.io/c
    target: r.io/c
    type: repository
    interval: 1h
    tags: {deny: ['v\d+-rc']}
  - source: q.io/d:1
    target: r.io/d:stable
    type: image
    interval: 1h
  - source: q.io/e
    target: r.io/e
    type: repository
    interval: 1h
    tags: {semverRange: [">=1.0"]}
    wat: 1
"#;
    let made = made(Regsync, text);
    assert_losses(
        &made.written,
        &[
            (6, "every 45m; it is every 30m"),
            (7, "`backup`"),
            (8, "`ratelimit`"),
            (9, "`hooks`"),
            (10, "never moves"),
            (14, "takes globs"),
            (19, "cannot call 1 stable"),
            (23, "versions with a suffix"),
            (28, "`wat` is not known"),
        ],
    );
    assert_eq!(made.routes(), ["q.io/a -> r.io/a", "q.io/e -> r.io/e"]);
    // What could be said of it stands there, to be completed.
    assert!(
        made.written
            .text
            .contains("# [[mirror]]\n# from = \"q.io/c\"\n")
    );
}

#[test]
fn more_is_never_selected_than_the_original_did() {
    let text = "sync:\n- source: q.io/c\n  target: r.io/c\n  type: repository\n  \
                tags: {allow: ['v.*'], deny: ['v\\d+-rc']}\n";
    let written = written(Regsync, text, None, "");
    assert!(!written.text.contains("\n[[mirror]]"), "{}", written.text);
    assert_losses(&written, &[(2, "takes globs")]);
}

#[test]
fn an_entry_without_a_schedule_waits_for_a_command_where_others_have_one() {
    let entry = |name: &str, more: &str| {
        format!("- {{source: 'q.io/{name}', target: 'r.io/{name}', type: repository{more}}}\n")
    };
    let text = format!("sync:\n{}{}", entry("a", ", interval: 1h"), entry("b", ""));
    let paused: Vec<bool> = made(Regsync, &text)
        .config
        .mirrors
        .iter()
        .map(|m| m.is_paused)
        .collect();
    assert_eq!(paused, [false, true]);
    let none = made(Regsync, &format!("sync:\n{}", entry("b", "")));
    assert!(!none.config.mirrors[0].is_paused);
}

#[test]
fn signatures_come_by_tags_or_by_the_api_as_asked_for() {
    let referrers = |keys: &str| {
        let text = format!("sync:\n- {{source: q.io/a, target: r.io/a, type: repository{keys}}}\n");
        made(Regsync, &text).config.mirrors[0].referrers.clone()
    };
    assert!(referrers("").is_none());
    let by_tag = referrers(", digestTags: true").unwrap();
    assert!(by_tag.wants(".sig") && !by_tag.wants("application/spdx+json"));
    let filters = ", referrers: true, referrerFilters: [{artifactType: application/spdx+json}]";
    let filtered = referrers(filters).unwrap();
    assert!(filtered.wants("application/spdx+json") && !filtered.wants(".sig"));
    assert!(referrers(", referrers: true").unwrap().wants(".sig"));
}

#[test]
fn two_entries_that_would_write_one_tag_do_not_both_stay() {
    let text = "sync:\n\
                - {source: 'q.io/a:1', target: 'r.io/x:1', type: image}\n\
                - {source: 'q.io/b:1', target: 'r.io/x:1', type: image}\n\
                - {source: 'q.io/c:1', target: 'r.io/c:1', type: image}\n";
    let made = made(Regsync, text);
    assert_losses(&made.written, &[(3, "would be written to r.io/x")]);
    assert_eq!(made.routes(), ["q.io/a:1 -> r.io/x", "q.io/c:1 -> r.io/c"]);
}

/// Patterns such as `allow` and `deny` hold.
fn patterns() -> impl Strategy<Value = Vec<String>> {
    let pattern = prop::sample::select(vec![
        "latest", "v1", "v1.*", ".*-rc.*", "v\\d+", "v1|rc", "v1\\.2", "v1.2", ".*", "v[12].*",
        "v1(-rc)?", "[^-]+", ".*rc",
    ]);
    prop::collection::vec(pattern.prop_map(String::from), 0..3)
}

proptest! {
    /// As regsync selects: any of `allow` if there is one, none of `deny`, both with anchors around.
    #[test]
    fn the_tags_are_those_that_regsync_selects(
        allow in patterns(),
        deny in patterns(),
        tags in prop::collection::vec("(latest|v[12](\\.2)?(-rc1?)?|rc|xv1)", 1..5),
    ) {
        let list = |patterns: &[String]| {
            let quoted: Vec<String> = patterns.iter().map(|p| format!("'{p}'")).collect();
            quoted.join(", ")
        };
        let text = format!(
            "sync:\n- source: q.io/a\n  target: r.io/a\n  type: repository\n  tags: {{allow: \
             [{}], deny: [{}]}}\n- {{source: q.io/b, target: r.io/b, type: repository}}\n",
            list(&allow),
            list(&deny),
        );
        let made = made(Regsync, &text);
        let is_refused = !made.losses().is_empty();
        prop_assert_eq!(is_refused, deny.contains(&"v\\d+".into()) || deny.contains(&"[^-]+".into()));
        let bound = |p: &String| Regex::new(&format!("^{p}$")).unwrap();
        for tag in &tags {
            let any = |patterns: &[String]| patterns.iter().any(|p| bound(p).is_match(tag));
            let is_wanted = (allow.is_empty() || any(&allow)) && !any(&deny);
            let is_taken = !made.takes("q.io/a", tag).is_empty();
            prop_assert_eq!(is_taken, is_wanted && !is_refused, "{} by {}", tag, made.written.text);
        }
    }
}
