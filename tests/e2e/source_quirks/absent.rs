//! Sources that list or name what they do not serve.

use serde_json::json;

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::{mirrors, sum};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::{answer, refusal};

/// Answers 404 to whatever asks for a manifest by one of these names.
fn withdraw(source: &Fake, names: Vec<String>) {
    source.rule(move |request| {
        let name = request.path.strip_prefix("/v2/app/manifests/");
        match name.is_some_and(|name| names.iter().any(|gone| gone == name)) {
            true => Verdict::Answer(refusal(404, "MANIFEST_UNKNOWN")),
            false => Verdict::Serve,
        }
    });
}

fn list_ghosts(source: &Fake) {
    let tags = ["1.0", "1.1", "_uploads", "9.9"];
    source.rule(move |request| match request.is_tag_list() {
        true => Verdict::Answer(answer(200, &json!({ "name": "app", "tags": tags }))),
        false => Verdict::Serve,
    });
}

#[test]
fn skips_listed_tags_that_are_not_there() {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["1.0", "1.1"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    list_ghosts(&source);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    for _ in 0..2 {
        let report = transship.run(&["--json", "sync"]).expect_code(0).json();
        assert_eq!(sum(&report, "/tags/absent"), 2, "{report:#}");
    }
    assert_eq!(target.client().tags("mirror/app"), ["1.0", "1.1"]);
    let plan = transship.run(&["plan"]).expect_code(0);
    plan.expect_stdout(&["listed by the source and not there: 2 tags (9.9, _uploads)"]);
    transship.run(&["status", "--exit-code"]).expect_code(0);
}

#[test]
fn absent_tags_take_no_place_of_latest() {
    let (source, target) = (Fake::start(), Fake::start());
    for tag in ["1.0", "1.1"] {
        source.client().push("app", tag, &Image::oci(tag));
    }
    list_ghosts(&source);
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\nlatest = 1\n";
    between(source.host(), target.host(), entry).sync();
    assert_eq!(target.client().tags("mirror/app"), ["1.1"]);
}

#[test]
fn fails_if_no_listed_tag_is_there() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "1.0", &Image::oci("hidden"));
    withdraw(&source, vec!["1.0".into()]);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    assert_eq!(sum(&report, "/tags/failed"), 1, "{report:#}");
}

#[test]
fn copies_build_caches_with_their_layers() {
    for keys in ["", "platforms = [\"linux/amd64\"]\n"] {
        let (source, target) = (Fake::start(), Fake::start());
        let cache = Image::build_cache("layers");
        source.client().push("app", "cache", &cache);
        let entry = all_tags_of("app") + keys;
        let transship = between(source.host(), target.host(), &entry);
        transship.sync();
        let (from, to) = (source.client(), target.client());
        let there = to.manifest("mirror/app", "cache").unwrap();
        assert_eq!(there.digest, from.manifest("app", "cache").unwrap().digest);
        for blob in cache.blobs {
            assert!(to.blob("mirror/app", &blob.digest()).is_some());
        }
        transship.run(&["verify"]).expect_code(0);
    }
}

/// A source whose index names an attestation that is not served.
fn without_attestation() -> Fake {
    let image = Image::oci_for("attested", "linux/amd64");
    let attestation = Image::attestation(&image);
    let source = Fake::start();
    let index = Image::index(vec![image, attestation.clone()]);
    source.client().push("app", "v1", &index);
    withdraw(&source, vec![attestation.digest()]);
    source
}

#[test]
fn names_key_that_leaves_out_withdrawn_attestations() {
    let (source, target) = (without_attestation(), Fake::start());
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    let message = mirrors(&report)[0]["errors"][0]["message"]
        .as_str()
        .unwrap();
    for words in ["names an attestation", "`attestations = \"drop\"`"] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn if_accepted_leaves_out_withdrawn_attestations() {
    let (source, target) = (without_attestation(), Fake::start());
    let entry = all_tags_of("app") + "attestations = \"if-accepted\"\n";
    between(source.host(), target.host(), &entry).sync();
    let written = target.client().manifest("mirror/app", "v1").unwrap().json();
    assert_eq!(written["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn names_withdrawn_platform() {
    let (source, target) = (Fake::start(), Fake::start());
    source
        .client()
        .push("app", "v1", &Image::two_platforms("half"));
    let gone = Image::oci_for("half", "linux/arm64").digest();
    withdraw(&source, vec![gone]);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.run(&["--json", "sync"]).expect_code(2).json();
    let message = mirrors(&report)[0]["errors"][0]["message"]
        .as_str()
        .unwrap();
    for words in ["the image for linux/arm64", "`platforms`"] {
        assert!(message.contains(words), "{message}");
    }
}
