//! Mistakes in `mirror.toml`, on the command line and in the world: each is told clearly, with its exit status.

use std::fs;

use crate::support::programs::pair::{Pair, all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Finished, Transship, mirror, mirrors, number, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::registry::{Guard, Registry};
use crate::support::registries::requests::{assert_only_reads, count};

const WRONG_PASSWORD: &str = "wrong-zebra-staple";

/// Nobody listens on this port.
const NOWHERE: &str = "127.0.0.1:1";

/// Fails the test unless standard error names one of the lines from `first` to `last` of `mirror.toml`.
#[track_caller]
fn expect_place(finished: &Finished, text: &str, first: &str, last: &str) {
    let line_of = |snippet: &str| {
        1 + text
            .lines()
            .position(|line| line.contains(snippet))
            .unwrap()
    };
    let named = (line_of(first)..=line_of(last)).any(|line| {
        let places = [format!("mirror.toml:{line}"), format!("line {line}")];
        places
            .iter()
            .any(|place| contains_number(&finished.stderr, place))
    });
    assert!(named, "the line of `{last}` is not named\n{finished}");
}

/// Whether `text` contains `place`, not followed by another digit.
fn contains_number(text: &str, place: &str) -> bool {
    let ends = text
        .match_indices(place)
        .map(|(start, _)| &text[start + place.len()..]);
    ends.into_iter()
        .any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Checks an otherwise good `mirror.toml` with this entry; the mistake stands in the line that has `snippet`.
#[track_caller]
fn expect_refused(entry: &str, snippet: &str, words: &[&str]) {
    let text = format!(
        "[defaults]\ntarget = \"{NOWHERE}/mirror\"\npath = \"{{repository}}\"\n\n{entry}\n"
    );
    let finished = Transship::new(&text)
        .run(&["check"])
        .expect_code(78)
        .expect_stderr(words);
    expect_place(&finished, &text, snippet, snippet);
}

#[test]
fn reports_all_mistakes_at_once() {
    let text = r#"[defaults]
target = "127.0.0.1:1/mirror"

[[mirror]]
from = "quay.io/first/one"
semver = ">=1.0"
tgas = ["v*"]

[[mirror]]
from = "quay.io/second/two"
tags = "*"
latest = "ten"

[[mirror]]
from = "quay.io/third/three"

[[mirror]]
from = "quay.io/fourth/four"
regex = "v(\\d+"

[[mirror]]
from = "quay.io/fifth/five"
semver = ">=banana"
"#;
    let finished = Transship::new(text).run(&["check"]).expect_code(78);
    let finished = finished.expect_stderr(&[
        "mirror.toml",
        "tgas",
        "did you mean",
        "latest",
        "tags = \"*\"",
        "banana",
    ]);
    for (first, last) in [
        ("tgas", "tgas"),
        ("latest", "latest"),
        ("second/two", "third/three"),
        ("regex", "regex"),
        ("banana", "banana"),
    ] {
        expect_place(&finished, text, first, last);
    }
}

#[test]
fn bad_config_stops_every_command() {
    let pair = Pair::mirroring(
        "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nplatfroms = [\"linux/amd64\"]\n",
    );
    pair.from.push("app", "v1", &Image::oci("never asked for"));
    for command in ["sync", "plan", "status"] {
        pair.transship
            .run(&[command])
            .expect_code(78)
            .expect_stderr(&["platfroms", "platforms"]);
    }
    assert!(pair.source.new_requests().is_empty());
    assert!(pair.target.new_requests().is_empty());
}

#[test]
fn syntax_error_names_its_line() {
    expect_refused("[[mirror]\nfrom = \"quay.io/a/b\"", "[[mirror]", &[]);
}

#[test]
fn missing_selector_names_remedy() {
    expect_refused(
        "[[mirror]]\nfrom = \"quay.io/a/b\"",
        "from =",
        &["tags = \"*\""],
    );
}

#[test]
fn rejects_unknown_registry_key() {
    expect_refused(
        "[registries.\"quay.io\"]\nconections = 3",
        "conections",
        &["conections", "connections"],
    );
}

#[test]
fn rejects_invalid_platform() {
    let entry =
        "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\nplatforms = [\"linux/amd64/v2/oops\"]";
    expect_refused(entry, "oops", &["linux/amd64/v2/oops"]);
}

#[test]
fn rejects_invalid_reference() {
    expect_refused(
        "[[mirror]]\nfrom = \"quay.io/UPPER CASE\"\ntags = \"*\"",
        "UPPER",
        &["UPPER CASE"],
    );
}

#[test]
fn rejects_unknown_placeholder() {
    let entry = "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\npath = \"x/{repositry}\"";
    expect_refused(entry, "{repositry}", &["repositry", "repository"]);
}

#[test]
fn rejects_unreadable_password_file() {
    let entry = "[registries.\"quay.io\"]\nusername = \"a\"\npassword = { file = \"no/such/secret\" }\n\
                 [[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"";
    expect_refused(entry, "no/such/secret", &["no/such/secret"]);
}

#[test]
fn rejects_unset_password_variable() {
    let entry = "[registries.\"quay.io\"]\nusername = \"a\"\npassword = { env = \"NO_SUCH_TOKEN\" }\n\
                 [[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"";
    expect_refused(entry, "NO_SUCH_TOKEN", &["NO_SUCH_TOKEN"]);
}

#[test]
fn rejects_entries_writing_same_tags() {
    let text = "[defaults]\ntarget = \"127.0.0.1:1/mirror\"\n\
                [[mirror]]\nfrom = \"quay.io/a/one\"\ntags = \"*\"\npath = \"same\"\n\
                [[mirror]]\nfrom = \"quay.io/b/two\"\ntags = \"*\"\npath = \"same\"\n";
    let finished = Transship::new(text).run(&["check"]).expect_code(78);
    finished.expect_stderr(&["mirror.toml", "same", "a/one", "b/two"]);
}

#[test]
fn rejects_entry_without_target() {
    let text = "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\n";
    Transship::new(text)
        .run(&["check"])
        .expect_code(78)
        .expect_stderr(&["mirror.toml", "target"]);
}

#[test]
fn missing_config_names_search_paths() {
    let transship = Transship::without_config();
    let finished = transship.run(&["check"]).expect_code(78);
    finished.expect_stderr(&["mirror.toml", "/etc/transship/mirror.toml"]);
    transship
        .run(&["--config", "elsewhere/other.toml", "sync"])
        .expect_code(78)
        .expect_stderr(&["elsewhere/other.toml"]);
}

#[test]
fn config_flag_names_another_file() {
    let transship = Transship::without_config();
    transship.write("conf/other.toml", "[[mirror]]\nfrom = \"quay.io/a/b\"\n");
    transship
        .run(&["--config", "conf/other.toml", "check"])
        .expect_code(78)
        .expect_stderr(&["other.toml", "target"]);
}

#[test]
fn invalid_command_line_is_a_usage_error() {
    let transship = Transship::new("");
    for arguments in [
        &["frobnicate"][..],
        &["sync", "--no-such-option"],
        &["--config"],
        &[],
    ] {
        transship.run(arguments).expect_code(64);
    }
    transship
        .run(&["--help"])
        .expect_code(0)
        .expect_stdout(&["sync", "plan", "--config"]);
    transship
        .run(&["--version"])
        .expect_code(0)
        .expect_stdout(&["transship"]);
}

#[test]
fn unknown_mirror_is_named() {
    let pair = Pair::holding(&Image::oci("not asked for"));
    let finished = pair
        .transship
        .run(&["sync", "no-such-mirror"])
        .expect_stderr(&["no-such-mirror"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn names_unreachable_source() {
    let target = Registry::start();
    let transship = between(NOWHERE, target.host(), &all_tags_of("app"));
    let finished = transship
        .run(&["--json", "sync"])
        .expect_code(2)
        .expect_stderr(&[NOWHERE]);
    let report = finished.json();
    assert!(
        mirrors(&report)[0]["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains(NOWHERE),
        "{report:#}"
    );
    assert_only_reads(&target.new_requests());
}

#[test]
fn names_unreachable_target() {
    let source = Registry::start();
    source
        .client()
        .push("app", "v1", &Image::oci("going nowhere"));
    let transship = between(source.host(), NOWHERE, &all_tags_of("app"));
    transship
        .run(&["sync"])
        .expect_code(2)
        .expect_stderr(&[NOWHERE]);
}

/// Syncs with a wrong password for one side, and looks for it in everything that was said and written.
fn refused_by(guards: [Guard; 2], keys: [&str; 2]) -> (Finished, [Registry; 2]) {
    let [source, target] = guards.map(Registry::guarded);
    source
        .client()
        .push("app", "v1", &Image::oci("out of reach"));
    let text = fill_in(
        &mirror_toml_with(keys[0], keys[1], &all_tags_of("app")),
        source.host(),
        target.host(),
    );
    let mut transship = Transship::new(&text);
    transship.set_env("REGISTRY_TOKEN", WRONG_PASSWORD);
    let finished = transship.run(&["-v", "--json", "sync"]).expect_code(3);
    let written = transship
        .files()
        .into_iter()
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    for text in written.chain([finished.stdout.clone(), finished.stderr.clone()]) {
        assert!(
            !text.contains(WRONG_PASSWORD),
            "the password was told: {text}"
        );
    }
    (finished, [source, target])
}

const LOGIN: &str =
    "plain_http = true\nusername = \"robot\"\npassword = { env = \"REGISTRY_TOKEN\" }";

#[test]
fn source_login_refusal_hides_password() {
    let (finished, [source, target]) =
        refused_by([Guard::Login, Guard::Open], [LOGIN, "plain_http = true"]);
    finished.expect_stderr(&[source.host()]);
    let refused = count(&source.new_requests(), |request| request.status == 401);
    assert!(refused <= 4, "a refused login was repeated {refused} times");
    assert_only_reads(&target.new_requests());
}

#[test]
fn target_login_refusal_hides_password() {
    let (finished, [_source, target]) =
        refused_by([Guard::Open, Guard::Login], ["plain_http = true", LOGIN]);
    finished.expect_stderr(&[target.host()]);
    assert!(target.client().repositories().is_empty());
}

#[test]
fn missing_repository_fails_only_its_mirror() {
    let pair = Pair::mirroring(
        "[[mirror]]\nname = \"gone\"\nfrom = \"SOURCE/absent/thing\"\ntags = \"*\"\n\
         [[mirror]]\nname = \"kept\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n",
    );
    pair.from.push("app", "v1", &Image::oci("kept"));
    let finished = pair
        .transship
        .run(&["--json", "sync"])
        .expect_code(1)
        .expect_stderr(&["absent/thing"]);
    pair.assert_mirrored(&[("app", "v1")]);
    let report = finished.json();
    assert_eq!(
        number(mirror(&report, "kept"), "/tags/copied"),
        1,
        "{report:#}"
    );
    let error = &mirror(&report, "gone")["errors"][0];
    assert!(
        error["reference"]
            .as_str()
            .unwrap()
            .contains("absent/thing"),
        "{report:#}"
    );
    assert!(
        error["class"].is_string() && error["message"].is_string(),
        "{report:#}"
    );
    assert_ne!(
        mirror(&report, "gone")["result"],
        mirror(&report, "kept")["result"]
    );
}

#[test]
fn missing_blob_fails_only_its_tag() {
    let pair = Pair::of_repositories(&["app"]);
    let bad = Image::oci("bad");
    pair.from.push("app", "good", &Image::oci("good"));
    pair.from.push("app", "bad", &bad);
    pair.source.lose_blob(&bad.blobs[1].digest());
    let finished = pair
        .transship
        .run(&["--json", "sync"])
        .expect_code(1)
        .expect_stderr(&["bad"]);
    pair.assert_mirrored(&[("app", "good")]);
    assert_eq!(pair.to.tags("mirror/app"), ["good"]);
    let report = finished.json();
    assert_eq!(
        [sum(&report, "/tags/copied"), sum(&report, "/tags/failed")],
        [1, 1],
        "{report:#}"
    );
    let errors = mirrors(&report)[0]["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{report:#}");
    assert!(
        errors[0]["reference"].as_str().unwrap().contains("app:bad"),
        "{report:#}"
    );
}

#[test]
fn exits_2_when_all_tags_fail() {
    let image = Image::oci("bad");
    let pair = Pair::holding(&image);
    pair.source.lose_blob(&image.blobs[0].digest());
    pair.transship.run(&["sync"]).expect_code(2);
    assert!(pair.to.tags("mirror/app").is_empty());
}

#[test]
fn missing_literal_tag_fails() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = [\"SOURCE/app:v1\", \"SOURCE/app:v404\"]\n");
    pair.from.push("app", "v1", &Image::oci("there"));
    pair.transship
        .run(&["sync"])
        .expect_code(1)
        .expect_stderr(&["v404"]);
    pair.assert_mirrored(&[("app", "v1")]);
}

/// Syncs with a store at this path, which cannot work.
fn with_store_at(path: &str, prepare: impl FnOnce(&Transship)) -> Pair {
    let pair = Pair::holding(&Image::oci("no store, no sync"));
    let text = fs::read_to_string(pair.transship.path().join("mirror.toml")).unwrap();
    pair.transship.write(
        "mirror.toml",
        &format!("[state]\npath = \"{path}\"\n\n{text}"),
    );
    prepare(&pair.transship);
    let finished = pair.transship.run(&["sync"]).expect_stderr(&[path]);
    assert_ne!(finished.code, Some(0), "{finished}");
    assert!(!finished.stderr.contains("panicked"), "{finished}");
    assert_only_reads(&pair.target.new_requests());
    pair
}

#[test]
fn missing_store_folder_fails_first() {
    with_store_at("no/such/directory/state.db", |_| ());
}

#[test]
fn store_below_a_file_fails_first() {
    with_store_at("blocker/state.db", |transship| {
        drop(transship.write("blocker", "a file, not a directory"))
    });
}

#[test]
fn non_database_store_is_untouched() {
    let text = "this is somebody's diary, not a database\n".repeat(200);
    let pair = with_store_at("state.db", |transship| {
        drop(transship.write("state.db", &text))
    });
    let kept = fs::read_to_string(pair.transship.path().join("state.db")).unwrap();
    assert_eq!(kept, text);
}

#[test]
fn foreign_database_is_untouched() {
    let pair = Pair::holding(&Image::oci("no store, no sync"));
    let ask = |sql| pair.transship.ask_store(sql);
    ask("CREATE TABLE users (name TEXT)");
    for command in ["sync", "status"] {
        let said = pair.transship.run(&[command]).expect_code(2);
        said.expect_stderr(&["another program's database", "[state] path"]);
    }
    assert_eq!(ask("SELECT group_concat(name) FROM sqlite_schema"), "users");
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn store_that_is_a_folder_is_named() {
    let pair = with_store_at("state.db", |transship| {
        fs::create_dir(transship.path().join("state.db")).unwrap();
    });
    let said = pair.transship.run(&["status"]).expect_code(2);
    said.expect_stderr(&["it is a folder"]);
}
