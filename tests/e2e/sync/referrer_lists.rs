//! Lists of referrers that are wrong: of types, of sizes, and of what is no list.

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::programs::pair::{Pair, between};
use crate::support::programs::transship::sum;
use crate::support::registries::corpus::{Image, OCI_INDEX};
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::fake_contents::Oddities;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SBOM: &str = "application/spdx+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

fn entry(keys: &str) -> String {
    format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\n{keys}\n")
}

fn fallback_tag(subject: &Image) -> String {
    subject.digest().replace(':', "-")
}

/// Pushes referrers and a list of them whose entries `change` was made to.
fn push_list(pair: &Pair, subject: &Image, referrers: &[&Image], change: impl Fn(&mut Value)) {
    let mut entries = Vec::new();
    for referrer in referrers {
        pair.from.push("app", &referrer.digest(), referrer);
        let mut entry = referrer.descriptor();
        change(&mut entry);
        entries.push(entry);
    }
    let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    let bytes = Bytes::from(list.to_string());
    let tag = fallback_tag(subject);
    pair.from.put_manifest("app", &tag, OCI_INDEX, &bytes);
}

fn listed(pair: &Pair, subject: &Image) -> Vec<Value> {
    let list = pair.to.manifest("mirror/app", &fallback_tag(subject));
    let list = list.unwrap().json();
    list["manifests"].as_array().unwrap().clone()
}

#[test]
fn filters_by_type_of_manifest_itself() {
    let image = Image::oci("signed");
    let [bundle, sbom] = [BUNDLE, SBOM].map(|kind| Image::referring(kind, &image));
    let pair = Pair::mirroring(&entry("referrers = [\"application/vnd.dev.sigstore.*\"]"));
    pair.from.push("app", "v1", &image);
    push_list(&pair, &image, &[&bundle, &sbom], |entry| {
        entry["artifactType"] = json!(EMPTY);
    });
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/referrers/copied"), 1, "{report:#}");
    assert_eq!(sum(&report, "/referrers/left_out"), 1, "{report:#}");
    let entries = listed(&pair, &image);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["digest"], bundle.digest());
    assert_eq!(entries[0]["artifactType"], BUNDLE);
}

#[test]
fn lists_true_sizes_at_target() {
    let image = Image::oci("signed");
    let sbom = Image::referring(SBOM, &image);
    let pair = Pair::mirroring(&entry("referrers = true"));
    pair.from.push("app", "v1", &image);
    push_list(&pair, &image, &[&sbom], |entry| {
        entry["size"] = json!(99_999)
    });
    pair.transship.sync();
    assert_eq!(listed(&pair, &image)[0]["size"], sbom.bytes.len());
}

#[test]
fn image_under_fallback_tag_is_no_list() {
    let image = Image::two_platforms("named by its digest");
    let pair = Pair::mirroring(&entry("referrers = true"));
    pair.from.push("app", "v1", &image);
    pair.from.push("app", &fallback_tag(&image), &image);
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/referrers/copied"), 0, "{report:#}");
    let tag = fallback_tag(&image);
    assert!(pair.to.manifest("mirror/app", &tag).is_none());
}

#[test]
fn platforms_in_a_list_are_no_referrers() {
    let image = Image::oci("signed");
    let (sbom, other) = (
        Image::referring(SBOM, &image),
        Image::oci_for("other", "linux/arm64"),
    );
    let pair = Pair::mirroring(&entry("referrers = true"));
    pair.from.push("app", "v1", &image);
    push_list(&pair, &image, &[&sbom, &other], |_| {});
    pair.transship.sync();
    let entries = listed(&pair, &image);
    assert_eq!(entries.len(), 1, "{entries:#?}");
    assert!(pair.to.manifest("mirror/app", &other.digest()).is_none());
}

#[test]
fn plan_and_summary_count_filtered_referrers() {
    let oddities = Oddities {
        referrers: Some(10),
        ..Oddities::default()
    };
    let (source, target) = (Fake::with(oddities), Fake::start());
    let image = Image::oci("signed");
    source.client().push("app", "v1", &image);
    for kind in [BUNDLE, SBOM] {
        let referrer = Image::referring(kind, &image);
        source.client().push("app", &referrer.digest(), &referrer);
    }
    let keys = "referrers = [\"application/vnd.dev.sigstore.*\"]";
    let transship = between(source.host(), target.host(), &entry(keys));
    let plan = transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&["referrers: 1 to look at, 1 left out by their types"]);
    let sync = transship.run(&["sync"]).expect_code(0);
    sync.expect_stdout(&["referrers: 1 copied, 1 left out"]);
    let again = transship.run(&["plan"]).expect_code(0);
    assert!(!again.stdout.contains("referrers:"), "{}", again.stdout);
}

#[test]
fn html_page_is_no_referrers_api() {
    let image = Image::oci("app");
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &image);
    source.rule(|request| match request.path.contains("/referrers/") {
        true => Verdict::Answer(Response::new(Body::from("\n<!doctype html><html></html>"))),
        false => Verdict::Serve,
    });
    between(source.host(), target.host(), &entry("referrers = true")).sync();
    assert_eq!(target.client().tags("mirror/app"), ["v1"]);
}

#[test]
fn forbidden_guesses_are_absent() {
    let image = Image::oci("app");
    let (source, target) = (Fake::with(Oddities::default()), Fake::start());
    source.client().push("app", "1.0", &image);
    source.rule(
        |request| match request.path.contains("/manifests/sha256-") {
            true => Verdict::Answer(refusal(403, "UNAUTHORIZED")),
            false => Verdict::Serve,
        },
    );
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app:1.0\"\nreferrers = true\n";
    between(source.host(), target.host(), entry).sync();
    assert_eq!(target.client().tags("mirror/app"), ["1.0"]);
}
