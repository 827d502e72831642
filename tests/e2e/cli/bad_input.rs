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
fn five_mistakes_are_reported_at_once() {
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
fn every_command_refuses_a_bad_file_before_it_asks_a_registry() {
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
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    expect_refused("[[mirror]\nfrom = \"quay.io/a/b\"", "[[mirror]", &[]);
}

#[test]
fn an_entry_without_a_selector_is_told_how_to_mirror_everything() {
    expect_refused(
        "[[mirror]]\nfrom = \"quay.io/a/b\"",
        "from =",
        &["tags = \"*\""],
    );
}

#[test]
fn an_unknown_key_of_a_registry_is_refused() {
    expect_refused(
        "[registries.\"quay.io\"]\nconections = 3",
        "conections",
        &["conections", "connections"],
    );
}

#[test]
fn a_platform_that_is_none_is_refused() {
    let entry =
        "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\nplatforms = [\"linux/amd64/v2/oops\"]";
    expect_refused(entry, "oops", &["linux/amd64/v2/oops"]);
}

#[test]
fn a_reference_that_is_none_is_refused() {
    expect_refused(
        "[[mirror]]\nfrom = \"quay.io/UPPER CASE\"\ntags = \"*\"",
        "UPPER",
        &["UPPER CASE"],
    );
}

#[test]
fn an_unknown_placeholder_of_a_path_is_refused() {
    let entry = "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\npath = \"x/{repositry}\"";
    expect_refused(entry, "{repositry}", &["repositry", "repository"]);
}

#[test]
fn a_password_file_that_cannot_be_read_is_refused() {
    let entry = "[registries.\"quay.io\"]\nusername = \"a\"\npassword = { file = \"no/such/secret\" }\n\
                 [[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"";
    expect_refused(entry, "no/such/secret", &["no/such/secret"]);
}

#[test]
fn a_password_from_a_variable_that_is_not_set_is_refused() {
    let entry = "[registries.\"quay.io\"]\nusername = \"a\"\npassword = { env = \"NO_SUCH_TOKEN\" }\n\
                 [[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"";
    expect_refused(entry, "NO_SUCH_TOKEN", &["NO_SUCH_TOKEN"]);
}

#[test]
fn two_entries_that_would_write_the_same_tags_are_refused() {
    let text = "[defaults]\ntarget = \"127.0.0.1:1/mirror\"\n\
                [[mirror]]\nfrom = \"quay.io/a/one\"\ntags = \"*\"\npath = \"same\"\n\
                [[mirror]]\nfrom = \"quay.io/b/two\"\ntags = \"*\"\npath = \"same\"\n";
    let finished = Transship::new(text).run(&["check"]).expect_code(78);
    finished.expect_stderr(&["mirror.toml", "same", "a/one", "b/two"]);
}

#[test]
fn an_entry_without_a_target_is_refused() {
    let text = "[[mirror]]\nfrom = \"quay.io/a/b\"\ntags = \"*\"\n";
    Transship::new(text)
        .run(&["check"])
        .expect_code(78)
        .expect_stderr(&["mirror.toml", "target"]);
}

#[test]
fn a_missing_file_is_told_with_the_places_that_were_looked_at() {
    let transship = Transship::without_config();
    let finished = transship.run(&["check"]).expect_code(78);
    finished.expect_stderr(&["mirror.toml", "/etc/transship/mirror.toml"]);
    transship
        .run(&["--config", "elsewhere/other.toml", "sync"])
        .expect_code(78)
        .expect_stderr(&["elsewhere/other.toml"]);
}

#[test]
fn another_file_can_be_named() {
    let transship = Transship::without_config();
    transship.write("conf/other.toml", "[[mirror]]\nfrom = \"quay.io/a/b\"\n");
    transship
        .run(&["--config", "conf/other.toml", "check"])
        .expect_code(78)
        .expect_stderr(&["other.toml", "target"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
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
fn a_mirror_that_is_not_in_the_file_is_told_by_its_name() {
    let pair = Pair::holding(&Image::oci("not asked for"));
    let finished = pair
        .transship
        .run(&["sync", "no-such-mirror"])
        .expect_stderr(&["no-such-mirror"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn an_unreachable_source_is_named() {
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
fn an_unreachable_target_is_named() {
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
fn credentials_that_the_source_refuses_are_told_without_the_password() {
    let (finished, [source, target]) =
        refused_by([Guard::Login, Guard::Open], [LOGIN, "plain_http = true"]);
    finished.expect_stderr(&[source.host()]);
    let refused = count(&source.new_requests(), |request| request.status == 401);
    assert!(refused <= 4, "a refused login was repeated {refused} times");
    assert_only_reads(&target.new_requests());
}

#[test]
fn credentials_that_the_target_refuses_are_told_without_the_password() {
    let (finished, [_source, target]) =
        refused_by([Guard::Open, Guard::Login], ["plain_http = true", LOGIN]);
    finished.expect_stderr(&[target.host()]);
    assert!(target.client().repositories().is_empty());
}

#[test]
fn a_repository_that_is_not_there_fails_its_mirror_alone() {
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
fn a_tag_whose_blob_is_gone_fails_alone() {
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
fn a_run_in_which_every_tag_fails_exits_with_two() {
    let image = Image::oci("bad");
    let pair = Pair::holding(&image);
    pair.source.lose_blob(&image.blobs[0].digest());
    pair.transship.run(&["sync"]).expect_code(2);
    assert!(pair.to.tags("mirror/app").is_empty());
}

#[test]
fn a_literal_tag_that_is_not_there_fails() {
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
fn a_store_in_a_directory_that_does_not_exist_is_told_and_the_target_is_left_alone() {
    with_store_at("no/such/directory/state.db", |_| ());
}

#[test]
fn a_store_below_a_file_is_told_and_the_target_is_left_alone() {
    with_store_at("blocker/state.db", |transship| {
        drop(transship.write("blocker", "a file, not a directory"))
    });
}

#[test]
fn a_store_that_is_no_database_is_told_and_left_as_it_is() {
    let text = "this is somebody's diary, not a database\n".repeat(200);
    let pair = with_store_at("state.db", |transship| {
        drop(transship.write("state.db", &text))
    });
    let kept = fs::read_to_string(pair.transship.path().join("state.db")).unwrap();
    assert_eq!(kept, text);
}

#[test]
fn another_program_s_database_is_told_and_left_as_it_is() {
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
fn a_folder_in_the_place_of_the_store_is_called_a_folder() {
    let pair = with_store_at("state.db", |transship| {
        fs::create_dir(transship.path().join("state.db")).unwrap();
    });
    let said = pair.transship.run(&["status"]).expect_code(2);
    said.expect_stderr(&["it is a folder"]);
}
