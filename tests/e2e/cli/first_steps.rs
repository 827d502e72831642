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
fn usage_error_is_json() {
    let nowhere = failure(&Transship::without_config(), &["sync"], 78);
    assert_told(&nowhere, "config", "no mirror.toml", "--config");
    let misspelt = failure(&app("state.db"), &["sync", "apq"], 64);
    assert_told(&misspelt, "usage", "no mirror `apq`", "did you mean `app`?");
    let no_image = failure(&app("state.db"), &["explain", "a b"], 64);
    assert_told(&no_image, "usage", "is not an image", "");
    assert_eq!(no_image["remedy"], Value::Null);
}

#[test]
fn store_error_is_json() {
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
fn config_errors_are_json_records() {
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
fn check_reports_unusable_store() {
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
fn check_warns_of_unmatched_platform() {
    let transship = Transship::new(
        "[[mirror]]\nfrom = \"quay.io/a/b:1\"\ntarget = \"m.example.com/a\"\nplatforms = \"linux/amd46\"\n",
    );
    let said = transship.run(&["check"]).expect_code(0);
    said.expect_stdout(&["amd46", "did you mean `linux/amd64`?", "mirror.toml: ok"]);
}

#[test]
fn dead_registry_is_reported_once_per_mirror() {
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
