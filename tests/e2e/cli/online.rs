//! `check --online`: a verdict and a remedy for each registry, and no trace left in any.

use std::fs;

use axum::http::HeaderValue;
use serde_json::Value;

use crate::support::programs::pair::{Pair, all_tags_of, between, fill_in, mirror_toml_with};
use crate::support::programs::transship::{Finished, Transship};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};
use crate::support::registries::fake_tokens::Habits;
use crate::support::registries::registry::{Guard, PASSWORD, Registry, USERNAME};
use crate::support::registries::requests::count;

const PLAIN: &str = "plain_http = true";
/// Nobody listens on this port.
const NOWHERE: &str = "127.0.0.1:1";

fn online(transship: &Transship, code: i32) -> Finished {
    transship
        .run(&["--json", "check", "--online"])
        .expect_code(code)
}

/// One check of one registry.
#[track_caller]
fn check(report: &Value, registry: &str, name: &str) -> Value {
    let of_name = |values: &Value, key: &str, name: &str| {
        let found = values.as_array().unwrap().iter().find(|v| v[key] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {report:#}"))
            .clone()
    };
    let registry = of_name(&report["registries"], "registry", registry);
    of_name(&registry["checks"], "check", name)
}

#[track_caller]
fn assert_verdict(report: &Value, registry: &str, name: &str, verdict: &str) {
    let found = check(report, registry, name);
    assert_eq!(found["verdict"], verdict, "{report:#}");
    assert_eq!(found["remedy"].is_string(), verdict == "failed", "{found}");
}

#[test]
fn good_registries_pass_without_trace() {
    let pair = Pair::holding(&Image::oci("asked about"));
    let report = online(&pair.transship, 0).json();
    for (registry, name, verdict) in [
        (pair.source.host(), "reach", "ok"),
        (pair.source.host(), "tls", "skipped"),
        (pair.source.host(), "login", "ok"),
        (pair.source.host(), "list", "ok"),
        (pair.source.host(), "pull", "ok"),
        (pair.source.host(), "push", "skipped"),
        (pair.source.host(), "quota", "skipped"),
        (pair.target.host(), "list", "ok"),
        (pair.target.host(), "pull", "skipped"),
        (pair.target.host(), "push", "ok"),
    ] {
        assert_verdict(&report, registry, name, verdict);
    }
    let requests = pair.target.new_requests();
    assert_eq!(count(&requests, |r| r.method == "POST"), 1, "{requests:#?}");
    assert_eq!(
        count(&requests, |r| r.method == "DELETE"),
        1,
        "{requests:#?}"
    );
    assert!(pair.to.repositories().is_empty());
    let text = pair.transship.run(&["check", "--online"]).expect_code(0);
    text.expect_stdout(&[
        "(source)",
        "(target)",
        "mirror/app is not there yet",
        "app:v1",
    ]);
    let names = |path: &std::path::PathBuf| path.file_name().unwrap().to_owned();
    let left: Vec<_> = pair.transship.files().iter().map(names).collect();
    assert_eq!(left, ["mirror.toml"], "no store is made");
}

#[test]
fn unreachable_registry_fails_only_itself() {
    let source = Registry::start();
    source.client().push("app", "v1", &Image::oci("reachable"));
    let transship = between(source.host(), NOWHERE, &all_tags_of("app"));
    let report = online(&transship, 1).json();
    assert_verdict(&report, NOWHERE, "reach", "failed");
    assert_verdict(&report, NOWHERE, "push", "skipped");
    assert_verdict(&report, source.host(), "pull", "ok");
}

#[test]
fn all_unreachable_has_own_status() {
    let transship = between(NOWHERE, "127.0.0.1:2", &all_tags_of("app"));
    online(&transship, 2);
}

#[test]
fn refused_credentials_have_own_status() {
    let (source, target) = (Registry::start(), Registry::guarded(Guard::Login));
    source
        .client()
        .push("app", "v1", &Image::oci("for a stranger"));
    let keys =
        format!("{PLAIN}\nusername = \"{USERNAME}\"\npassword = {{ env = \"REGISTRY_TOKEN\" }}");
    let text = mirror_toml_with(PLAIN, &keys, &all_tags_of("app"));
    let mut transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    transship.set_env("REGISTRY_TOKEN", "wrong-zebra-staple");
    let finished = online(&transship, 3);
    let report = finished.json();
    assert_verdict(&report, target.host(), "login", "failed");
    assert_verdict(&report, target.host(), "push", "skipped");
    assert!(
        !finished.to_string().contains("wrong-zebra-staple"),
        "{finished}"
    );
    transship.set_env("REGISTRY_TOKEN", PASSWORD);
    let report = online(&transship, 0).json();
    assert_verdict(&report, target.host(), "push", "ok");
    assert_eq!(
        check(&report, target.host(), "login")["message"],
        format!("as `{USERNAME}`")
    );
    transship.write(
        "mirror.toml",
        &text
            .replace(&keys, PLAIN)
            .replace("SOURCE", source.host())
            .replace("TARGET", target.host()),
    );
    let report = online(&transship, 3).json();
    assert_verdict(&report, target.host(), "login", "failed");
}

#[test]
fn untrusted_certificate_is_a_tls_error() {
    let (source, target) = (Registry::start(), Registry::guarded(Guard::Tls));
    source.client().push("app", "v1", &Image::oci("over TLS"));
    let trust = format!("ca_file = \"{}\"", target.ca_file().display());
    for (keys, verdict, code) in [("connections = 4", "failed", 1), (trust.as_str(), "ok", 0)] {
        let text = mirror_toml_with(PLAIN, keys, &all_tags_of("app"));
        let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
        let report = online(&transship, code).json();
        assert_verdict(&report, target.host(), "reach", "ok");
        assert_verdict(&report, target.host(), "tls", verdict);
    }
    // Nor does a registry without TLS have a certificate.
    let text = mirror_toml_with("connections = 4", &trust, &all_tags_of("app"));
    let transship = Transship::new(&fill_in(&text, source.host(), target.host()));
    let report = online(&transship, 1).json();
    assert_verdict(&report, source.host(), "tls", "failed");
}

#[test]
fn unwritable_target_names_remedy() {
    let (source, target) = (Registry::start(), Fake::start());
    source
        .client()
        .push("app", "v1", &Image::oci("not welcome"));
    target.demand_tokens(Habits::default());
    target.rule(|request| match request.is_blob_post() {
        true => Verdict::Answer(refusal(403, "DENIED")),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = online(&transship, 1).json();
    assert_verdict(&report, target.host(), "push", "failed");
    assert_verdict(&report, target.host(), "list", "ok");
    assert!(
        check(&report, target.host(), "push")["remedy"]
            .as_str()
            .unwrap()
            .contains("mirror/app")
    );
}

#[test]
fn reports_quota_and_fails_when_empty() {
    for (left, verdict, code) in [("76;w=21600", "ok", 0), ("0;w=21600", "failed", 1)] {
        let (source, target) = (Fake::start(), Registry::start());
        source.client().push("app", "v1", &Image::oci("metered"));
        source.rule(move |request| {
            if request.method != "HEAD" || !request.path.contains("/manifests/") {
                return Verdict::Serve;
            }
            let mut response = answer(200, &Value::Null);
            let headers = response.headers_mut();
            headers.insert("ratelimit-limit", HeaderValue::from_static("100;w=21600"));
            headers.insert("ratelimit-remaining", HeaderValue::from_static(left));
            Verdict::Answer(response)
        });
        let named = "\n[[mirror]]\nfrom = \"SOURCE/app:v1\"\n";
        let report = online(&between(source.host(), target.host(), named), code).json();
        assert_verdict(&report, source.host(), "quota", verdict);
        assert_verdict(&report, source.host(), "list", "skipped");
        let message = check(&report, source.host(), "quota")["message"].to_string();
        assert!(message.contains("of 100 pulls left in 6h"), "{message}");
        let gets = count(&source.requests(), |request| {
            request.method == "GET" && request.path.contains("/manifests/")
        });
        assert_eq!(gets, 0, "a GET would be counted");
    }
}

#[test]
fn missing_tag_names_remedy() {
    let (source, target) = (Registry::start(), Registry::start());
    source
        .client()
        .push("app", "v1", &Image::oci("another tag"));
    let named = "\n[[mirror]]\nfrom = \"SOURCE/app:v2\"\n";
    let report = online(&between(source.host(), target.host(), named), 1).json();
    assert_verdict(&report, source.host(), "pull", "failed");
}

#[test]
fn bad_config_asks_no_registry() {
    let pair = Pair::mirroring("[[mirror]]\nfrom = \"SOURCE/app\"\ntgas = \"*\"\n");
    let report = online(&pair.transship, 78).json();
    assert!(report.get("registries").is_none());
    assert!(pair.source.new_requests().is_empty());
    assert!(fs::read_dir(pair.transship.path()).unwrap().count() == 1);
}
