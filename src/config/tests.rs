use std::path::Path;

use super::*;

pub(crate) const TARGET: &str = "[defaults]\ntarget = \"m.example.com/a\"\n";

pub(crate) fn parse(text: &str) -> Config {
    Config::parse(Path::new("mirror.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn mirrors(entries: &str) -> Config {
    parse(&format!("{TARGET}{entries}"))
}

pub(crate) fn report(text: &str) -> ProblemReport {
    match Config::parse(Path::new("mirror.toml"), text) {
        Err(Error::Invalid(report)) => report,
        other => panic!("no report but {other:?}"),
    }
}

fn messages(entries: &str) -> Vec<String> {
    let report = report(&format!("{TARGET}{entries}"));
    report
        .records()
        .iter()
        .map(|r| format!("{}: {} | {}", r.line, r.message, r.remedy))
        .collect()
}

fn targets(config: &Config) -> Vec<String> {
    let routes = config.mirrors.iter().flat_map(|mirror| &mirror.routes);
    routes
        .flat_map(|route| &route.targets)
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_example_at_the_top_is_valid() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/mirror.toml"));
    let config = Config::load(Some(path)).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.mirrors.len() > 3);
}

#[test]
fn all_mistakes_have_line_caret_and_remedy() {
    let text = r#"timezone = "Asia/Shangai"

[defaults]
target = "m.example.com/a"

[[mirror]]
from = "quay.io/a/b"
tgas = "v*"

[[mirror]]
from = "quay.io/a/c"
semver = ">=x"
latest = "10"

[[mirror]]
from = "quay.io/a/{d"
regex = "v(\\d+"
"#;
    insta::assert_snapshot!(report(text));
}

#[test]
fn a_syntax_error_is_told_with_its_line() {
    let records = report("timezone = \"UTC\"\n[defaults\n").records();
    assert_eq!((records.len(), records[0].line), (1, 2));
    assert!(records[0].message.starts_with("not TOML: "));
}

#[test]
fn braces_expand_and_the_path_follows_the_source() {
    let config =
        mirrors("[[mirror]]\nfrom = \"registry.k8s.io/{kube-{a,b},etcd}\"\ntags = \"*\"\n");
    let expected =
        ["kube-a", "kube-b", "etcd"].map(|n| format!("m.example.com/a/registry.k8s.io/{n}"));
    let mut found = targets(&config);
    found.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_port_is_legal_in_a_path() {
    let config = mirrors("[[mirror]]\nfrom = \"127.0.0.1:5001/app:1\"\n");
    assert_eq!(targets(&config), ["m.example.com/a/127.0.0.1-5001/app"]);
}

#[test]
fn a_path_is_made_of_fields_and_filters() {
    let path = |path: &str| {
        targets(&mirrors(&format!(
            "[[mirror]]\nfrom = \"quay.io/a/b/c\"\ntags = \"*\"\npath = \"{path}\"\n"
        )))
        .concat()
    };
    assert_eq!(path("{repository|flatten}"), "m.example.com/a/a-b-c");
    assert_eq!(path("x/{namespace}.{name}"), "m.example.com/a/x/a/b.c");
    assert!(
        messages("[[mirror]]\nfrom = \"a:1\"\npath = \"{repo}\"\n")[0].contains("unknown field")
    );
    assert!(messages("[[mirror]]\nfrom = \"a:1\"\npath = \"{name\"\n")[0].contains("never closed"));
}

#[test]
fn an_entry_without_selector_says_how_to_mirror_everything() {
    let found = messages("[[mirror]]\nfrom = \"quay.io/a/b\"\n");
    assert!(
        found[0].contains("selects no tag") && found[0].contains("tags = \"*\""),
        "{found:?}"
    );
}

#[test]
fn selectors_beside_a_named_tag_are_refused() {
    let found = messages("[[mirror]]\nfrom = \"quay.io/a/b:1\"\ntags = \"2\"\n");
    assert!(found[0].contains("`from` names one tag"), "{found:?}");
}

#[test]
fn selectors_of_the_defaults_leave_a_named_tag_alone() {
    parse("[defaults]\ntarget = \"m.example.com\"\ntags = \"v*\"\n[[mirror]]\nfrom = \"a/b:1\"\n");
}

#[test]
fn two_sources_never_meet_in_one_target() {
    let found = messages(
        "path = \"{name}\"\n[[mirror]]\nfrom = \"quay.io/a/x\"\ntags = \"*\"\n[[mirror]]\nfrom = \"quay.io/b/x\"\ntags = \"*\"\n",
    );
    assert!(
        found[0].starts_with("8: both quay.io/a/x and quay.io/b/x"),
        "{found:?}"
    );
}

#[test]
fn one_tag_is_not_mirrored_twice() {
    let found =
        messages("[[mirror]]\nfrom = \"a:1\"\n[[mirror]]\nfrom = \"docker.io/library/a:1\"\n");
    assert!(
        found[0].contains("docker.io/library/a:1 twice"),
        "{found:?}"
    );
}

#[test]
fn entries_that_share_a_repository_share_its_tags_out() {
    let config = mirrors(
        "[[mirror]]\nfrom = \"a/b\"\nsemver = \"1\"\n[[mirror]]\nfrom = \"a/b\"\ntags = \"*\"\n[[mirror]]\nfrom = \"a/b:latest\"\n",
    );
    let taken: Vec<usize> = config
        .mirrors
        .iter()
        .map(|m| m.routes[0].taken.len())
        .collect();
    assert_eq!(taken, [1, 2, 0]);
}

#[test]
fn one_repository_with_two_sets_of_platforms_is_refused() {
    let found = messages(
        "[[mirror]]\nfrom = \"a/b:1\"\n[[mirror]]\nfrom = \"a/b:2\"\nplatforms = \"linux/amd64\"\n",
    );
    assert!(found[0].contains("two sets of platforms"), "{found:?}");
}

#[test]
fn a_target_needs_a_host() {
    let found = messages("[[mirror]]\nfrom = \"a/b:1\"\ntarget = \"acme/mirror\"\n");
    assert!(
        found[0].contains("`acme` is not a registry's host"),
        "{found:?}"
    );
}

#[test]
fn a_mirror_onto_itself_is_refused() {
    let found = messages(
        "[[mirror]]\nfrom = \"m.example.com/x/b:1\"\ntarget = \"m.example.com\"\npath = \"{repository}\"\n",
    );
    assert!(found[0].contains("mirrored onto itself"), "{found:?}");
}

#[test]
fn names_are_unique() {
    let config =
        mirrors("[[mirror]]\nfrom = \"a/b:1\"\nname = \"x\"\n[[mirror]]\nfrom = \"a/{c,d}:1\"\n");
    let names: Vec<&str> = config.mirrors.iter().map(|m| &*m.name).collect();
    assert_eq!(names, ["x", "a/{c,d}:1"]);
    let found = messages(
        "[[mirror]]\nfrom = \"a/b:1\"\nname = \"x\"\n[[mirror]]\nfrom = \"a/c:1\"\nname = \"x\"\n",
    );
    assert!(found[0].contains("two mirrors are named `x`"), "{found:?}");
}

#[test]
fn a_star_in_a_repository_is_a_discovery() {
    let config = mirrors("[[mirror]]\nfrom = \"quay.io/{a,b}/*\"\ntags = \"v*\"\n");
    let mirror = &config.mirrors[0];
    let patterns: Vec<String> = mirror.discoveries.iter().map(ToString::to_string).collect();
    assert_eq!(
        (mirror.routes.len(), patterns),
        (0, vec!["quay.io/a/*".into(), "quay.io/b/*".into()])
    );
}

#[test]
fn a_pattern_that_no_registry_can_answer_is_refused() {
    for (from, words) in [
        ("docker.io/*/nginx", "docker.io does not list all"),
        ("quay.io/**", "name the namespace"),
        ("*.example.com/a", "name the registry"),
        ("r.io/a/b**", "no pattern"),
        ("r.io/A/*", "no pattern"),
        ("r.io//*", "no pattern"),
        ("r.io/a/*:v*", "tags = \"v*\""),
    ] {
        let found = messages(&format!("[[mirror]]\nfrom = \"{from}\"\ntags = \"*\"\n"));
        assert!(found[0].contains(words), "{from}: {found:?}");
    }
    let found = messages("[[mirror]]\nfrom = \"quay.io/a/*\"\n");
    assert!(found[0].contains("selects no tag"), "{found:?}");
}

#[test]
fn ages_and_guards_are_validated() {
    let config = mirrors(
        "[[mirror]]\nfrom = \"quay.io/a/b\"\nmax_age = \"180d\"\nmin_tags = 1\nmax_tags = 9\nimmutable = \"v*\"\n",
    );
    let Selection::Matching(selectors) = &config.mirrors[0].routes[0].selection else {
        panic!("it names no tag")
    };
    let days = selectors.max_age.map(|age| age.as_secs() / 86_400);
    assert_eq!(
        (days, selectors.min_tags, selectors.max_tags),
        (Some(180), Some(1), Some(9))
    );
    let immutable = config.mirrors[0].immutable.as_ref();
    assert!(immutable.is_some_and(|globs| globs.is_match("v1") && !globs.is_match("x")));
    for (keys, words) in [
        ("max_age = \"soon\"", "`soon` is not a duration"),
        ("max_age = \"0s\"", "is not a duration"),
        ("min_tags = -2", "`min_tags = -2` guards nothing"),
        ("max_tags = -1", "`max_tags = -1` guards nothing"),
        (
            "min_tags = 5\nmax_tags = 4",
            "`max_tags` is less than `min_tags`",
        ),
        ("immutable = \"[\"", "bad glob in `immutable`"),
        ("immutabel = \"v*\"", "unknown key `immutabel`"),
    ] {
        let found = messages(&format!(
            "[[mirror]]\nfrom = \"a/b\"\ntags = \"*\"\n{keys}\n"
        ));
        assert!(found[0].contains(words), "{keys}: {found:?}");
    }
    let found = messages("[[mirror]]\nfrom = \"a/b:1\"\nmax_age = \"1d\"\n");
    assert!(found[0].contains("`from` names one tag"), "{found:?}");
}

#[test]
fn target_depth_is_checked() {
    let entry = |target: &str, path: &str| {
        format!(
            "[[mirror]]\nfrom = \"quay.io/coreos/clair:1\"\ntarget = \"{target}\"\npath = \"{path}\"\n"
        )
    };
    let acr = "registry.cn-hangzhou.aliyuncs.com";
    for (target, path, remedy) in [
        (
            format!("{acr}/acme"),
            "{registry}/{repository}",
            "{repository|flatten}",
        ),
        (acr.to_owned(), "{name}", "/NAMESPACE"),
        (
            format!("{acr}/acme/deep"),
            "{name}",
            "end with its namespace",
        ),
        (
            "ccr.ccs.tencentyun.com/acme".into(),
            "{repository}",
            "{repository|flatten}",
        ),
        (
            "docker.io/acme".into(),
            "{repository}",
            "{repository|flatten}",
        ),
    ] {
        let found = messages(&entry(&target, path));
        assert!(
            found[0].contains("takes namespace/repository") && found[0].contains(remedy),
            "{target} {path}: {found:?}"
        );
    }
    for (target, path) in [
        (
            "registry.cn-hangzhou.aliyuncs.com/acme",
            "{repository|flatten}",
        ),
        ("registry.aliyuncs.com", "google_containers/{name}"),
        (
            "ccr.ccs.tencentyun.com",
            "acme/{registry}_{repository|underscores}",
        ),
        ("harbor.example.com/deep/er", "{registry}/{repository}"),
    ] {
        mirrors(&entry(target, path));
    }
}

#[test]
fn a_lossy_rule_that_makes_two_sources_meet_is_refused() {
    for path in [
        "google_containers/{name}",
        "{repository|last}",
        "{repository|drop(9)}",
    ] {
        let found = messages(&format!(
            "path = \"{path}\"\n[[mirror]]\nfrom = [\"r.io/a/x\", \"r.io/b/x\"]\ntags = \"*\"\n"
        ));
        assert!(
            found[0].contains("both r.io/a/x and r.io/b/x"),
            "{path}: {found:?}"
        );
    }
}

#[test]
fn draws_twenty_problems_and_counts_the_rest() {
    let wrong: String = (0..30).map(|n| format!("odd_{n} = 1\n")).collect();
    let report = report(&format!("{wrong}{TARGET}[[mirror]]\nfrom = \"a:1\"\n"));
    assert_eq!(report.records().len(), 30);
    let drawn = report.to_string();
    assert_eq!(drawn.matches("unknown key").count(), 20);
    assert!(drawn.contains("10 more are not shown; `check --json` lists all"));
    assert!(drawn.contains("30 errors in mirror.toml"));
}

#[test]
fn suggests_the_key_of_same_length() {
    let text = format!("{TARGET}[[mirror]]\nfrom = \"a/b\"\ntagz = \"*\"\n");
    let remedies = report(&text).records().into_iter().map(|it| it.remedy);
    let remedies: Vec<_> = remedies.collect();
    assert!(
        remedies.iter().any(|it| it == "did you mean `tags`?"),
        "{remedies:?}"
    );
}

#[test]
fn names_the_zone_that_was_meant() {
    for (written, expected) in [
        ("CST", "write \"Asia/Shanghai\" for China, or"),
        ("Asia/Beijing", "write \"Asia/Shanghai\""),
        ("UTC+8", "write \"Asia/Shanghai\""),
        ("Asia/Shangai", "did you mean \"Asia/Shanghai\"?"),
    ] {
        let text = format!("timezone = \"{written}\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
        let remedy = report(&text).records().remove(0).remedy;
        assert!(remedy.starts_with(expected), "{written}: {remedy}");
    }
}

#[test]
fn plain_http_has_no_ca() {
    let text = format!(
        "[registries.\"a.io\"]\nplain_http = true\nca_file = \"/etc/hosts\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    let messages: Vec<String> = report(&text)
        .records()
        .into_iter()
        .map(|r| r.message)
        .collect();
    assert!(
        messages.contains(&"`ca_file` beside `plain_http = true`".to_owned()),
        "{messages:?}"
    );
}
