//! A budget of traffic: it lasts beyond the process, small images go to the end, and what is put off says so.

use serde_json::Value;

use crate::support::programs::daemon::{Daemon, mirror_of, serving};
use crate::support::programs::pair::{Pair, all_tags_of, fill_in, mirror_toml};
use crate::support::programs::transship::{mirrors, sum};
use crate::support::registries::corpus::{Image, layer};

/// A pair whose uploads have this budget, with `app:v1` of 95 kB at the source.
fn budgeted(bytes: &str) -> Pair {
    let pair = Pair::configured(&with_budget(bytes));
    push(&pair, "v1", 95_000);
    pair
}

fn with_budget(bytes: &str) -> String {
    let entries = mirror_toml(&all_tags_of("app"));
    format!("[limits]\ntraffic = {{ bytes = \"{bytes}\", counts = \"sent\" }}\n{entries}")
}

fn push(pair: &Pair, tag: &str, size: usize) {
    let image = Image::oci_with(tag, vec![layer(tag, size)]);
    pair.from.push("app", tag, &image);
}

fn put_off(report: &Value) -> Vec<String> {
    let errors = mirrors(report)[0]["errors"].as_array().unwrap().iter();
    let told = errors.map(|error| {
        let reference = error["reference"].as_str().unwrap();
        let tag = reference.rsplit(':').next().unwrap();
        format!("{tag} {}", error["class"].as_str().unwrap())
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

fn sync(pair: &Pair, code: i32) -> (Value, String) {
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(code);
    (finished.json(), finished.stderr)
}

#[test]
fn nearly_spent_budget_copies_small_images() {
    let pair = budgeted("105 kB");
    pair.transship.sync();
    push(&pair, "v2", 2000);
    push(&pair, "v3", 300);
    let (report, said) = sync(&pair, 1);
    assert_eq!(put_off(&report), ["v2 budget"]);
    assert!(said.contains("lacks more than 1.1 kB"), "{said}");
    pair.assert_mirrored(&[("app", "v1"), ("app", "v3")]);
    // What the target holds already is not lacking, however large it is.
    pair.from.push(
        "app",
        "v4",
        &Image::oci_with("v4", vec![layer("v1", 95_000)]),
    );
    let (report, _) = sync(&pair, 1);
    assert_eq!(put_off(&report), ["v2 budget"]);
    assert_eq!(pair.to.tags("mirror/app"), ["v1", "v3", "v4"]);
}

#[test]
fn budget_weighs_the_whole_index() {
    let pair = budgeted("105 kB");
    pair.transship.sync();
    let part = |name: &str, platform: &str| Image::oci_for(name, platform);
    let index = Image::index(vec![part("a", "linux/amd64"), part("b", "linux/arm64")]);
    pair.from.push("app", "two", &index);
    pair.from.push(
        "app",
        "one",
        &Image::index(vec![Image::without_layers("c").on("linux/amd64")]),
    );
    pair.ignore_requests();
    let (report, _) = sync(&pair, 1);
    assert_eq!(put_off(&report), ["two budget"]);
    pair.assert_mirrored(&[("app", "one")]);
}

/// Gives a pair another budget.
fn rebudget(pair: &Pair, bytes: &str) {
    let text = fill_in(&with_budget(bytes), pair.source.host(), pair.target.host());
    pair.transship.write("mirror.toml", &text);
}

fn sent(pair: &Pair) -> u64 {
    let sent = pair
        .transship
        .ask_store("SELECT COALESCE(SUM(sent), 0) FROM traffic");
    sent.parse().unwrap()
}

#[test]
fn spent_budget_stops_copies_until_raised() {
    let pair = budgeted("96 kB");
    pair.transship.sync();
    assert!((95_000..96_001).contains(&sent(&pair)), "{}", sent(&pair));
    rebudget(&pair, "90 kB");
    push(&pair, "v2", 10);
    for _ in 0..2 {
        pair.ignore_requests();
        let (report, said) = sync(&pair, 1);
        assert_eq!(put_off(&report), ["v2 budget"]);
        assert_eq!(sum(&report, "/tags/unchanged"), 1);
        assert!(
            said.contains("of the traffic budget of 90.0 kB per month is used"),
            "{said}"
        );
        assert!(said.contains("`traffic` of [limits]"), "{said}");
    }
    assert_eq!(
        pair.transship
            .ask_store("SELECT COUNT(*) FROM tags WHERE lagging_since > 0"),
        "1"
    );
    rebudget(&pair, "1 GB");
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v2")]);
}

#[test]
fn images_in_flight_stay_within_the_budget() {
    let pair = Pair::configured(&with_budget("390 kB"));
    for tag in 0..16 {
        push(&pair, &format!("v{tag}"), 50_000);
    }
    let (report, said) = sync(&pair, 1);
    assert_eq!(pair.to.tags("mirror/app").len(), 7);
    assert_eq!(put_off(&report).len(), 9);
    assert!((350_000..390_001).contains(&sent(&pair)), "{}", sent(&pair));
    assert!(said.contains("lacks a blob that counts 50.0 kB"), "{said}");
}

#[test]
fn blob_above_the_whole_budget_is_named() {
    let pair = budgeted("90 kB");
    let (report, said) = sync(&pair, 2);
    assert_eq!(put_off(&report), ["v1 budget"]);
    assert!(
        said.contains("counts 95.0 kB, more than the whole traffic budget of 90.0 kB"),
        "{said}"
    );
    assert!(sent(&pair) < 10_000);
}

#[test]
fn budget_usage_has_metrics_and_alarm() {
    let limits = "[limits]\ntraffic = { bytes = \"9 kB\", per = \"day\" }\n";
    let pair = Pair::configured(&serving(limits, &mirror_of("app")));
    push(&pair, "v1", 4000);
    let daemon = Daemon::start(&pair.transship);
    let sent = [("direction", "sent")];
    daemon.until_metric("transship_traffic_bytes", &sent, |bytes| bytes > 4000.0);
    let received = daemon.metric("transship_traffic_bytes", &[("direction", "received")]);
    assert!(received > 4000.0);
    assert_eq!(daemon.metric("transship_traffic_budget_bytes", &[]), 9000.0);
    daemon.until_metric("transship_traffic_budget_used_bytes", &[], |used| {
        used > 8000.0
    });
    daemon.until_true("the alarm", |daemon| !daemon.alarms("traffic").is_empty());
    let told = &daemon.alarms("traffic")[0]["message"];
    assert!(
        told.as_str()
            .unwrap()
            .contains("of the traffic budget of 9.0 kB per day"),
        "{told}"
    );
    let page = daemon.get("/").body;
    assert!(page.contains("of the traffic budget of 9.0 kB"), "{page}");
    assert!(
        daemon
            .get("/report/latest")
            .body
            .contains("of the traffic budget")
    );
}
