//! Setting up: a first file, the machine, the daemon's health, copies of the store.

use serde_json::Value;

use crate::support::{
    programs::{
        daemon::{Daemon, mirror_of, serving},
        pair::Pair,
        transship::Transship,
    },
    registries::corpus::Image,
};

/// The verdict of `doctor` on one thing, and its remedy.
#[track_caller]
fn finding<'a>(printed: &'a Value, check: &str) -> (&'a str, &'a str) {
    let findings = printed["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no {check} in {printed:#}"));
    let text = |member: &str| found[member].as_str().unwrap_or_default();
    (text("verdict"), text("remedy"))
}

#[test]
fn init_writes_a_file_that_check_accepts() {
    let transship = Transship::without_config();
    let written = transship.run(&[
        "init",
        "--target",
        "registry.example.com/mirror",
        "--image",
        "quay.io/prometheus/prometheus",
        "--image",
        "docker.io/library/nginx:1.27",
    ]);
    written.expect_code(0).expect_stdout(&[
        "mirror.toml: 2 repositories to registry.example.com/mirror",
        "transship check --online",
    ]);
    transship
        .run(&["check"])
        .expect_code(0)
        .expect_stdout(&["ok, 2 mirrors of 2 repositories"]);
}

#[test]
fn init_overwrites_no_file() {
    let transship = Transship::new("# mine\n");
    let refused = transship.run(&["init", "--target", "registry.example.com/mirror"]);
    refused
        .expect_code(64)
        .expect_stderr(&["mirror.toml exists already", "--output"]);
    let kept = std::fs::read_to_string(transship.path().join("mirror.toml")).unwrap();
    assert_eq!(kept, "# mine\n");
}

#[test]
fn init_without_a_terminal_names_the_flag() {
    let refused = Transship::without_config().run(&["init"]);
    refused
        .expect_code(64)
        .expect_stderr(&["no target", "--target registry.example.com/mirror"]);
}

#[test]
fn init_reports_a_wrong_image() {
    let transship = Transship::without_config();
    let wrong = [
        "init",
        "--target",
        "registry.example.com/m",
        "--image",
        "UPPER CASE",
    ];
    let refused = transship.run(&wrong).expect_code(78);
    refused.expect_stderr(&["UPPER"]);
    assert!(!transship.path().join("mirror.toml").exists());
}

#[test]
fn file_of_init_mirrors_between_registries() {
    let pair = Pair::holding(&Image::oci("first"));
    let transship = Transship::without_config();
    let image = format!("{}/app:v1", pair.source.host());
    let to = format!("{}/m", pair.target.host());
    transship
        .run(&["init", "--target", &to, "--image", &image])
        .expect_code(0);
    transship
        .run(&["sync"])
        .expect_code(0)
        .expect_stdout(&["1 copied"]);
}

#[test]
fn healthcheck_follows_the_daemon() {
    let pair = Pair::configured(&serving("", &mirror_of("app")));
    let transship = &pair.transship;
    let unhealthy = transship.run(&["healthcheck", "--address", "127.0.0.1:1"]);
    unhealthy
        .expect_code(1)
        .expect_stderr(&["unhealthy: http://127.0.0.1:1/healthz"]);
    let daemon = Daemon::start(transship);
    transship
        .run(&["healthcheck", "--address", daemon.address()])
        .expect_code(0);
    transship
        .run(&["healthcheck"])
        .expect_code(64)
        .expect_stderr(&["port 0", "--address"]);
}

#[test]
fn doctor_names_a_broken_store_and_a_lost_name() {
    let transship = Transship::new(
        "[state]\npath = \"no/such/folder/state.db\"\n[[mirror]]\nfrom = \"source.invalid/a:1\"\n\
         target = \"target.invalid/m\"\n",
    );
    let printed = transship.run(&["--json", "doctor"]).expect_code(2).json();
    let (verdict, remedy) = finding(&printed, "store");
    assert_eq!(verdict, "failed");
    assert!(remedy.contains("mkdir"), "{remedy}");
    assert_eq!(finding(&printed, "dns").0, "failed");
}

#[test]
fn doctor_warns_of_a_proxy_of_the_shell() {
    let mut transship = Transship::new(
        "[[mirror]]\nfrom = \"source.invalid/a:1\"\ntarget = \"target.invalid/m\"\n",
    );
    transship.set_env("HTTPS_PROXY", "http://user:secret@127.0.0.1:1");
    let doctor = transship.run(&["doctor", "--offline"]);
    assert!(!doctor.stdout.contains("secret"), "{doctor}");
    let printed = transship.run(&["--json", "doctor"]).json();
    assert_eq!(finding(&printed, "proxy").0, "warning");
    assert_eq!(finding(&printed, "dns").0, "skipped");
}

#[test]
fn backup_is_restored() {
    let transship = Transship::new(
        "[state]\npath = \"state.db\"\n[[mirror]]\nfrom = \"127.0.0.1:1/a:1\"\ntarget = \"127.0.0.1:1/m\"\n\
         [registries.\"127.0.0.1:1\"]\nplain_http = true\n",
    );
    transship
        .run(&["backup", "copy.db"])
        .expect_code(2)
        .expect_stderr(&["no store at"]);
    let printed = transship
        .run(&["--json", "backup", "copy.db"])
        .expect_code(2)
        .json();
    assert!(
        printed["remedy"]
            .as_str()
            .unwrap_or_default()
            .contains("[state] path"),
        "{printed:#}"
    );
    transship.run(&["sync"]);
    transship
        .run(&["backup", "copy.db"])
        .expect_code(0)
        .expect_stdout(&["copy.db: "]);
    transship
        .run(&["backup", "copy.db"])
        .expect_code(2)
        .expect_stderr(&["exists already"]);
    std::fs::remove_file(transship.path().join("state.db")).unwrap();
    transship
        .run(&["restore", "copy.db"])
        .expect_code(0)
        .expect_stdout(&["restored from copy.db"]);
    let status = transship.run(&["--json", "status"]).json();
    assert_eq!(status["mirrors"][0]["state"], "failing", "{status:#}");
}
