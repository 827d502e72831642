use std::path::Path;

use super::*;

const TARGET: &str = "[defaults]\ntarget = \"m.example.com/a\"\n";

fn parse(text: &str) -> Config {
    Config::parse(Path::new("mirror.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn mirrors(entries: &str) -> Config {
    parse(&format!("{TARGET}{entries}"))
}

fn report(text: &str) -> ProblemReport {
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
        .map(|r| format!("{}: {} | {}", r.line, r.message, r.help))
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
fn every_mistake_is_told_at_once_with_line_caret_and_remedy() {
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
fn a_password_is_read_from_a_file_without_its_line_end() {
    use secrecy::ExposeSecret as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let config = parse(&format!(
        "[registries.\"quay.io\"]\nusername = \"u\"\npassword = {{ file = \"{}\" }}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n",
        file.path().display()
    ));
    match config
        .registry(&"quay.io".parse().unwrap())
        .login
        .credential
    {
        Credential::Basic { password, .. } => assert_eq!(password.expose_secret(), "s3cret"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unreadable_secret_is_an_error_of_the_file() {
    let registry = |keys: &str| {
        let text =
            format!("[registries.\"quay.io\"]\n{keys}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
        report(&text).records().remove(0).message
    };
    assert!(
        registry("username = \"u\"\npassword = { env = \"UNSET_VARIABLE\" }")
            .contains("is not set")
    );
    assert!(registry("username = \"u\"\npassword = { file = \"/nope\" }").contains("/nope"));
    assert!(
        registry("username = \"u\"\npassword = { fil = \"/nope\" }").contains("unknown key `fil`")
    );
    assert!(registry("username = \"u\"").contains("without a `password`"));
    assert!(registry("login = \"sso\"").contains("unknown `login"));
    assert!(registry("ca_file = \"/nope\"").contains("/nope"));
}

/// What is said of these keys of a registry, and the report as it is printed.
fn registry_problem(keys: &str) -> (String, String) {
    let text = format!("[registries.\"quay.io\"]\n{keys}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n");
    let report = report(&text);
    let record = report.records().remove(0);
    (
        format!("{}: {} | {}", record.line, record.message, record.help),
        report.to_string(),
    )
}

#[test]
fn what_is_wrong_with_the_way_to_a_registry_is_told_with_its_line() {
    for (keys, expected) in [
        (
            "proxy = \"socks4://h:1\"",
            "2: `proxy` has an unknown scheme | write \"direct\"",
        ),
        ("proxy = \"nonsense\"", "2: `proxy` is no URL"),
        ("proxy = \"http://h/path\"", "2: `proxy` has more than"),
        ("ip = \"5\"", "2: `ip = \"5\"` is no family"),
        ("ip = 4", "2: bad value for `ip`"),
        ("endpoint = \"other.host\"", "2: `endpoint` is no URL"),
        (
            "endpoint = \"https://h/v2/\"",
            "2: `endpoint` has more than",
        ),
        (
            "endpoint = \"https://h\"\nplain_http = true",
            "3: `plain_http` beside",
        ),
        (
            "client_cert = \"/nope\"",
            "2: `client_cert` without a `client_key`",
        ),
        (
            "client_key = \"/nope\"",
            "2: `client_key` without a `client_cert`",
        ),
        (
            "client_key = \"/nope\"\nclient_cert = \"/nope\"",
            "2: `client_key` /nope: No such file",
        ),
        (
            "login = { helper = \"a/b\" }",
            "2: `a/b` is no credential helper's name",
        ),
        ("login = { help = \"x\" }", "2: unknown key `help`"),
        (
            "login = \"anonymous\"\nusername = \"u\"",
            "2: two ways to log in",
        ),
    ] {
        let (found, _) = registry_problem(keys);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_client_s_key_has_to_be_that_of_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = write("cert.pem", made.cert.pem());
    let right = write("right.pem", made.signing_key.serialize_pem());
    let wrong = write("wrong.pem", other.serialize_pem());
    let keys = |key: &str| format!("client_cert = \"{certificate}\"\nclient_key = \"{key}\"");
    let (found, _) = registry_problem(&keys(&wrong));
    assert!(
        found.starts_with("3: `client_key` does not go with"),
        "{found}"
    );
    let (found, _) = registry_problem(&keys(&certificate));
    assert!(found.contains("no private key in it"), "{found}");
    let text = format!(
        "[registries.\"quay.io\"]\n{}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n",
        keys(&right)
    );
    let config = parse(&text).registry(&"quay.io".parse().unwrap());
    assert!(config.client_identity.is_some());
    assert!(!format!("{config:?}").contains("PRIVATE"));
}

#[test]
fn no_secret_of_the_file_is_printed() {
    for keys in [
        "proxy = \"http://me:hunter2@h:1/path\"",
        "ip = \"5\"\nproxy = \"socks5://me:hunter2@h:1\"",
        "username = \"u\"\npassword = \"hunter2\"\nip = \"5\"",
        "endpoint = \"https://me:hunter2@h\"",
    ] {
        let (said, printed) = registry_problem(keys);
        assert!(
            !said.contains("hunter2") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
    let text = format!(
        "[registries.\"quay.io\"]\nproxy = \"http://me:hunter2@h:1\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    assert!(!format!("{:?}", parse(&text)).contains("hunter2"));
}

#[test]
fn an_inline_password_in_an_open_file_is_a_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[registries.\"quay.io\"]\nusername = \"u\"\npassword = \"hunter2\"\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"
    );
    std::fs::write(file.path(), &text).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), open).unwrap();
    let config = Config::load(Some(file.path())).unwrap();
    assert_eq!(config.warnings.records()[0].severity, "warning");
    assert!(!format!("{:?}", config.registries).contains("hunter2"));
}
