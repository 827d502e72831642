//! What goes wrong while the daemon runs: it shows everywhere, is told once, and clears by itself.

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::support::net::held::Held;
use crate::support::net::receiver::Receiver;
use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving};
use crate::support::programs::pair::fill_in;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::held;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};

const APP: &[(&str, &str)] = &[("mirror", "app")];
const CHECKED: &str = "transship_last_check_success_timestamp_seconds";
const FAILURES: &str = "transship_consecutive_failures";
/// The tags of `app`.
const LISTING: Bytes = Bytes::from_static(br#"{"name":"app","tags":["v1"]}"#);
const RELOADED: &str = "transship_config_last_reload_successful";

/// A webhook that is told everything.
pub struct Ops(Receiver);

impl Ops {
    pub fn start() -> Self {
        Self(Receiver::start())
    }

    /// `mirror.toml` with the webhook and an entry for `app`.
    fn config(&self) -> String {
        self.config_with("")
    }

    /// The same with more keys of the entry.
    fn config_with(&self, keys: &str) -> String {
        let url = self.0.url("/ops");
        let channel = format!(
            "[report]\ngroup_wait = \"0s\"\n[notify.ops]\nkind = \"webhook\"\nurl = \"{url}\"\n"
        );
        serving(&channel, &format!("{}{keys}\n", mirror_of("app")))
    }

    /// A channel at it.
    pub fn channel(&self) -> String {
        let url = self.0.url("/ops");
        format!("[notify.ops]\nkind = \"webhook\"\nurl = \"{url}\"\n")
    }

    /// The alarm messages that it got, and the recoveries.
    pub fn messages(&self) -> (Vec<Value>, Vec<Value>) {
        let received = self.0.received().into_iter();
        let messages = received.map(|(_, body)| serde_json::from_str::<Value>(&body).unwrap());
        let alarms = messages.filter(|message| message["alarms"].is_array());
        alarms.partition(|message| message["event"] == "alarm")
    }

    /// Every alarm that it was told as `event topic`, sorted; reports left out.
    pub fn told(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (_, body) in self.0.received() {
            let told: Value = serde_json::from_str(&body).unwrap();
            let word = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
            let event = word(&told["event"]);
            for alarm in told["alarms"].as_array().into_iter().flatten() {
                all.push(format!("{event} {}", word(&alarm["topic"])));
            }
        }
        all.sort();
        all
    }

    /// Waits until every alarm is over, and fails unless each, `topic` among them, was told once and recovered once.
    #[track_caller]
    fn expect_told_once(&self, daemon: &Daemon, topic: &str) {
        daemon.until_true("every alarm to be over", |daemon| {
            daemon.status()["alarms"] == Value::Array(Vec::new())
        });
        let of = |event: &str| -> Vec<String> {
            let told = self.told().into_iter();
            told.filter_map(|line| line.strip_prefix(event).map(str::to_owned))
                .collect()
        };
        daemon.until_true("every recovery to be told", |_| {
            of("recovered ").len() >= of("alarm ").len()
        });
        let raised = of("alarm ");
        assert!(raised.iter().any(|told| told == topic), "{raised:?}");
        assert_eq!(of("recovered "), raised);
        let mut once = raised.clone();
        once.dedup();
        assert_eq!(raised, once, "told twice\n{}", daemon.log());
    }
}

/// Waits for an alarm about `subject`, which must be in the report, too, in these words.
fn expect_alarm(
    daemon: &Daemon,
    transship: &Transship,
    topic: &str,
    subject: &str,
    reported: &[&str],
) {
    let alarm = daemon.until(&format!("the alarm {topic}"), |daemon| {
        daemon.alarms(topic).pop()
    });
    assert_eq!(alarm["subject"], subject, "{alarm:#}");
    assert_ne!(alarm["message"].as_str().unwrap(), "");
    let report = transship.run(&["report"]).expect_code(0);
    report.expect_stdout(reported);
}

fn in_sync(text: &str) -> Service {
    Service::in_sync(text, |pair| pair.from.push("app", "v1", &Image::oci("app")))
}

#[test]
fn source_is_compared_before_copies_end() {
    let held = Held::with("", "");
    let daemon = held.start();
    daemon.until_metric(CHECKED, APP, |at| at > 0.0);
    let copied = "transship_tags_copied_total";
    assert_eq!(daemon.metric(copied, APP), 0.0);
    held.open();
    daemon.until_metric(copied, APP, |tags| tags == 1.0);
}

#[test]
fn dead_source_is_stale_until_back() {
    let ops = Ops::start();
    let mut service = in_sync(&ops.config());
    service.pair.source.stop();
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures >= 1.0);
    let checked = service.daemon.metric(CHECKED, APP);
    expect_alarm(
        &service.daemon,
        &service.pair.transship,
        "stale",
        "app",
        &["app", "stale", service.pair.source.host()],
    );
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures >= 2.0);
    assert_eq!(service.daemon.metric(CHECKED, APP), checked);
    let lag = service.daemon.metric("transship_sync_lag_seconds", APP);
    assert_eq!(lag, 0.0, "nobody knows of a difference");
    service.pair.source.start_again();
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures == 0.0);
    assert!(service.daemon.metric(CHECKED, APP) > checked);
    ops.expect_told_once(&service.daemon, "stale");
}

#[test]
fn hanging_source_alarms_once() {
    let ops = Ops::start();
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("app"));
    let (gate, opened) = watch::channel(true);
    source.rule(move |request| {
        let is_quiet = request.path.ends_with("/tags/list") && !*opened.borrow();
        match is_quiet {
            true => Verdict::Answer(held(&LISTING, opened.clone())),
            false => Verdict::Serve,
        }
    });
    // No run ends because nothing moves.
    let text = fill_in(&ops.config(), source.host(), target.host())
        .replace("plain_http = true", "plain_http = true\nstall = \"1h\"");
    let transship = Transship::new(&text);
    let daemon = Daemon::start(&transship);
    daemon.until_metric(CHECKED, APP, |checked| checked > 0.0);
    gate.send_replace(false);
    let alarm = daemon.until("the alarm", |daemon| daemon.alarms("stale").pop());
    let message = alarm["message"].to_string();
    assert!(message.contains("its run started"), "{message}");
    gate.send_replace(true);
    ops.expect_told_once(&daemon, "stale");
}

#[test]
fn dead_target_lags_until_back() {
    let ops = Ops::start();
    let mut service = in_sync(&ops.config_with("max_lag = \"1s\""));
    service.pair.target.stop();
    service.pair.from.push("app", "v1", &Image::oci("moved"));
    expect_alarm(
        &service.daemon,
        &service.pair.transship,
        "lag",
        "app",
        &["app", "behind"],
    );
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures >= 1.0);
    let report = service.pair.transship.run(&["report"]).expect_code(0);
    report.expect_stdout(&["app", "failing", service.pair.target.host()]);
    service.pair.target.start_again();
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures == 0.0);
    service.pair.assert_mirrored(&[("app", "v1")]);
    ops.expect_told_once(&service.daemon, "lag");
}

#[test]
fn three_failures_raise_an_alarm() {
    let ops = Ops::start();
    let service = in_sync(&ops.config());
    let moved = Image::oci("moved");
    service.pair.from.push("app", "v1", &moved);
    service.pair.source.lose_blob(&moved.blobs[0].digest());
    expect_alarm(
        &service.daemon,
        &service.pair.transship,
        "failing",
        "app",
        &["app", "failing"],
    );
    assert!(service.daemon.metric(FAILURES, APP) >= 3.0);
    service
        .pair
        .from
        .push("app", "v1", &Image::oci("good again"));
    service
        .daemon
        .until_metric(FAILURES, APP, |failures| failures == 0.0);
    ops.expect_told_once(&service.daemon, "failing");
}

/// A source that asks for a login, an open target, and a daemon that comes with this password.
fn with_password(ops: &Ops, password: &str) -> (Registry, Registry, Transship) {
    let (source, target) = (Registry::guarded(Guard::Login), Registry::start());
    source.client().push("app", "v1", &Image::oci("guarded"));
    let text = fill_in(
        &login(&ops.config(), password),
        source.host(),
        target.host(),
    );
    let transship = Transship::new(&text);
    (source, target, transship)
}

/// The text with a login at the source.
fn login(text: &str, password: &str) -> String {
    let keys =
        format!("[registries.\"SOURCE\"]\nusername = \"{USERNAME}\"\npassword = \"{password}\"");
    text.replace("[registries.\"SOURCE\"]", &keys)
}

#[test]
fn wrong_password_alarms_until_corrected() {
    let ops = Ops::start();
    let (source, target, transship) = with_password(&ops, "wrong-horse");
    let daemon = Daemon::start(&transship);
    let (registry, other) = ([("registry", source.host())], [("registry", target.host())]);
    let auth = "transship_registry_auth_ok";
    daemon.until_metric(auth, &registry, |ok| ok == 0.0);
    assert_eq!(daemon.metric(auth, &other), 1.0);
    expect_alarm(
        &daemon,
        &transship,
        "auth",
        source.host(),
        &[source.host(), "credentials"],
    );
    let right = fill_in(
        &login(&ops.config(), PASSWORD),
        source.host(),
        target.host(),
    );
    transship.write("mirror.toml", &right);
    daemon.until_metric(auth, &registry, |ok| ok == 1.0);
    daemon.until_metric(FAILURES, APP, |failures| failures == 0.0);
    ops.expect_told_once(&daemon, "auth");
    for secret in ["wrong-horse", PASSWORD] {
        let told = [
            daemon.log(),
            daemon.get("/api/v1/status").body,
            daemon.get("/").body,
        ];
        assert!(!told.concat().contains(secret), "{told:?}");
    }
}

#[test]
fn revoked_login_alarms_until_accepted() {
    let ops = Ops::start();
    let (source, _target, transship) = with_password(&ops, PASSWORD);
    let daemon = Daemon::start(&transship);
    let registry = [("registry", source.host())];
    daemon.until_metric(CHECKED, APP, |checked| checked > 0.0);
    source.revoke_logins();
    daemon.until_metric("transship_registry_auth_ok", &registry, |ok| ok == 0.0);
    expect_alarm(
        &daemon,
        &transship,
        "auth",
        source.host(),
        &[source.host(), "credentials"],
    );
    source.restore_logins();
    assert_eq!(
        source.client().tags("app"),
        ["v1"],
        "the registry knows it again"
    );
    // What was refused is left alone for minutes, lest the user be locked out; unless somebody asks.
    daemon.signal("-HUP");
    daemon.until_metric("transship_registry_auth_ok", &registry, |ok| ok == 1.0);
    ops.expect_told_once(&daemon, "auth");
}

#[test]
fn invalid_edit_alarms_and_keeps_running() {
    let ops = Ops::start();
    let service = in_sync(&ops.config());
    let good = service.filled(&ops.config());
    service.pair.transship.write("good.toml", &good);
    assert_eq!(service.daemon.metric(RELOADED, &[]), 1.0);
    service.write(&ops.config_with("tgas = \"v*\""));
    service
        .daemon
        .until_metric(RELOADED, &[], |well| well == 0.0);
    let alarm = service
        .daemon
        .until("the alarm", |daemon| daemon.alarms("config").pop());
    assert_eq!(alarm["subject"], "", "{alarm:#}");
    let report = service
        .pair
        .transship
        .run(&["--config", "good.toml", "report"]);
    report
        .expect_code(0)
        .expect_stdout(&["mirror.toml is invalid", "tgas"]);
    let error = service.daemon.status()["config_error"].to_string();
    assert!(error.contains("tgas"), "{error}");
    service
        .pair
        .from
        .push("app", "v2", &Image::oci("while the file is wrong"));
    let copied = "transship_tags_copied_total";
    service
        .daemon
        .until_metric(copied, APP, |copied| copied == 2.0);
    service.write(&ops.config());
    service
        .daemon
        .until_metric(RELOADED, &[], |well| well == 1.0);
    assert_eq!(service.daemon.status()["config_error"], Value::Null);
    ops.expect_told_once(&service.daemon, "config");
}
