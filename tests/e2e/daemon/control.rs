//! What operators make the daemon do while it runs, and what its pages tell them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::net::held::Held;
use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving, serving_with};
use crate::support::programs::pair::Pair;
use crate::support::registries::corpus::Image;

const TOKEN: &str = "open-sesame-0123456789";
const COPIED: &str = "transship_tags_copied_total";
const SYNCS: &str = "transship_syncs_total";

fn push_both(pair: &Pair) {
    for name in ["app", "tool"] {
        pair.from.push(name, "v1", &Image::oci(name));
    }
}

fn serving_these(names: &[&str]) -> String {
    let entries: Vec<_> = names.iter().map(|name| mirror_of(name)).collect();
    serving("", &entries.concat())
}

/// A daemon that runs `app` when it is asked to, and hardly ever by itself.
fn on_demand(http: &str) -> Service {
    let text = serving_with("", http, &mirror_of("app").replace("\"*\"", "\"v*\""));
    let text = text.replace("*/2 * * * * *", "@yearly");
    Service::in_sync(&text, push_both)
}

fn with_token() -> Service {
    on_demand(&format!("token = \"{TOKEN}\""))
}

/// How many runs of a mirror have ended, by the API.
fn ended_runs(daemon: &Daemon, mirror: &str) -> usize {
    let runs = daemon.get("/api/v1/runs").json();
    let runs = runs["runs"].as_array().unwrap().iter();
    runs.filter(|run| run["mirror"] == mirror && !run["finished_at"].is_null())
        .count()
}

#[test]
fn added_mirror_runs() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    assert_eq!(service.daemon.metrics().count("mirror", "tool"), 0);
    service.write(&serving_these(&["app", "tool"]));
    let tool = [("mirror", "tool")];
    service
        .daemon
        .until_metric(COPIED, &tool, |copied| copied == 1.0);
    service
        .daemon
        .until_metric(SYNCS, &[tool[0], ("result", "ok")], |runs| runs >= 2.0);
    service.pair.assert_mirrored(&[("tool", "v1")]);
}

#[test]
fn notices_renamed_file() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    service.rename_over(&serving_these(&["app", "tool"]));
    let (app, tool) = ([("mirror", "app")], [("mirror", "tool")]);
    service
        .daemon
        .until_metric(COPIED, &tool, |copied| copied == 1.0);
    service.rename_over(&serving_these(&["tool"]));
    service.daemon.until_true("app to be gone", |daemon| {
        daemon.metrics().find(COPIED, &app).is_none()
    });
}

#[test]
fn removed_mirror_loses_series_keeps_history() {
    let service = Service::in_sync(&serving_these(&["app", "tool"]), push_both);
    service.write(&serving_these(&["app"]));
    service.daemon.until_true("its series to go", |daemon| {
        daemon.metrics().count("mirror", "tool") == 0
    });
    assert!(service.daemon.metrics().count("mirror", "app") > 0);
    assert_eq!(service.daemon.get("/mirrors/tool").status, 404);
    let count = |table: &str| {
        let sql = format!("SELECT count(*) > 0 FROM {table} WHERE mirror = 'tool'");
        service.pair.transship.ask_store(&sql)
    };
    assert_eq!([count("runs"), count("changes")], ["1", "1"]);
    service.pair.assert_mirrored(&[("tool", "v1")]);
}

/// The token of `[http]` before [`TOKEN`].
const OLD: &str = "an-older-token-of-the-page";

#[test]
fn sighup_rereads_secrets() {
    let text = serving_with("", "token = { file = \"token\" }", &mirror_of("app"));
    let pair = Pair::configured(&text);
    push_both(&pair);
    pair.transship.write("token", OLD);
    let daemon = Daemon::start(&pair.transship);
    let nobody = json!({ "mirror": "nobody" });
    assert_eq!(daemon.post_sync(Some(OLD), &nobody).status, 404);
    pair.transship.write("token", TOKEN);
    daemon.signal("-HUP");
    daemon.until_true("the new token to be taken", |daemon| {
        daemon.post_sync(Some(TOKEN), &nobody).status == 404
    });
    assert_eq!(daemon.post_sync(Some(OLD), &nobody).status, 401);
}

#[test]
fn token_starts_a_run() {
    let service = with_token();
    service.pair.from.push("app", "v2", &Image::oci("later"));
    let page = service
        .daemon
        .post_sync(Some(TOKEN), &json!({ "mirror": "app" }));
    assert!((200..300).contains(&page.status), "{page:?}");
    service
        .daemon
        .until_metric(COPIED, &[("mirror", "app")], |copied| copied == 2.0);
    service
        .pair
        .assert_mirrored(&[("app", "v1"), ("app", "v2")]);
    service
        .daemon
        .until_true("both runs to end", |daemon| ended_runs(daemon, "app") == 2);
}

#[test]
fn syncs_one_allowed_image() {
    let service = with_token();
    for tag in ["v2", "v3", "nightly"] {
        service.pair.from.push("app", tag, &Image::oci(tag));
    }
    let host = service.pair.source.host();
    let ask = |image: String| {
        service
            .daemon
            .post_sync(Some(TOKEN), &json!({ "image": image }))
    };
    for stranger in ["app:nightly", "tool:v1", "nobody:v1"] {
        let page = ask(format!("{host}/{stranger}"));
        assert_eq!(page.status, 404, "{stranger}: {page:?}");
    }
    let page = ask(format!("{host}/app:v3"));
    assert!((200..300).contains(&page.status), "{page:?}");
    service
        .daemon
        .until_metric(COPIED, &[("mirror", "app")], |copied| copied == 2.0);
    service.pair.assert_mirrored(&[("app", "v3")]);
    assert_eq!(service.pair.to.tags("mirror/app"), ["v1", "v3"]);
}

#[test]
fn wrong_token_starts_nothing() {
    let service = with_token();
    let wanted = json!({ "mirror": "app" });
    for token in [
        None,
        Some(""),
        Some("wrong"),
        Some("open-sesame-0123456789-street"),
    ] {
        let page = service.daemon.post_sync(token, &wanted);
        assert_eq!(page.status, 401, "{token:?}: {page:?}");
        assert!(!page.body.contains(TOKEN));
    }
    let nobody = service
        .daemon
        .post_sync(Some(TOKEN), &json!({ "mirror": "nobody" }));
    assert_eq!(nobody.status, 404, "{nobody:?}");
    assert_eq!(service.daemon.get("/api/v1/sync").status, 405);
    assert_eq!(ended_runs(&service.daemon, "app"), 1);
}

#[test]
fn no_token_starts_nothing() {
    let service = on_demand("");
    for token in [None, Some(""), Some("any")] {
        let page = service.daemon.post_sync(token, &json!({ "mirror": "app" }));
        assert_eq!(page.status, 403, "{token:?}: {page:?}");
    }
    assert_eq!(ended_runs(&service.daemon, "app"), 1);
}

#[test]
fn running_mirror_is_not_started_twice() {
    let held = Held::with("", &format!("token = \"{TOKEN}\""));
    let daemon = held.start();
    let (skipped, app) = (
        [("mirror", "app"), ("result", "skipped")],
        [("mirror", "app")],
    );
    daemon.until_metric(SYNCS, &skipped, |skipped| skipped >= 1.0);
    let page = daemon.post_sync(Some(TOKEN), &json!({ "mirror": "app" }));
    assert_eq!(page.status, 409, "{page:?}");
    assert_eq!(daemon.status()["mirrors"][0]["running"], true);
    assert!(daemon.metric("transship_transfers_in_flight", &[]) >= 1.0);
    held.open();
    daemon.until_metric(COPIED, &app, |copied| copied == 1.0);
    let asked = held.source.requests().into_iter();
    let asked = asked.filter(|request| request.path.ends_with(&held.layer));
    assert_eq!(asked.count(), 1, "the layer was asked for once");
}

#[test]
fn paused_mirror_does_not_run() {
    let paused = format!("{}paused = true\n", mirror_of("tool"));
    let pair = Pair::configured(&serving("", &[paused, mirror_of("app")].concat()));
    push_both(&pair);
    let daemon = Daemon::start(&pair.transship);
    daemon.until_true("three runs", |daemon| ended_runs(daemon, "app") >= 3);
    assert_eq!(
        daemon.metric("transship_paused", &[("mirror", "tool")]),
        1.0
    );
    assert_eq!(daemon.metric("transship_paused", &[("mirror", "app")]), 0.0);
    let runs = daemon.get("/api/v1/runs").json();
    assert!(!runs.to_string().contains("tool"), "{runs:#}");
    assert!(pair.to.tags("mirror/tool").is_empty());
}

#[test]
fn serves_pages_and_api() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/mirrors/app",
        "/api/v1/status",
        "/api/v1/runs",
    ] {
        let page = service.daemon.get(path);
        assert_eq!(page.status, 200, "{path}: {page:?}");
    }
    for path in ["/", "/mirrors/app"] {
        assert!(service.daemon.get(path).body.contains("app"), "{path}");
    }
    for path in ["/mirrors/nobody", "/no/such/page"] {
        assert_eq!(service.daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn serves_tunasync_json() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    let list = service.daemon.get("/tunasync.json").json();
    let [entry] = list.as_array().unwrap().as_slice() else {
        panic!("{list:#}");
    };
    assert_eq!(
        [&entry["name"], &entry["is_master"]],
        [&json!("app"), &json!(true)]
    );
    assert!(
        ["success", "syncing"].contains(&entry["status"].as_str().unwrap()),
        "{entry:#}"
    );
    assert!(
        entry["upstream"]
            .as_str()
            .unwrap()
            .contains(service.pair.source.host())
    );
    for key in ["last_update", "last_started", "last_ended", "next_schedule"] {
        let moment = entry[format!("{key}_ts")].as_i64().unwrap();
        assert!(moment > 1_600_000_000, "{key} {entry:#}");
        let shown = chrono::DateTime::from_timestamp(moment, 0).unwrap();
        let shown = shown.format("%Y-%m-%d %H:%M:%S +0000").to_string();
        assert_eq!(entry[key], Value::String(shown));
    }
    assert!(entry["size"].is_string(), "{entry:#}");
}

#[test]
fn metrics_pass_promtool() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    let metrics = service.daemon.get("/metrics").body;
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(metrics.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn series_are_bounded_and_start_at_zero() {
    let service = Service::in_sync(&serving_these(&["app"]), push_both);
    let metrics = service.daemon.metrics();
    let count = metrics.count("target", service.pair.target.host());
    assert!((1..=20).contains(&count), "{count} series");
    for result in ["ok", "partial", "failed", "skipped"] {
        let labels = [("mirror", "app"), ("result", result)];
        assert!(metrics.find(SYNCS, &labels).is_some(), "{result}");
    }
}

#[test]
fn image_runs_in_the_mirror_that_names_it() {
    let entries = "\n[[mirror]]\nname = \"all\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n\
                   [[mirror]]\nname = \"one\"\nfrom = \"SOURCE/app:v1\"\n";
    let text = serving_with("", &format!("token = \"{TOKEN}\""), entries);
    let service = Service::in_sync(&text.replace("*/2 * * * * *", "@yearly"), push_both);
    service.pair.from.push("app", "v1", &Image::oci("moved"));
    let image = format!("{}/app:v1", service.pair.source.host());
    let body = json!({ "image": image });
    let page = service.daemon.post_sync(Some(TOKEN), &body);
    assert_eq!(page.json()["mirror"], "one", "{page:?}");
    let copied = service.daemon.metric(COPIED, &[("mirror", "one")]);
    service
        .daemon
        .until_metric(COPIED, &[("mirror", "one")], |now| now > copied);
    service.pair.assert_mirrored(&[("app", "v1")]);
}
