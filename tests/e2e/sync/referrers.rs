//! What refers to an image comes along with it: signatures, SBOMs, attestations.

use crate::support::programs::pair::{Pair, between};
use crate::support::programs::transship::sum;
use crate::support::registries::client::{Client, assert_mirrored};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;
use crate::support::registries::fake_contents::Oddities;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::count;

const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const SBOM: &str = "application/spdx+json";

fn entry(keys: &str) -> String {
    format!("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\n{keys}\n")
}

fn with_referrers() -> String {
    entry("referrers = true")
}

/// The tag under which a registry without the API lists what refers to an image.
fn fallback_tag(subject: &Image) -> String {
    subject.digest().replace(':', "-")
}

/// Pushes what refers to an image, and its list, as a client does where there is no API.
fn push_with_fallback(client: &Client, subject: &Image, referrers: &[Image]) {
    let list = Image::index(referrers.to_vec());
    client.push("app", &fallback_tag(subject), &list);
}

fn push_all(client: &Client, referrers: &[&Image]) {
    for referrer in referrers {
        client.push("app", &referrer.digest(), referrer);
    }
}

fn assert_all_mirrored(source: &Client, target: &Client, names: &[String]) {
    for name in names {
        assert_mirrored(source, "app", target, "mirror/app", name);
    }
}

fn referrers_api(page: usize) -> Oddities {
    Oddities {
        referrers: Some(page),
        ..Oddities::default()
    }
}

#[test]
fn copies_fallback_referrers_to_any_depth() {
    let image = Image::oci("app");
    let sbom = Image::referring(SBOM, &image);
    let signature = Image::referring(SIGNATURE, &image);
    let of_sbom = Image::referring(SIGNATURE, &sbom);
    let pair = Pair::mirroring(&with_referrers());
    pair.from.push("app", "v1", &image);
    push_with_fallback(&pair.from, &image, &[signature.clone(), sbom.clone()]);
    push_with_fallback(&pair.from, &sbom, std::slice::from_ref(&of_sbom));
    pair.transship.sync();
    let digests = [&signature, &sbom, &of_sbom].map(Image::digest);
    let lists = [&image, &sbom].map(fallback_tag);
    assert_all_mirrored(&pair.from, &pair.to, &["v1".to_owned()]);
    assert_all_mirrored(&pair.from, &pair.to, &digests);
    assert_all_mirrored(&pair.from, &pair.to, &lists);
}

#[test]
fn writes_fallback_tag_without_target_api() {
    let image = Image::oci("app");
    let referrers = [SIGNATURE, SBOM, "application/vnd.in-toto+json"]
        .map(|kind| Image::referring(kind, &image));
    let (source, target) = (Fake::with(referrers_api(2)), Registry::start());
    source.client().push("app", "v1", &image);
    push_all(&source.client(), &referrers.each_ref());
    let transship = between(source.host(), target.host(), &with_referrers());
    transship.sync();
    let digests = referrers.each_ref().map(Image::digest);
    assert_all_mirrored(&source.client(), &target.client(), &digests);
    let list = target
        .client()
        .manifest("mirror/app", &fallback_tag(&image))
        .unwrap()
        .json();
    let mut listed: Vec<_> = list["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["digest"].as_str().unwrap())
        .collect();
    listed.sort_unstable();
    let mut expected = digests.each_ref().map(String::as_str);
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn target_api_needs_no_fallback_tag() {
    let image = Image::oci("app");
    let signature = Image::referring(SIGNATURE, &image);
    let (source, target) = (Fake::with(referrers_api(9)), Fake::with(referrers_api(9)));
    source.client().push("app", "v1", &image);
    push_all(&source.client(), &[&signature]);
    between(source.host(), target.host(), &with_referrers()).sync();
    assert_all_mirrored(&source.client(), &target.client(), &[signature.digest()]);
    assert_eq!(target.client().tags("mirror/app"), ["v1"]);
}

#[test]
fn copies_cosign_tags() {
    let image = Image::oci("app");
    let pair = Pair::mirroring(&with_referrers());
    pair.from.push("app", "v1", &image);
    let tags = [".sig", ".att", ".sbom"].map(|suffix| fallback_tag(&image) + suffix);
    for tag in &tags {
        pair.from.push("app", tag, &Image::artifact(tag));
    }
    pair.from
        .push("app", "sha256-0.sig", &Image::artifact("of another image"));
    pair.transship.sync();
    assert_all_mirrored(&pair.from, &pair.to, &tags);
    assert_eq!(pair.to.tags("mirror/app").len(), 4);
}

#[test]
fn finds_late_signature() {
    let image = Image::oci("app");
    let pair = Pair::mirroring(&with_referrers());
    pair.from.push("app", "v1", &image);
    pair.transship.sync();
    let late = Image::referring(SIGNATURE, &image);
    push_with_fallback(&pair.from, &image, std::slice::from_ref(&late));
    pair.ignore_requests();
    pair.transship.sync();
    let asked = pair.source.new_requests();
    assert_eq!(
        asked.len(),
        2,
        "a listing and a HEAD, and no more: {asked:#?}"
    );
    assert!(pair.to.manifest("mirror/app", &late.digest()).is_none());
    pair.transship.let_a_year_pass();
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_all_mirrored(&pair.from, &pair.to, &[late.digest(), fallback_tag(&image)]);
}

#[test]
fn copies_moved_cosign_tag() {
    let image = Image::oci("app");
    let tag = fallback_tag(&image) + ".sig";
    let pair = Pair::mirroring(&with_referrers());
    pair.from.push("app", "v1", &image);
    for version in ["one signature", "two signatures"] {
        pair.from.push("app", &tag, &Image::artifact(version));
        pair.transship.sync();
        assert_all_mirrored(&pair.from, &pair.to, std::slice::from_ref(&tag));
        pair.transship.let_a_year_pass();
    }
    pair.ignore_requests();
    pair.transship.sync();
    assert_eq!(
        count(&pair.target.new_requests(), |request| request.is_write()),
        0
    );
}

#[test]
fn filters_referrers_by_type() {
    let image = Image::oci("app");
    let (signature, sbom) = (
        Image::referring(SIGNATURE, &image),
        Image::referring(SBOM, &image),
    );
    let pair = Pair::mirroring(&entry("referrers = [\"application/spdx*\", \".att\"]"));
    pair.from.push("app", "v1", &image);
    push_with_fallback(&pair.from, &image, &[signature.clone(), sbom.clone()]);
    for suffix in [".sig", ".att"] {
        pair.from.push(
            "app",
            &(fallback_tag(&image) + suffix),
            &Image::artifact(suffix),
        );
    }
    pair.transship.sync();
    assert_all_mirrored(
        &pair.from,
        &pair.to,
        &[sbom.digest(), fallback_tag(&image) + ".att"],
    );
    assert!(
        pair.to
            .manifest("mirror/app", &signature.digest())
            .is_none()
    );
    let mut tags = pair.to.tags("mirror/app");
    tags.sort();
    assert_eq!(
        tags,
        [
            fallback_tag(&image),
            fallback_tag(&image) + ".att",
            "v1".into()
        ]
    );
}

#[test]
fn referrers_are_opt_in() {
    let image = Image::oci("app");
    let pair = Pair::mirroring(&entry(""));
    pair.from.push("app", "v1", &image);
    push_with_fallback(&pair.from, &image, &[Image::referring(SIGNATURE, &image)]);
    pair.transship.sync();
    assert_eq!(pair.to.tags("mirror/app"), ["v1"]);
    assert_eq!(
        count(&pair.source.new_requests(), |request| request
            .path
            .contains("/referrers/")),
        0
    );
}

#[test]
fn platform_subset_keeps_valid_referrers() {
    let (amd64, arm64) = (
        Image::oci_for("a", "linux/amd64"),
        Image::oci_for("a", "linux/arm64"),
    );
    let image = Image::index(vec![amd64.clone(), arm64.clone()]);
    let of_whole = Image::referring(SIGNATURE, &image);
    let (of_amd64, of_arm64) = (
        Image::referring(SBOM, &amd64),
        Image::referring(SBOM, &arm64),
    );
    let pair = Pair::mirroring(&entry("referrers = true\nplatforms = [\"linux/amd64\"]"));
    pair.from.push("app", "v1", &image);
    push_with_fallback(&pair.from, &image, std::slice::from_ref(&of_whole));
    push_with_fallback(&pair.from, &amd64, std::slice::from_ref(&of_amd64));
    push_with_fallback(&pair.from, &arm64, std::slice::from_ref(&of_arm64));
    pair.transship.sync();
    assert_all_mirrored(
        &pair.from,
        &pair.to,
        &[of_amd64.digest(), fallback_tag(&amd64)],
    );
    for absent in [&of_whole, &of_arm64] {
        assert!(pair.to.manifest("mirror/app", &absent.digest()).is_none());
    }
}

#[test]
fn missing_referrer_does_not_block_others() {
    let image = Image::oci("app");
    let (gone, there) = (
        Image::referring(SBOM, &image),
        Image::referring(SIGNATURE, &image),
    );
    let (source, target) = (Fake::start(), Registry::start());
    source.client().push("app", "v1", &image);
    source.client().push("app", &there.digest(), &there);
    let list = Image::index(vec![gone, there.clone()]);
    let (kind, bytes) = (&list.media_type, &list.bytes);
    source
        .client()
        .put_manifest("app", &fallback_tag(&image), kind, bytes);
    between(source.host(), target.host(), &with_referrers()).sync();
    assert_all_mirrored(&source.client(), &target.client(), &[there.digest()]);
    let list = target
        .client()
        .manifest("mirror/app", &fallback_tag(&image))
        .unwrap()
        .json();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn self_referring_list_ends() {
    let image = Image::oci("app");
    let pair = Pair::mirroring(&with_referrers());
    pair.from.push("app", "v1", &image);
    push_with_fallback(&pair.from, &image, std::slice::from_ref(&image));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn refused_referrers_listing_fails() {
    let image = Image::oci("app");
    let (source, target) = (Fake::with(referrers_api(9)), Registry::start());
    source.client().push("app", "v1", &image);
    source.rule(|request| match request.path.contains("/referrers/") {
        true => Verdict::Answer(refusal(403, "DENIED")),
        false => Verdict::Serve,
    });
    let transship = between(source.host(), target.host(), &with_referrers());
    transship
        .run(&["sync"])
        .expect_code(1)
        .expect_stdout(&["list referrers", "DENIED"]);
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "v1",
    );
}

fn attested() -> (Image, Image) {
    let image = Image::oci_for("attested", "linux/amd64");
    let index = Image::index(vec![image.clone(), Image::attestation(&image)]);
    (image, index)
}

#[test]
fn drops_attestations_on_request() {
    let (image, index) = attested();
    let pair = Pair::mirroring(&entry("attestations = \"drop\""));
    pair.from.push("app", "v1", &index);
    pair.transship.sync();
    let written = pair.to.manifest("mirror/app", "v1").unwrap().json();
    let entries = written["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["digest"], image.digest());
    let again = pair.transship.sync();
    assert_eq!(sum(&again, "/tags/unchanged"), 1, "{again:#}");
}

/// A target that refuses attestations as Aliyun ACR does.
fn refusing_attestations(attestation: &str) -> Fake {
    let target = Fake::start();
    let digest = attestation.to_owned();
    target.rule(move |request| {
        if request.method == "PUT" && request.path.ends_with(&digest) {
            let text = "unknown manifest class for application/vnd.oci.empty.v1+json";
            Verdict::Answer(refusal(403, text))
        } else {
            Verdict::Serve
        }
    });
    target
}

#[test]
fn if_accepted_drops_refused_attestations() {
    let (image, index) = attested();
    let source = Registry::start();
    source.client().push("app", "v1", &index);
    let target = refusing_attestations(&Image::attestation(&image).digest());
    let keep = between(source.host(), target.host(), &entry(""));
    keep.run(&["sync"])
        .expect_code(2)
        .expect_stdout(&["unknown manifest class"]);
    let allow = entry("attestations = \"if-accepted\"");
    between(source.host(), target.host(), &allow).sync();
    let written = target.client().manifest("mirror/app", "v1").unwrap().json();
    assert_eq!(written["manifests"].as_array().unwrap().len(), 1);
    let accepting = Registry::start();
    between(source.host(), accepting.host(), &allow).sync();
    assert_mirrored(
        &source.client(),
        "app",
        &accepting.client(),
        "mirror/app",
        "v1",
    );
}
