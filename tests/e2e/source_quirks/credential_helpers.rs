//! Logins that docker's credential helpers give out: at first, anew, and not at all.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::{Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::programs::daemon::{Daemon, EVERY_OTHER_SECOND, mirror_of};
use crate::support::programs::pair::{all_tags_of, fill_in, mirror_toml_with};
use crate::support::programs::transship::Transship;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};

const PLAIN: &str = "plain_http = true";
const HELPER: &str = "plain_http = true\nlogin = { helper = \"vault\" }";
const DOCKER_CONFIG: &str = "plain_http = true\nlogin = \"docker-config\"";

/// A helper that knows one login, and writes down for which server it was asked.
fn knowing(username: &str, secret: &str) -> String {
    format!(
        "read server; echo \"$server\" >> \"$HOME/asked\"\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"{username}\",\"Secret\":\"{secret}\"}}'"
    )
}

/// Who a fake registry lets in.
fn demand_basic(fake: &Fake, is_right: impl Fn(&str) -> bool + Send + 'static) {
    fake.rule(move |request| {
        let given = request.authorization.as_deref().unwrap_or_default();
        let decoded = given
            .strip_prefix("Basic ")
            .and_then(|text| STANDARD.decode(text).ok());
        let given = String::from_utf8(decoded.unwrap_or_default()).unwrap();
        match is_right(&given) {
            true => Verdict::Serve,
            false => Verdict::Answer(login_wanted()),
        }
    });
}

fn login_wanted() -> Response<Body> {
    let mut response = refusal(401, "UNAUTHORIZED");
    let challenge = "Basic realm=\"fake\"".parse().unwrap();
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// A source with one image, an open target, and the binary with these keys for the source.
fn stage(keys: &str) -> (Fake, Registry, Transship) {
    let (source, target) = (Fake::start(), Registry::start());
    source
        .client()
        .push("app", "v1", &Image::oci("behind a login"));
    let text = mirror_toml_with(keys, PLAIN, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    (source, target, transship)
}

fn assert_synced(source: &Fake, target: &Registry) {
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v1");
}

fn asked(transship: &Transship) -> Vec<String> {
    let text = fs::read_to_string(transship.path().join("asked")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn helper_login_opens_real_registries() {
    let (source, target) = (
        Registry::guarded(Guard::Login),
        Registry::guarded(Guard::Login),
    );
    source
        .client()
        .push("app", "v1", &Image::oci("from a helper"));
    let text = mirror_toml_with(HELPER, DOCKER_CONFIG, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.write_program("docker-credential-vault", &knowing(USERNAME, PASSWORD));
    let config = serde_json::json!({ "credHelpers": { target.host(): "vault" } });
    transship.write(".docker/config.json", &config.to_string());
    transship.sync();
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
    let mut asked = asked(&transship);
    asked.sort();
    let mut hosts = [source.host().to_owned(), target.host().to_owned()];
    hosts.sort();
    assert_eq!(asked, hosts);
}

#[test]
fn creds_store_precedes_auths() {
    let (source, target, transship) = stage(DOCKER_CONFIG);
    demand_basic(&source, |given| given == "robot:from-the-file");
    let auth = STANDARD.encode("robot:from-the-file");
    let config = serde_json::json!({
        "credsStore": "vault", "auths": { source.host(): { "auth": auth } },
    });
    transship.write(".docker/config.json", &config.to_string());
    let nothing = "echo 'credentials not found in native keychain'; exit 1";
    transship.write_program("docker-credential-vault", nothing);
    transship.sync();
    assert_synced(&source, &target);
}

#[test]
fn exchanges_identity_token_of_helper() {
    let (source, target, transship) = stage(HELPER);
    source.demand_tokens(Habits {
        refresh_token: Some("refresh-me"),
        ..Habits::default()
    });
    transship.write_program("docker-credential-vault", &knowing("<token>", "refresh-me"));
    transship.sync();
    assert_synced(&source, &target);
    for request in source.requests() {
        let given = request.authorization.clone().unwrap_or_default();
        assert!(!given.contains("refresh-me"), "{request:?}");
    }
}

#[test]
fn exchanges_identity_token_of_docker_config() {
    let (source, target, transship) = stage(DOCKER_CONFIG);
    source.demand_tokens(Habits {
        refresh_token: Some("refresh-me"),
        ..Habits::default()
    });
    let config = serde_json::json!({
        "auths": { source.host(): { "auth": "", "identitytoken": "refresh-me" } },
    });
    transship.write(".docker/config.json", &config.to_string());
    transship.sync();
    assert_synced(&source, &target);
}

#[test]
fn rereads_refused_login() {
    for challenge in [true, false] {
        let (source, target, transship) = stage(HELPER);
        // The first login ends with the first request that it opens.
        let is_over = AtomicBool::new(false);
        let is_expired = Arc::new(AtomicBool::new(false));
        let expired = is_expired.clone();
        source.rule(move |request| {
            let old = format!("Basic {}", STANDARD.encode("AWS:number-1"));
            let is_old = request.authorization.as_deref() == Some(old.as_str());
            match is_old && is_over.swap(true, Ordering::Relaxed) && !challenge {
                true => {
                    expired.store(true, Ordering::Relaxed);
                    Verdict::Answer(refusal(403, "DENIED: Your authorization token has expired"))
                }
                false => Verdict::Serve,
            }
        });
        let uses = std::sync::atomic::AtomicUsize::new(0);
        demand_basic(&source, move |given| {
            let is_first = given == "AWS:number-1" && uses.fetch_add(1, Ordering::Relaxed) == 0;
            is_first || given == "AWS:number-2"
        });
        let script = "read server; echo \"$server\" >> \"$HOME/asked\"\n\
                      printf '{\"Username\":\"AWS\",\"Secret\":\"number-%s\"}' $(wc -l < \"$HOME/asked\")";
        transship.write_program("docker-credential-vault", script);
        transship.sync();
        assert_synced(&source, &target);
        assert_eq!(asked(&transship).len(), 2);
        assert_eq!(is_expired.load(Ordering::Relaxed), !challenge);
    }
}

#[test]
fn wrong_login_is_tried_twice() {
    let (source, _target, transship) = stage(HELPER);
    demand_basic(&source, |_| false);
    transship.write_program("docker-credential-vault", &knowing("AWS", "s3cret-zebra"));
    let finished = transship.run(&["-v", "sync"]).expect_code(3);
    let finished = finished.expect_stderr(&[source.host(), "AWS"]);
    assert!(!finished.stderr.contains("s3cret-zebra"), "{finished}");
    assert_eq!(asked(&transship).len(), 2);
}

#[test]
fn broken_helper_fails_only_its_registry() {
    let (source, _target, transship) = stage(HELPER);
    demand_basic(&source, |_| false);
    let script = "echo >> \"$HOME/asked\"; [ $(wc -l < \"$HOME/asked\") = 1 ] || exit 7\n\
                  echo '{\"Username\":\"AWS\",\"Secret\":\"old\"}'";
    transship.write_program("docker-credential-vault", script);
    let finished = transship.run(&["sync"]).expect_code(3);
    finished.expect_stderr(&["docker-credential-vault failed with exit status: 7"]);
}

#[test]
fn missing_helper_names_its_line() {
    let (_source, _target, transship) = stage(HELPER);
    let finished = transship.run(&["check"]).expect_code(78);
    finished.expect_stderr(&[
        "docker-credential-vault is not installed",
        "mirror.toml:3",
        "$PATH",
    ]);
}

#[test]
fn failed_helper_hides_its_output() {
    let (_source, _target, transship) = stage(HELPER);
    transship.write_program("docker-credential-vault", "echo s3cret-zebra; exit 3");
    let finished = transship.run(&["check"]).expect_code(78);
    let finished = finished.expect_stderr(&["failed with exit status: 3", "mirror.toml:3"]);
    assert!(!finished.stderr.contains("s3cret-zebra"), "{finished}");
}

#[test]
fn broken_docker_config_helper_names_its_line() {
    let (_source, _target, transship) = stage(DOCKER_CONFIG);
    transship.write(".docker/config.json", "{ \"credsStore\": \"nowhere\" }");
    let finished = transship.run(&["check"]).expect_code(78);
    finished.expect_stderr(&[
        "docker-credential-nowhere is not installed",
        "mirror.toml:3",
    ]);
}

/// A helper that fails for the first `times`, and knows the login from then on.
fn failing_at_first(times: usize) -> String {
    format!(
        "echo >> \"$HOME/asked\"; [ $(wc -l < \"$HOME/asked\") -gt {times} ] || exit 7\n\
         echo '{{\"Username\":\"AWS\",\"Secret\":\"s3cret\"}}'"
    )
}

/// A daemon's file for a source with one image behind a login.
fn stage_of_a_daemon(keys: &str) -> (Fake, Registry, Transship) {
    let (source, target) = (Fake::start(), Registry::start());
    source
        .client()
        .push("app", "v1", &Image::oci("behind a login"));
    demand_basic(&source, |given| given == "AWS:s3cret");
    let entries = format!("{EVERY_OTHER_SECOND}{}", mirror_of("app"));
    let entries = mirror_toml_with(keys, PLAIN, &entries);
    let text = format!("[http]\nlisten = \"127.0.0.1:0\"\n{entries}");
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    (source, target, transship)
}

#[test]
fn helper_failed_at_startup_is_retried() {
    for keys in [HELPER, DOCKER_CONFIG] {
        let (source, target, transship) = stage_of_a_daemon(keys);
        transship.write(".docker/config.json", "{ \"credsStore\": \"vault\" }");
        transship.write_program("docker-credential-vault", &failing_at_first(2));
        let daemon = Daemon::start(&transship);
        let said = "docker-credential-vault failed with exit status: 7, so that there is no";
        assert!(daemon.log().contains(said), "{}", daemon.log());
        daemon.until_true("the image to arrive", |_| {
            target.client().manifest("mirror/app", "v1").is_some()
        });
        assert_synced(&source, &target);
    }
}

#[test]
fn reload_works_while_helper_fails() {
    let (_source, _target, transship) = stage_of_a_daemon(HELPER);
    transship.write_program("docker-credential-vault", "exit 7");
    let daemon = Daemon::start(&transship);
    let text = fs::read_to_string(transship.path().join("mirror.toml")).unwrap();
    transship.write("mirror.toml", &text.replace("\"app\"", "\"other\""));
    daemon.until_true("the edit to be in force", |daemon| {
        daemon.status().to_string().contains("\"other\"")
    });
    assert_eq!(daemon.status()["config_error"], serde_json::Value::Null);
}
