//! The commands that only look: `plan`, `status`, `check` and `completions`.

use crate::support::programs::pair::Pair;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::requests::assert_only_reads;

const ENTRY: &str =
    "[[mirror]]\nname = \"apps\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nexclude = \"*-rc*\"\n";

/// Three tags of which the entry selects two.
fn two_of_three() -> Pair {
    let pair = Pair::mirroring(ENTRY);
    for tag in ["v1", "v2", "v3-rc1", "nightly"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair
}

#[test]
fn plan_lists_actions_and_dropped_tags() {
    let pair = two_of_three();
    let finished = pair.transship.run(&["plan"]).expect_code(0);
    let finished = finished.expect_stdout(&["v1", "v2", "copy", "exclude", "v3-rc1"]);
    assert!(
        finished
            .stdout
            .lines()
            .any(|line| line.contains("v1") && line.to_lowercase().contains("copy")),
        "{finished}"
    );
}

#[test]
fn plan_copies_nothing() {
    let pair = two_of_three();
    pair.transship.run(&["plan"]).expect_code(0);
    assert_only_reads(&pair.target.new_requests());
    assert_only_reads(&pair.source.new_requests());
    assert!(pair.to.repositories().is_empty());
}

#[test]
fn plan_leaves_no_beliefs() {
    let pair = two_of_three();
    pair.transship.run(&["plan"]).expect_code(0);
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1"), ("app", "v2")]);
}

#[test]
fn plan_exit_code_4_on_differences() {
    let pair = two_of_three();
    pair.transship.run(&["plan", "--exit-code"]).expect_code(4);
    pair.transship.sync();
    pair.transship.run(&["plan", "--exit-code"]).expect_code(0);
    pair.from.push("app", "v2", &Image::oci("moved"));
    pair.transship.run(&["plan", "--exit-code"]).expect_code(4);
}

#[test]
fn status_exit_code_4_when_behind() {
    let pair = two_of_three();
    let ask = |code| {
        pair.transship
            .run(&["status", "--exit-code"])
            .expect_code(code)
    };
    ask(4).expect_stdout(&["never synced"]);
    pair.transship.sync();
    ask(0);
    let moved = Image::oci("moved and broken");
    pair.from.push("app", "v2", &moved);
    pair.source.lose_blob(&moved.blobs[1].digest());
    pair.transship.run(&["sync"]).expect_code(1);
    ask(4).expect_stdout(&["behind"]);
    let named = pair
        .transship
        .run(&["--json", "status", "--exit-code", "apps"]);
    assert_eq!(named.expect_code(4).json()["mirrors"][0]["state"], "behind");
    pair.transship.run(&["status"]).expect_code(0);
}

#[test]
fn plan_json_lists_unchanged_tags() {
    let pair = two_of_three();
    let before = pair.transship.run(&["--json", "plan"]).expect_code(0);
    assert!(before.json().to_string().contains("v3-rc1"), "{before}");
    pair.transship.sync();
    let after = pair.transship.run(&["--json", "plan"]).expect_code(0);
    assert!(
        after.json().to_string().contains("\"v1\"") || after.json().to_string().contains(":v1\""),
        "{after}"
    );
}

#[test]
fn plan_names_unreachable_source() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = \"127.0.0.1:1/app\"\ntags = \"*\"\n");
    let finished = pair
        .transship
        .run(&["plan"])
        .expect_stderr(&["127.0.0.1:1"]);
    assert!(matches!(finished.code, Some(1 | 2)), "{finished}");
}

#[test]
fn status_after_sync_is_in_sync() {
    let pair = two_of_three();
    pair.transship.sync();
    pair.transship
        .run(&["status"])
        .expect_code(0)
        .expect_stdout(&["apps", "in sync"]);
}

#[test]
fn status_shows_what_is_behind() {
    let pair = two_of_three();
    pair.transship.sync();
    let moved = Image::oci("moved and broken");
    pair.from.push("app", "v2", &moved);
    pair.source.lose_blob(&moved.blobs[1].digest());
    pair.transship.run(&["sync"]).expect_code(1);
    let finished = pair
        .transship
        .run(&["status"])
        .expect_stdout(&["apps", "v2"]);
    assert!(
        !finished.stdout.to_lowercase().contains("in sync"),
        "{finished}"
    );
}

#[test]
fn future_time_questions_the_clock() {
    let pair = two_of_three();
    pair.transship.sync();
    pair.transship
        .ask_store("UPDATE runs SET finished_at = finished_at + 86400");
    let said = pair.transship.run(&["status"]).expect_code(0);
    said.expect_stdout(&["in the future: is the clock right?"]);
}

#[test]
fn status_asks_no_registry() {
    let pair = two_of_three();
    pair.transship.run(&["status"]).expect_stdout(&["apps"]);
    assert!(pair.source.new_requests().is_empty());
    assert!(pair.target.new_requests().is_empty());
}

#[test]
fn status_json_is_valid() {
    let pair = two_of_three();
    assert!(
        pair.transship
            .run(&["--json", "status"])
            .json()
            .to_string()
            .contains("apps")
    );
    pair.transship.sync();
    assert!(
        pair.transship
            .run(&["--json", "status"])
            .expect_code(0)
            .json()
            .to_string()
            .contains("apps")
    );
}

#[test]
fn check_passes_offline() {
    let pair = two_of_three();
    let finished = pair.transship.run(&["check"]).expect_code(0);
    let said = format!("{}{}", finished.stdout, finished.stderr).to_lowercase();
    assert!(said.contains("ok"), "{finished}");
    pair.transship
        .run(&["--json", "check"])
        .expect_code(0)
        .json();
    assert!(pair.source.new_requests().is_empty());
    assert!(pair.target.new_requests().is_empty());
}

#[test]
fn completions_are_a_shell_script() {
    let pair = Pair::mirroring("this = is not even read [");
    let finished = pair.transship.run(&["completions", "bash"]).expect_code(0);
    finished.expect_stdout(&["complete", "transship", "sync"]);
}

#[test]
fn manual_covers_every_command() {
    let page = Transship::without_config().run(&["man"]).expect_code(0);
    page.expect_stdout(&[
        ".TH transship 1",
        "transship prune [OPTIONS]",
        r"\-\-however\-many",
        ": text, md, html, json",
        ".SH \"EXIT STATUS\"",
        r"\fB78\fR",
        "/etc/transship/mirror.toml",
    ]);
}

#[test]
fn quiet_sync_prints_nothing() {
    let pair = two_of_three();
    let finished = pair.transship.run(&["-q", "sync"]).expect_code(0);
    assert_eq!(finished.stderr, "", "{finished}");
}
