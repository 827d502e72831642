//! Mutes, and runs that the command line asks the daemon for.

use serde_json::{Value, json};

use crate::daemon::faults::Ops;
use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving_with};
use crate::support::programs::pair::Pair;
use crate::support::registries::corpus::Image;

const TOKEN: &str = "open-sesame-0123456789";

fn push_app(pair: &Pair) {
    pair.from.push("app", "v1", &Image::oci("app"));
}

/// A daemon that runs `app` every other second, and sends alarms at once.
fn alarming(ops: &Ops) -> Service {
    let top = format!("[report]\ngroup_wait = \"0s\"\n{}", ops.channel());
    let http = format!("token = \"{TOKEN}\"");
    Service::in_sync(&serving_with(&top, &http, &mirror_of("app")), push_app)
}

/// A daemon that runs `app` when it is asked to.
fn on_demand(http: &str) -> Service {
    let text = serving_with("", http, &mirror_of("app"));
    Service::in_sync(&text.replace("*/2 * * * * *", "@yearly"), push_app)
}

fn is_failing(daemon: &Daemon) -> bool {
    !daemon.alarms("failing").is_empty()
}

#[test]
fn muted_registry_sends_nothing_until_unmuted() {
    let ops = Ops::start();
    let mut service = alarming(&ops);
    let host = service.pair.source.host().to_owned();
    let transship = &service.pair.transship;
    let muted = transship.run(&["mute", &host, "2h"]).expect_code(0);
    muted.expect_stdout(&[&format!("no alarms of registry {host} are sent until")]);
    service.pair.source.stop();
    service
        .daemon
        .until_true("the alarm on the page", is_failing);
    let page = service.daemon.get("/").body;
    assert!(
        page.contains(&format!("No alarms of {host} are sent until")),
        "{page}"
    );
    // A check that sends nothing leaves no other trace than another run.
    let runs = |daemon: &Daemon| daemon.status()["mirrors"][0]["last_attempt"].as_i64();
    let last = runs(&service.daemon);
    service
        .daemon
        .until_true("another run", |daemon| runs(daemon) > last);
    assert_eq!(ops.messages(), (Vec::new(), Vec::new()));
    let transship = &service.pair.transship;
    let listed = transship.run(&["mute", "--list"]).expect_code(0);
    listed.expect_stdout(&[&host]);
    transship.run(&["unmute", &host]).expect_code(0);
    let listed = transship.run(&["--json", "mute", "--list"]).json();
    assert_eq!(listed["mutes"], json!([]));
    service
        .daemon
        .until_true("the alarm", |_| !ops.messages().0.is_empty());
}

#[test]
fn mute_by_api_needs_token_and_is_on_the_page() {
    let service = on_demand(&format!("token = \"{TOKEN}\""));
    let mute = |token: Option<&str>, name: &str, lasts: &str| {
        let body = json!({ "name": name, "for": lasts });
        service.daemon.post("/api/v1/mute", token, &body)
    };
    assert_eq!(mute(None, "app", "2h").status, 401);
    assert_eq!(mute(Some(TOKEN), "app", "soon").status, 400);
    assert_eq!(mute(Some(TOKEN), "nothing", "2h").status, 404);
    let muted = mute(Some(TOKEN), "app", "2h");
    assert_eq!(muted.status, 200, "{muted:?}");
    assert_eq!(muted.json()["kind"], "mirror");
    let page = service.daemon.get("/").body;
    assert!(page.contains("No alarms of app are sent until"), "{page}");
    assert_eq!(service.daemon.status()["mutes"][0]["name"], "app");
    assert_eq!(mute(Some(TOKEN), "app", "0s").status, 200);
    assert_eq!(service.daemon.status()["mutes"], json!([]));
}

#[test]
fn mute_refuses_unknown_name() {
    let pair = Pair::of_repositories(&["app"]);
    let said = pair.transship.run(&["mute", "ghcr.io", "2h"]);
    let said = said.expect_code(64);
    said.expect_stderr(&["no mirror and no registry `ghcr.io`", "there are: "]);
    let said = pair.transship.run(&["mute", "app", "soon"]);
    said.expect_code(64);
}

/// How many runs the API lists.
fn runs(daemon: &Daemon) -> usize {
    let runs = daemon.get("/api/v1/runs").json();
    runs["runs"].as_array().map_or(0, Vec::len)
}

#[test]
fn trigger_runs_mirror_and_image() {
    let service = on_demand(&format!("token = \"{TOKEN}\""));
    let name = service.daemon.status()["mirrors"][0]["name"].clone();
    let name = name.as_str().unwrap();
    let image = format!("{}/app:v1", service.pair.source.host());
    for wanted in [name, &image] {
        let before = runs(&service.daemon);
        let said = service.pair.transship.run(&["trigger", wanted]);
        said.expect_code(0).expect_stdout(&["the run started"]);
        service
            .daemon
            .until_true("another run", |daemon| runs(daemon) > before);
        service.daemon.until_true("its end", |daemon| {
            daemon.status()["mirrors"][0]["running"] == Value::Bool(false)
        });
    }
    let said = service.pair.transship.run(&["trigger", "nothing:1"]);
    said.expect_code(64)
        .expect_stderr(&["no entry of mirror.toml allows", "the mirrors are: app"]);
    let said = service.pair.transship.run(&["trigger", "ap"]);
    said.expect_code(64).expect_stderr(&["did you mean `app`?"]);
}

#[test]
fn trigger_names_what_is_missing() {
    let mut service = on_demand("");
    let said = service.pair.transship.run(&["trigger", "app"]);
    said.expect_code(64).expect_stderr(&["no token", "[http]"]);
    let text = service.filled(&serving_with(
        "",
        &format!("token = \"{TOKEN}\""),
        &mirror_of("app"),
    ));
    service.daemon.signal("-TERM");
    service.daemon.wait();
    service.pair.transship.write("mirror.toml", &text);
    let said = service.pair.transship.run(&["trigger", "app"]);
    said.expect_code(64)
        .expect_stderr(&["no daemon uses the store", "transship sync app"]);
}

#[test]
fn page_shows_what_takes_a_restart() {
    let service = on_demand("");
    let notice = "[http] listen in mirror.toml takes effect after a restart";
    assert!(!service.daemon.get("/").body.contains(notice));
    let edited = serving_with("", "", &mirror_of("app")).replace("127.0.0.1:0", "127.0.0.1:9");
    service.write(&edited);
    service
        .daemon
        .until_true("the notice", |daemon| daemon.get("/").body.contains(notice));
    let status = service.daemon.status();
    assert_eq!(status["waiting_for_restart"], json!(["[http] listen"]));
    service.write(&edited.replace("127.0.0.1:9", "127.0.0.1:0"));
    service
        .daemon
        .until_true("no notice", |daemon| !daemon.get("/").body.contains(notice));
}
