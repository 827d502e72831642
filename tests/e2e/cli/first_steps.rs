//! What somebody meets who is new here: failures before any work, for people and for programs.

use serde_json::Value;

use crate::support::programs::transship::{Transship, mirrors};

/// Nobody listens on this port.
const NOWHERE: &str = "127.0.0.1:1";

/// A file with a mirror called `app`, whose registries are not there, and this `[state] path`.
fn app(store: &str) -> Transship {
    Transship::new(&format!(
        "[state]\npath = \"{store}\"\n[registries.\"{NOWHERE}\"]\nplain_http = true\n\
         [[mirror]]\nname = \"app\"\nfrom = \"{NOWHERE}/app\"\ntags = \"*\"\ntarget = \"{NOWHERE}/m\"\n"
    ))
}

/// Fails the test unless these members of a failure have these words.
#[track_caller]
fn assert_told(failure: &Value, class: &str, message: &str, remedy: &str) {
    let text = |member: &str| failure[member].as_str().unwrap_or_default().to_owned();
    assert_eq!(failure["class"], class, "{failure:#}");
    assert!(text("error").contains(message), "{failure:#}");
    assert!(text("remedy").contains(remedy), "{failure:#}");
    assert!(!text("error").contains("help:"), "{failure:#}");
}

/// Runs a command that fails, for people and for programs; the failure.
#[track_caller]
fn failure(transship: &Transship, command: &[&str], code: i32) -> Value {
    let for_programs = transship.run(&[&["--json"], command].concat());
    let failure = for_programs.expect_code(code).json();
    let message = failure["error"].as_str().unwrap_or_default();
    let for_people = transship.run(command).expect_code(code);
    assert_eq!(for_people.stdout, "", "{for_people}");
    for_people.expect_stderr(&[message]);
    failure
}

#[test]
fn a_command_that_cannot_be_meant_is_one_json_object_for_programs() {
    let nowhere = failure(&Transship::without_config(), &["sync"], 78);
    assert_told(&nowhere, "config", "no mirror.toml", "--config");
    let misspelt = failure(&app("state.db"), &["sync", "apq"], 64);
    assert_told(&misspelt, "usage", "no mirror `apq`", "did you mean `app`?");
    let no_image = failure(&app("state.db"), &["explain", "a b"], 64);
    assert_told(&no_image, "usage", "is not an image", "");
    assert_eq!(no_image["remedy"], Value::Null);
}

#[test]
fn a_store_that_cannot_be_used_is_one_json_object_for_programs() {
    let lost = app("no/such/folder/state.db");
    for command in ["sync", "plan"] {
        let told = failure(&lost, &[command], 2);
        assert_told(&told, "store", "cannot open the store", "mkdir -p");
    }
    let told = failure(&lost, &["serve"], 2);
    assert_told(&told, "store", "cannot lock", "make the folder");
    let empty = app("state.db");
    let told = failure(&empty, &["report"], 2);
    assert_told(&told, "store", "there is nothing to report", "sync");
    let told = failure(&empty, &["verify"], 2);
    assert_told(&told, "store", "nothing was mirrored", "sync");
}

#[test]
fn mistakes_in_the_file_are_records_with_place_and_remedy_for_programs() {
    let transship = Transship::new("[[mirror]]\nfrom = \"quay.io/a/b\"\n  tgas = \"*\"\n");
    for command in ["sync", "status", "check"] {
        let finished = transship.run(&["--json", command]).expect_code(78);
        let failure = finished.json();
        assert_told(&failure, "config", "1 error in mirror.toml", "");
        assert_eq!(failure["remedy"], Value::Null);
        let problems = failure["problems"].as_array().unwrap();
        let typo = problems.iter().find(|problem| problem["line"] == 3);
        let typo = typo.unwrap_or_else(|| panic!("{failure:#}"));
        assert_eq!(
            (&typo["file"], &typo["column"]),
            (&"mirror.toml".into(), &3.into())
        );
        assert_eq!(typo["severity"], "error");
        assert!(typo["message"].as_str().unwrap().contains("tgas"), "{typo}");
        assert_eq!(typo["remedy"], "did you mean `tags`?");
    }
    let checked = transship.run(&["--json", "check"]).json();
    assert_eq!(checked["valid"], false);
}

#[test]
fn a_check_tells_of_a_store_that_a_sync_could_not_open_and_makes_nothing() {
    let lost = app("no/such/folder/state.db");
    let said = lost.run(&["check"]).expect_code(0);
    said.expect_stdout(&["mirror.toml: ok", "no sync can run here", "mkdir -p"]);
    let checked = lost.run(&["--json", "check"]).expect_code(0).json();
    assert_eq!(checked["valid"], true);
    assert_told(
        &checked["store"],
        "store",
        "no folder no/such/folder",
        "mkdir -p",
    );
    let fine = app("state.db");
    let checked = fine.run(&["--json", "check"]).expect_code(0).json();
    assert_eq!(
        (&checked["store"], &checked["error"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(fine.files(), [fine.path().join("mirror.toml")]);
}

#[test]
fn a_check_doubts_a_platform_that_selects_nothing() {
    let transship = Transship::new(
        "[[mirror]]\nfrom = \"quay.io/a/b:1\"\ntarget = \"m.example.com/a\"\nplatforms = \"linux/amd46\"\n",
    );
    let said = transship.run(&["check"]).expect_code(0);
    said.expect_stdout(&["amd46", "did you mean `linux/amd64`?", "mirror.toml: ok"]);
}

#[test]
fn a_registry_that_is_not_there_is_told_once_a_mirror_and_no_failure_is_lost() {
    let transship = Transship::new(&format!(
        "[registries.\"{NOWHERE}\"]\nplain_http = true\n\
         [defaults]\ntags = \"*\"\ntarget = \"{NOWHERE}/m\"\n\
         [[mirror]]\nname = \"few\"\nfrom = \"{NOWHERE}/few/{{a,b,c,d,e}}\"\n\
         [[mirror]]\nname = \"one\"\nfrom = \"{NOWHERE}/one\"\n"
    ));
    let finished = transship.run(&["--json", "sync"]).expect_code(2);
    let lines = |mirror: &str| -> Vec<&str> {
        let mark = format!("mirror=\"{mirror}\"");
        let lines = finished.stderr.lines();
        lines.filter(|line| line.contains(&mark)).collect()
    };
    let few = lines("few");
    assert_eq!(few.len(), 2, "{finished}");
    assert!(few[0].contains("failed: list tags of"), "{finished}");
    assert!(
        few[1].contains("127.0.0.1:1: 4 more failed like that (network)"),
        "{finished}"
    );
    assert_eq!(lines("one").len(), 1, "{finished}");
    let report = finished.json();
    let errors = |at: usize| mirrors(&report)[at]["errors"].as_array().unwrap().len();
    assert_eq!((errors(0), errors(1)), (5, 1));
}
