//! The tags that are selected, and where they go.

use proptest::prelude::*;
use regex::Regex;

use super::*;

/// Fails unless each tag of a source goes where the table says.
#[track_caller]
fn assert_takes(made: &Made, table: &[(&str, &str, &str)]) {
    for (source, tag, target) in table {
        let taken = made.takes(source, tag);
        assert_eq!(taken, *target, "{source}:{tag}\n{}", made.rendered.toml);
    }
}

#[test]
fn regsync_selects_the_same_tags() {
    let text = r#"
creds: [{registry: old.io:5000, tls: disabled}]
defaults: {interval: 45m, skipDockerConfig: true}
sync:
  - {source: "nginx:1.27", target: "h.io/hub/library/nginx:1.27-mirror", type: image}
  - {source: "redis:8", target: "h.io/hub/library/redis:stable", type: image}
  - source: alpine
    target: h.io/hub/library/alpine
    type: repository
    tags: {allow: ["edge", 3, v1_20200514, 3.6.0, ~, '3\.\d+'], deny: ['3\.0', '3\.1\d']}
  - source: quay.io/prom/prom
    target: h.io/monitoring/prom
    type: repository
    schedule: "15 01 * * *"
    tagSets:
      - {allow: [latest]}
      - {semverRange: [">=2.50 <3.0", "~3.1"], allow: ['v\d+\.\d+\.\d+']}
  - source: q.io/bare
    target: h.io/bare
    type: repository
    tags: {allow: ['v1|rc']}
  - source: old.io:5000
    target: h.io/old
    type: registry
    repos: {allow: ["team/.*", "base"], deny: ["team/secret.*"]}
"#;
    let made = made(Tool::Regsync, text, "");
    assert_losses(&made, &[]);
    let alpine = "docker.io/library/alpine";
    let prom = "quay.io/prom/prom";
    assert_takes(
        &made,
        &[
            ("nginx", "1.27", "h.io/hub/library/nginx:1.27-mirror"),
            ("redis", "8", "h.io/hub/library/redis:stable"),
            (alpine, "edge", "h.io/hub/library/alpine:edge"),
            (alpine, "3.6.0", "h.io/hub/library/alpine:3.6.0"),
            (alpine, "v1_20200514", "h.io/hub/library/alpine:v1_20200514"),
            (alpine, "3.9", "h.io/hub/library/alpine:3.9"),
            (alpine, "3.0", ""),
            (alpine, "3.12", ""),
            (alpine, "latest", ""),
            (prom, "latest", "h.io/monitoring/prom:latest"),
            (prom, "v2.50.0", "h.io/monitoring/prom:v2.50.0"),
            (prom, "v3.0.0", ""),
            (prom, "v3.1.4", "h.io/monitoring/prom:v3.1.4"),
            (prom, "v2.55.0-rc.1", ""),
            // regsync puts its anchors around a pattern without a group.
            ("q.io/bare", "v1.2", "h.io/bare:v1.2"),
            ("q.io/bare", "v2-rc", "h.io/bare:v2-rc"),
            ("q.io/bare", "xv1", ""),
            ("old.io:5000/team/a/b", "1", "h.io/old/team/a/b:1"),
            ("old.io:5000/team/secret-a", "1", ""),
            ("old.io:5000/base", "1", "h.io/old/base:1"),
            ("old.io:5000/other", "1", ""),
        ],
    );
}

#[test]
fn image_syncer_selects_the_same_tags() {
    let text = "
quay.io/coreos/proxy: r.io/acme/proxy
quay.io/coreos/proxy:v0.14.0: r.io/acme/proxy
registry.k8s.io/coredns/coredns:v1.11.1,v1.11.3:
  - r.io/acme/coredns
  - h.io/k8s/coredns
nginx:/^1\\.2[5-7]/: r.io/acme/nginx
quay.io/acme/tool:/v[0-9]+/: r.io/acme/tool
redis:7,8: r.io/acme/redis:7-mirror,8-mirror
quay.io/c/d:1: ''
";
    let made = made(Tool::ImageSyncer, text, "r.io/more");
    assert_losses(&made, &[]);
    assert_takes(
        &made,
        &[
            ("quay.io/coreos/proxy", "v0.14.0", "r.io/acme/proxy:v0.14.0"),
            ("quay.io/coreos/proxy", "any", "r.io/acme/proxy:any"),
            (
                "registry.k8s.io/coredns/coredns",
                "v1.11.3",
                "h.io/k8s/coredns:v1.11.3 r.io/acme/coredns:v1.11.3",
            ),
            ("redis", "8", "r.io/acme/redis:8-mirror"),
            ("nginx", "1.27-alpine", "r.io/acme/nginx:1.27-alpine"),
            ("nginx", "1.28", ""),
            ("quay.io/acme/tool", "rev12-x", "r.io/acme/tool:rev12-x"),
            ("quay.io/acme/tool", "latest", ""),
            ("quay.io/c/d", "1", "r.io/more/d:1"),
        ],
    );
    // Several targets of one source are pulled for once.
    let routes = made.routes();
    let coredns = routes.iter().find(|route| route.contains("coredns"));
    assert!(coredns.is_some_and(|route| route.contains("h.io") && route.contains("r.io")));
}

#[test]
fn skopeo_selects_the_same_tags() {
    let text = "
q.io:
  images:
    base: []
    team/redis: ['7.2', '8.0']
  images-by-tag-regex:
    team/app: ^v1\\.[0-9]+-slim$
    team/loose: rc
  images-by-semver:
    team/db: '>= 3.12, != 3.13.1 || ~2.4'
";
    let made = made(Tool::Skopeo, text, "r.io/mirror");
    assert_losses(&made, &[]);
    assert_takes(
        &made,
        &[
            ("q.io/base", "any", "r.io/mirror/base:any"),
            ("q.io/team/redis", "8.0", "r.io/mirror/redis:8.0"),
            ("q.io/team/redis", "9.0", ""),
            ("q.io/team/app", "v1.4-slim", "r.io/mirror/app:v1.4-slim"),
            ("q.io/team/app", "v1.4-slim2", ""),
            ("q.io/team/loose", "1-rc2", "r.io/mirror/loose:1-rc2"),
            ("q.io/team/loose", "1", ""),
            ("q.io/team/db", "3.12.0", "r.io/mirror/db:3.12.0"),
            ("q.io/team/db", "v3.13.1", ""),
            ("q.io/team/db", "2.4.9", "r.io/mirror/db:2.4.9"),
            ("q.io/team/db", "2.5.0", ""),
            ("q.io/team/db", "3.14.0-alpine", ""),
        ],
    );
    let scoped = self::made(Tool::Skopeo, text, "scoped:r.io");
    assert_takes(&scoped, &[("q.io/base", "1", "r.io/q.io/base:1")]);
}

#[test]
fn dregsy_selects_the_same_tags() {
    let text = r#"
tasks:
  - name: hub
    interval: 3600
    source: {registry: registry.hub.docker.com}
    target: {registry: "127.0.0.1:5000", skip-tls-verify: true}
    mappings:
      - {from: library/busybox, to: archive/busybox, tags: ['1.36']}
      - from: library/alpine
        tags: ['semver: >=3.1.0 <3.9.0', 'regex: 3\.1[0-9]', 'edge', 'keep: !.*-.*']
      - {from: acme/app, tags: ['regex: !v1.*'], platform: linux/arm64}
      - {from: "regex:acme/tools-.*", to: tools, platform: all}
  - name: once
    source: {registry: q.io}
    target: {registry: "127.0.0.1:5000"}
    mappings: [{from: myproject/webui, to: "regex:my(.+)/,from-q/your$1/"}]
"#;
    let made = made(Tool::Dregsy, text, "");
    assert_losses(&made, &[]);
    let t = "127.0.0.1:5000";
    for (source, tag, target) in [
        ("busybox", "1.36", "archive/busybox"),
        ("busybox", "1.37", ""),
        ("alpine", "3.5.2", "library/alpine"),
        ("alpine", "3.9.0", ""),
        ("alpine", "3.15", "library/alpine"),
        ("alpine", "3.15.1", ""),
        ("alpine", "3.5.2-rc1", ""),
        ("acme/app", "v2", "acme/app"),
        ("acme/app", "v1.1", ""),
        ("acme/tools-a/b", "any", "tools/acme/tools-a/b"),
        ("acme/other", "any", ""),
        ("q.io/myproject/webui", "1", "from-q/yourproject/webui"),
    ] {
        let target = match target {
            "" => String::new(),
            target => format!("{t}/{target}:{tag}"),
        };
        assert_takes(&made, &[(source, tag, &target)]);
    }
    let mirrors = made.config.mirrors.iter();
    let named: Vec<_> = mirrors.map(|m| (&*m.name, m.is_paused)).collect();
    assert_eq!(named.first(), Some(&("hub", false)));
    // Without an interval a task is run by hand.
    assert_eq!(named.last(), Some(&("once", true)));
}

#[test]
fn conflicting_entries_become_comments() {
    let step = |from: &str, to: &str| {
        format!("- {{source: 'q.io/{from}:1', target: 'r.io/{to}:1', type: image}}\n")
    };
    let steps = [step("a", "x"), step("b", "x"), step("c", "c")].concat();
    let made = made(Tool::Regsync, &format!("sync:\n{steps}"), "");
    assert_losses(&made, &[(3, "would be written to r.io/x")]);
    assert_eq!(made.routes(), ["q.io/a:1 -> r.io/x", "q.io/c:1 -> r.io/c"]);
}

/// `[defaults]` has a target that one entry of many does not fit.
#[test]
fn refused_names_leave_the_others_alone() {
    let aliyun = "registry.cn-beijing.aliyuncs.com";
    let text = format!(
        "quay.io/a/b: {aliyun}/acme/b\nquay.io/a/c: {aliyun}/acme/c\n\
         quay.io/a/x/d: {aliyun}/acme/a/x/d\nquay.io/a/x/e: {aliyun}/a/x/e\nquay.io/a/F: r.io/f\n"
    );
    let made = made(Tool::ImageSyncer, &text, "");
    let words = "namespace/repository and nothing else";
    assert_losses(&made, &[(3, words), (4, words), (5, "lower case")]);
    assert_eq!(made.routes().len(), 2, "{:?}", made.routes());
}

proptest! {
    /// As regsync selects: any of `allow` if there is one, none of `deny`, both with anchors around.
    #[test]
    fn regsync_selects_the_same_of_any_tags(
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
        let made = made(Tool::Regsync, &text, "");
        prop_assert!(made.losses().is_empty());
        let bound = |p: &String| Regex::new(&format!("^{p}$")).unwrap();
        for tag in &tags {
            let any = |patterns: &[String]| patterns.iter().any(|p| bound(p).is_match(tag));
            let is_wanted = (allow.is_empty() || any(&allow)) && !any(&deny);
            let is_taken = !made.takes("q.io/a", tag).is_empty();
            prop_assert_eq!(is_taken, is_wanted, "{} by {}", tag, made.rendered.toml);
        }
    }
}

/// Patterns such as `allow` and `deny` hold.
fn patterns() -> impl Strategy<Value = Vec<String>> {
    let patterns = "latest v1 v1.* .*-rc.* v\\d+ v1|rc v1\\.2 v1.2 .* v[12].* v1(-rc)? [^-]+ .*rc";
    let pattern = prop::sample::select(patterns.split(' ').collect::<Vec<_>>());
    prop::collection::vec(pattern.prop_map(String::from), 0..3)
}
