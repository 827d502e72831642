//! How old a tag may be, tags that never move, and guards against a selection that cannot be meant.

use serde_json::json;

use crate::support::programs::pair::{Pair, between};
use crate::support::programs::transship::{mirror, number, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::answer;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, assert_only_reads, count};

const RECENT: &str = "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nmax_age = \"30d\"\n";
const IMMUTABLE: &str = "[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"*\"\nimmutable = [\"v*\"]\n";

/// A time, this many days ago.
fn days_ago(days: i64) -> String {
    (chrono::Utc::now() - chrono::Duration::days(days)).to_rfc3339()
}

fn is_config_or_manifest_get(request: &Request) -> bool {
    request.is_blob_get() || (request.method == "GET" && request.path.contains("/manifests/"))
}

fn is_head(request: &Request) -> bool {
    request.method == "HEAD" && request.path.contains("/manifests/")
}

#[test]
fn max_age_uses_image_config() {
    let pair = Pair::mirroring(RECENT);
    let made = |name: &str, days| Image::made_at(name, &days_ago(days));
    pair.from.push("app", "old", &made("old", 40));
    pair.from.push("app", "new", &made("new", 20));
    pair.from.push(
        "app",
        "old-index",
        &Image::index(vec![made("i", 50), made("j", 1)]),
    );
    pair.from.push(
        "app",
        "dateless",
        &Image::made_at("dateless", "1970-01-01T00:00:00Z"),
    );
    let plan = pair.transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&[
        "dropped by max_age: 2 tags (old, old-index)",
        "kept although of unknown age: 1 tag (dateless)",
    ]);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["dateless", "new"]);
}

#[test]
fn image_age_is_read_once() {
    let pair = Pair::mirroring(RECENT);
    for (tag, days) in [("old", 40), ("new", 1)] {
        pair.from
            .push("app", tag, &Image::made_at(tag, &days_ago(days)));
    }
    pair.transship.sync();
    pair.ignore_requests();
    pair.transship.sync();
    assert_eq!(
        count(&pair.source.new_requests(), is_config_or_manifest_get),
        0
    );
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn push_times_save_config_reads() {
    let (source, target) = (Fake::start(), Registry::start());
    for tag in ["old", "new"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    let pushed =
        |days: i64| (chrono::Utc::now().timestamp_millis() - days * 86_400_000).to_string();
    let listing = json!({ "tags": ["old", "new"], "manifest": {
        "sha256:1": { "tag": ["old"], "timeUploadedMs": pushed(40), "mediaType": "" },
        "sha256:2": { "tag": ["new"], "timeUploadedMs": pushed(2), "mediaType": "" },
    }});
    source.rule(move |request| match request.is_tag_list() {
        true => Verdict::Answer(answer(200, &listing)),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), RECENT);
    transship.run(&["plan"]).expect_code(0);
    assert_eq!(count(&source.new_requests(), is_config_or_manifest_get), 0);
    transship.sync();
    assert_eq!(target.client().tags("mirror/app"), ["new"]);
}

#[test]
fn mirrored_immutable_tag_costs_nothing() {
    let pair = Pair::mirroring(IMMUTABLE);
    for tag in ["v1", "latest"] {
        pair.from.push("app", tag, &Image::oci(tag));
    }
    pair.transship.sync();
    pair.ignore_requests();
    pair.from
        .push("app", "v1", &Image::oci("moved against the word"));
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 2, "{report:#}");
    let heads: Vec<_> = pair.source.new_requests();
    let heads: Vec<_> = heads.iter().filter(|request| is_head(request)).collect();
    assert_eq!(heads.len(), 1, "{heads:#?}");
    assert!(heads[0].path.ends_with("/latest"), "{heads:#?}");
}

#[test]
fn lost_immutable_tag_is_restored() {
    let pair = Pair::mirroring(IMMUTABLE);
    pair.from.push("app", "v1", &Image::oci("v1"));
    pair.transship.sync();
    pair.target.wipe();
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn tag_count_guards_copy_nothing() {
    let pair = Pair::mirroring(
        "[[mirror]]\nname = \"few\"\nfrom = \"SOURCE/app\"\ntags = \"v*\"\nmin_tags = 3\n\
         [[mirror]]\nname = \"many\"\nfrom = \"SOURCE/big\"\ntags = \"*\"\nmax_tags = 1\n\
         [[mirror]]\nname = \"fine\"\nfrom = \"SOURCE/fine\"\ntags = \"*\"\nmin_tags = 1\nmax_tags = 2\n",
    );
    for (name, tag) in [
        ("app", "v1"),
        ("app", "v2"),
        ("big", "1"),
        ("big", "2"),
        ("fine", "1"),
    ] {
        pair.from.push(name, tag, &Image::oci(name));
    }
    let finished = pair.transship.run(&["--json", "sync"]).expect_code(1);
    let finished = finished.expect_stderr(&["min_tags = 3", "max_tags = 1"]);
    let report = finished.json();
    assert_eq!(mirror(&report, "few")["result"], "failed");
    assert_eq!(mirror(&report, "many")["result"], "failed");
    assert_eq!(number(mirror(&report, "fine"), "/tags/copied"), 1);
    assert_eq!(pair.to.repositories(), ["mirror/fine"]);
}
