//! What a sync leaves at the target is what the source holds, bit for bit, and the report says so.

use serde_json::Value;

use crate::support::programs::pair::{Pair, all_tags_of, between};
use crate::support::programs::skopeo::raw_manifest;
use crate::support::programs::transship::{mirrors, number, sum};
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer, total_size, unique_blobs};
use crate::support::registries::fake::Fake;
use crate::support::registries::requests::assert_only_reads;

/// Copies one image alone, then compares all of it and the numbers of the report.
fn assert_copied_bit_for_bit(image: &Image) {
    let pair = Pair::holding(image);
    let report = pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
    let blobs = image.unique_blobs();
    assert_eq!(sum(&report, "/tags/copied"), 1, "{report:#}");
    assert_eq!(
        sum(&report, "/blobs/copied"),
        blobs.len() as u64,
        "{report:#}"
    );
    assert_eq!(
        sum(&report, "/bytes/uploaded"),
        total_size(&blobs),
        "{report:#}"
    );
}

#[test]
fn skopeo_agrees_on_every_kind() {
    let attested = Image::oci_for("attested", "linux/amd64");
    let attestation = Image::attestation(&attested);
    let signed = Image::oci("signed");
    let signature = Image::referring("application/vnd.example.signature", &signed);
    let kinds = [
        ("docker", Image::docker("docker")),
        ("list", Image::docker_list("list")),
        ("index", Image::two_platforms("index")),
        ("nested", Image::index(vec![Image::two_platforms("inner")])),
        ("artifact", Image::artifact("artifact")),
        ("attested", Image::index(vec![attested, attestation])),
        ("empty", Image::without_layers("empty")),
        ("twice", Image::with_a_layer_twice("twice")),
        ("zstd", Image::zstd("zstd")),
        ("large", Image::with_a_large_manifest("large")),
        ("signed", signed.clone()),
    ];
    let entry = "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"[a-z]*\"\nexclude = \"sha256-*\"\n";
    let pair = Pair::mirroring(&format!("{entry}referrers = true\n"));
    for (tag, image) in &kinds {
        pair.from.push("app", tag, image);
    }
    let fallback = signed.digest().replace(':', "-");
    pair.from
        .push("app", &fallback, &Image::index(vec![signature.clone()]));
    pair.transship.sync();
    let tags = kinds.iter().map(|(tag, _)| format!(":{tag}"));
    let names = tags.chain([format!(":{fallback}"), format!("@{}", signature.digest())]);
    for name in names {
        let copy = raw_manifest(pair.target.host(), &format!("mirror/app{name}"));
        assert_eq!(
            copy,
            raw_manifest(pair.source.host(), &format!("app{name}")),
            "{name}"
        );
    }
}

#[test]
fn copies_or_explains_foreign_layer() {
    let [image, absent] = ["served", "absent"].map(Image::with_a_foreign_layer);
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "served", &image);
    source.client().put_blob("app", &absent.blobs[0].bytes);
    let (kind, bytes) = (&absent.media_type, &absent.bytes);
    source.client().put_manifest("app", "absent", kind, bytes);
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let finished = transship.run(&["sync"]).expect_code(1);
    finished.expect_stdout(&["mirror/app:absent", "foreign layer", "platforms"]);
    assert_mirrored(
        &source.client(),
        "app",
        &target.client(),
        "mirror/app",
        "served",
    );
}

#[test]
fn copies_large_manifest() {
    let pair = Pair::holding(&Image::with_a_large_manifest("large"));
    pair.transship.sync();
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn copies_oci_image() {
    assert_copied_bit_for_bit(&Image::oci("plain"));
}

#[test]
fn copies_docker_image() {
    assert_copied_bit_for_bit(&Image::docker("docker"));
}

#[test]
fn copies_oci_index() {
    assert_copied_bit_for_bit(&Image::two_platforms("platforms"));
}

#[test]
fn copies_nested_index() {
    let nested = vec![
        Image::two_platforms("inner"),
        Image::oci_for("outer", "linux/s390x"),
    ];
    assert_copied_bit_for_bit(&Image::index(nested));
}

#[test]
fn copies_docker_manifest_list() {
    assert_copied_bit_for_bit(&Image::docker_list("list"));
}

#[test]
fn copies_artifact_with_empty_config() {
    assert_copied_bit_for_bit(&Image::artifact("artifact"));
}

#[test]
fn copies_index_with_attestation() {
    let image = Image::oci_for("attested", "linux/amd64");
    let attestation = Image::attestation(&image);
    assert_copied_bit_for_bit(&Image::index(vec![image, attestation]));
}

#[test]
fn copies_image_without_layers() {
    assert_copied_bit_for_bit(&Image::without_layers("bare"));
}

#[test]
fn copies_repeated_layer_once() {
    assert_copied_bit_for_bit(&Image::with_a_layer_twice("twice"));
}

#[test]
fn copies_zstd_layer() {
    assert_copied_bit_for_bit(&Image::zstd("zstd"));
}

#[test]
fn copies_empty_layer() {
    assert_copied_bit_for_bit(&Image::oci_with(
        "empty",
        vec![layer("nothing", 0), layer("something", 10)],
    ));
}

#[test]
fn copies_large_layer() {
    assert_copied_bit_for_bit(&Image::oci_with("large", vec![layer("large", 5_000_000)]));
}

#[test]
fn skopeo_agrees_on_both_sides() {
    let pair = Pair::holding(&Image::two_platforms("read by others"));
    pair.transship.sync();
    let copy = raw_manifest(pair.target.host(), "mirror/app:v1");
    assert_eq!(copy, raw_manifest(pair.source.host(), "app:v1"));
    let digest = &Image::oci_for("read by others", "linux/arm64").digest();
    let child = raw_manifest(pair.target.host(), &format!("mirror/app@{digest}"));
    assert_eq!(child, Image::oci_for("read by others", "linux/arm64").bytes);
}

#[test]
fn copies_every_selected_tag() {
    let pair = Pair::of_repositories(&["one", "two/deep", "three"]);
    let tags = [
        ("one", "v1"),
        ("one", "v2"),
        ("two/deep", "latest"),
        ("three", "v1"),
        ("three", "1.0_a-b"),
    ];
    for (repository, tag) in tags {
        pair.from
            .push(repository, tag, &Image::oci(&format!("{repository} {tag}")));
    }
    let report = pair.transship.sync();
    pair.assert_mirrored(&tags);
    assert_eq!(sum(&report, "/tags/copied"), 5);
    assert_eq!(
        pair.to.repositories(),
        ["mirror/one", "mirror/three", "mirror/two/deep"]
    );
}

#[test]
fn json_report_has_promised_members() {
    let pair =
        Pair::mirroring("[[mirror]]\nname = \"apps\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n");
    pair.from.push("app", "v1", &Image::oci("reported"));
    let report = pair.transship.sync();
    assert!(!report["run"].is_null(), "{report:#}");
    assert!(report["totals"].is_object(), "{report:#}");
    let [mirror] = mirrors(&report) else {
        panic!("one mirror ran: {report:#}")
    };
    assert_eq!(mirror["name"], "apps");
    assert!(mirror["result"].is_string(), "{mirror:#}");
    assert_eq!(mirror["errors"], Value::Array(Vec::new()));
    assert!(mirror["duration_seconds"].is_number(), "{mirror:#}");
    for name in [
        "tags/unchanged",
        "tags/copied",
        "tags/failed",
        "tags/orphaned",
    ] {
        assert_eq!(
            number(mirror, &format!("/{name}")),
            u64::from(name == "tags/copied"),
            "{name}"
        );
    }
    for name in [
        "blobs/mounted",
        "blobs/present",
        "bytes/downloaded",
        "requests/source",
        "requests/target",
    ] {
        number(mirror, &format!("/{name}"));
    }
    assert!(
        number(mirror, "/bytes/downloaded") >= total_size(&Image::oci("reported").unique_blobs())
    );
}

#[test]
fn json_report_counts_uploads_and_mounts() {
    let pair = Pair::of_repositories(&["one", "two", "three"]);
    let base = layer("base", 4000);
    let images = ["one", "two", "three"].map(|name| {
        (
            name,
            Image::oci_with(name, vec![base.clone(), layer(name, 50)]),
        )
    });
    for (name, image) in &images {
        pair.from.push(name, "v1", image);
    }
    let report = pair.transship.sync();
    let unique = unique_blobs(images.iter().map(|(_, image)| image));
    assert_eq!(
        sum(&report, "/blobs/copied"),
        unique.len() as u64,
        "{report:#}"
    );
    assert_eq!(sum(&report, "/blobs/mounted"), 2, "{report:#}");
    assert_eq!(
        sum(&report, "/bytes/uploaded"),
        total_size(&unique),
        "{report:#}"
    );
}

#[test]
fn second_sync_copies_nothing() {
    let pair = Pair::of_repositories(&["app"]);
    pair.from.push("app", "v1", &Image::oci("first"));
    pair.from.push("app", "v2", &Image::two_platforms("second"));
    pair.transship.sync();
    pair.ignore_requests();
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 2, "{report:#}");
    for name in [
        "/tags/copied",
        "/blobs/copied",
        "/blobs/mounted",
        "/bytes/uploaded",
        "/bytes/downloaded",
    ] {
        assert_eq!(sum(&report, name), 0, "{name} of {report:#}");
    }
    assert_only_reads(&pair.target.new_requests());
}

#[test]
fn removed_tag_is_orphaned_and_stays() {
    let pair = Pair::of_repositories(&["app"]);
    pair.from.push("app", "stays", &Image::oci("stays"));
    pair.from.push("app", "goes", &Image::oci("goes"));
    pair.transship.sync();
    pair.from
        .delete_manifest("app", &Image::oci("goes").digest());
    let report = pair.transship.sync();
    assert_eq!(sum(&report, "/tags/orphaned"), 1, "{report:#}");
    assert_eq!(sum(&report, "/tags/unchanged"), 1, "{report:#}");
    assert_eq!(pair.to.tags("mirror/app"), ["goes", "stays"]);
}

#[test]
fn syncs_named_mirrors_only() {
    let pair = Pair::mirroring(
        "[[mirror]]\nname = \"one\"\nfrom = \"SOURCE/one\"\ntags = \"*\"\n\
         [[mirror]]\nname = \"two\"\nfrom = \"SOURCE/two\"\ntags = \"*\"\n",
    );
    pair.from.push("one", "v1", &Image::oci("one"));
    pair.from.push("two", "v1", &Image::oci("two"));
    let report = pair
        .transship
        .run(&["--json", "sync", "two"])
        .expect_code(0)
        .json();
    assert_eq!(mirrors(&report).len(), 1, "{report:#}");
    assert_eq!(pair.to.repositories(), ["mirror/two"]);
    assert!(
        !pair
            .source
            .new_requests()
            .iter()
            .any(|request| request.path.contains("/one/"))
    );
}

#[test]
fn target_may_be_a_bare_host() {
    let pair = Pair::configured(
        "[registries.\"SOURCE\"]\nplain_http = true\n[registries.\"TARGET\"]\nplain_http = true\n\
         [[mirror]]\nfrom = \"SOURCE/team/app\"\ntags = \"*\"\ntarget = \"TARGET\"\npath = \"{repository}\"\n",
    );
    pair.from.push("team/app", "v1", &Image::oci("bare host"));
    pair.transship.sync();
    assert_eq!(pair.to.repositories(), ["team/app"]);
}

#[test]
fn text_summary_names_the_mirror() {
    let pair =
        Pair::mirroring("[[mirror]]\nname = \"apps\"\nfrom = \"SOURCE/app\"\ntags = \"*\"\n");
    pair.from.push("app", "v1", &Image::oci("readable"));
    let finished = pair.transship.run(&["sync"]).expect_code(0);
    assert!(
        format!("{}{}", finished.stdout, finished.stderr).contains("apps"),
        "{finished}"
    );
}
