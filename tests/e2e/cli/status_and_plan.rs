//! The commands that only look: `plan`, `status`, `check` and `completions`.

use serde_json::Value;

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
fn plan_sums_images_to_copy() {
    let both = "[[mirror]]\nname = \"a\"\nfrom = \"SOURCE/app:v1\"\n\
                [[mirror]]\nname = \"b\"\nfrom = \"SOURCE/app:v1\"\ntarget = \"TARGET/other\"\n";
    let pair = Pair::mirroring(both);
    pair.from.push("app", "v1", &Image::oci("one"));
    pair.transship.run(&["sync", "a"]).expect_code(0);
    let said = pair.transship.run(&["plan"]).expect_code(0);
    said.expect_stdout(&["total: 1 tag to do, 1 unchanged, images of", "to copy"]);
    pair.from.push("app", "v1", &Image::oci("two"));
    let said = pair.transship.run(&["plan"]).expect_code(0);
    said.expect_stdout(&["total: 2 tags to do, 0 unchanged, 1 image of unknown size"]);
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
    ask(4).expect_stdout(&["1 mirror, 1 never synced\n"]);
    pair.transship.sync();
    ask(0);
    let moved = Image::oci("moved and broken");
    pair.from.push("app", "v2", &moved);
    pair.source.lose_blob(&moved.blobs[1].digest());
    pair.transship.run(&["sync"]).expect_code(1);
    ask(4).expect_stdout(&["1 mirror, 1 behind\n"]);
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
        r"\-\-ignore\-max\-share",
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

#[test]
fn plan_shows_exclusions_without_effect() {
    let pair = Pair::mirroring(
        "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nexclude = \"*-beta*\"\n",
    );
    pair.from.push("app", "v1", &Image::oci("v1"));
    let said = pair.transship.run(&["plan"]).expect_code(0);
    said.expect_stdout(&[
        "dropped by exclude: 0 tags",
        "total: 1 tag to do, 0 unchanged",
    ]);
}

#[test]
fn plan_changed_hides_unchanged_tags() {
    let pair = two_of_three();
    pair.transship.sync();
    pair.from.push("app", "v2", &Image::oci("moved"));
    let said = pair.transship.run(&["plan", "--changed"]).expect_code(0);
    let said = said.expect_stdout(&["v2", "total: 1 tag to do, 1 unchanged"]);
    assert!(!said.stdout.contains("v1 "), "{said}");
    pair.transship.sync();
    let said = pair.transship.run(&["plan", "--changed"]).expect_code(0);
    assert_eq!(said.stdout.trim(), "total: 0 tags to do, 2 unchanged");
}

/// Two mirrors: `good` is in sync, the source of `bad` is unreachable.
fn good_and_bad() -> Pair {
    let pair = Pair::mirroring(
        "[[mirror]]\nname = \"good\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\n\
         [[mirror]]\nname = \"bad\"\nfrom = \"127.0.0.1:1/other\"\ntags = \"v*\"\n",
    );
    pair.from.push("app", "v1", &Image::oci("v1"));
    pair.transship.run(&["sync"]).expect_code(1);
    pair
}

#[test]
fn status_is_a_line_a_mirror_worst_first() {
    let pair = good_and_bad();
    let said = pair.transship.run(&["status"]).expect_code(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert!(lines[1].starts_with("daemon: not running"), "{said}");
    assert!(
        lines[2].starts_with("failing") && lines[2].contains("bad"),
        "{said}"
    );
    assert!(
        lines[3].starts_with("in sync") && lines[3].contains("good"),
        "{said}"
    );
    assert_eq!(lines.len(), 4, "{said}");
    let long = pair.transship.run(&["status", "--long"]).expect_code(0);
    let long = long.expect_stdout(&[
        "bad: failing",
        "good: in sync",
        "2 mirrors, 1 failing, 1 in sync\n",
    ]);
    assert!(!long.stdout.contains("next run"), "{long}");
}

#[test]
fn status_filters_by_state() {
    let pair = good_and_bad();
    let said = pair
        .transship
        .run(&["status", "--state", "behind,failing"])
        .expect_code(0);
    let said = said.expect_stdout(&["bad: failing"]);
    assert!(!said.stdout.contains("good"), "{said}");
    let said = pair
        .transship
        .run(&["--json", "status", "--state", "in-sync"]);
    let json = said.expect_code(0).json();
    assert_eq!(json["mirrors"].as_array().unwrap().len(), 1);
    assert_eq!(json["mirrors"][0]["next_run"], serde_json::Value::Null);
    assert_eq!(json["daemon"]["is_running"], false);
}

#[test]
fn status_names_a_missing_store() {
    let pair = two_of_three();
    let said = pair.transship.run(&["status"]).expect_code(0);
    said.expect_stdout(&["no store at ", "transship.db: nothing ran here yet"]);
}

#[test]
fn json_log_is_an_object_a_line() {
    let pair = Pair::of_repositories(&["app"]);
    pair.from.push("app", "v1", &Image::oci("app"));
    let run = pair.transship.run(&["--log-format", "json", "sync"]);
    let run = run.expect_code(0);
    let lines = run.stderr.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let copied = lines.iter().find(|line| {
        let text = line["message"].as_str();
        text.is_some_and(|text| text.starts_with("copied "))
    });
    let copied = copied.unwrap_or_else(|| panic!("{run}"));
    assert_eq!(copied["level"], "INFO");
    assert!(copied["timestamp"].is_string() && copied["mirror"].is_string());
    assert_eq!(copied["digest"], Image::oci("app").digest());
}
