//! Tags may have another name at the target.

use crate::support::programs::pair::Pair;
use crate::support::programs::transship::sum;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;

fn renaming(extra: &str) -> Pair {
    Pair::mirroring(&format!(
        "\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\ntag = \"{{tag}}-mirror\"\n{extra}"
    ))
}

fn sorted(mut tags: Vec<String>) -> Vec<String> {
    tags.sort();
    tags
}

#[test]
fn renamed_tags_stay_unchanged() {
    let pair = renaming("");
    for tag in ["v1", "v2"] {
        pair.from.push("app", tag, &Image::two_platforms(tag));
    }
    pair.transship.sync();
    assert_eq!(
        sorted(pair.to.tags("mirror/app")),
        ["v1-mirror", "v2-mirror"]
    );
    for tag in ["v1", "v2"] {
        let written = pair
            .to
            .manifest("mirror/app", &format!("{tag}-mirror"))
            .unwrap();
        assert_eq!(written.bytes, pair.from.manifest("app", tag).unwrap().bytes);
    }
    pair.ignore_requests();
    let again = pair.transship.sync();
    assert_eq!(sum(&again, "/tags/unchanged"), 2, "{again:#}");
    assert_eq!(
        pair.target.new_requests().len(),
        1,
        "its listing and nothing more"
    );
}

#[test]
fn renamed_tags_heal_by_target_name() {
    let pair = renaming("");
    pair.from.push("app", "v1", &Image::oci("old"));
    pair.transship.sync();
    pair.from.push("app", "v1", &Image::oci("new"));
    assert_eq!(sum(&pair.transship.sync(), "/tags/copied"), 1);
    let written = pair.to.manifest("mirror/app", "v1-mirror").unwrap();
    assert_eq!(written.bytes, Image::oci("new").bytes);
    pair.transship.forget();
    assert_eq!(sum(&pair.transship.sync(), "/tags/unchanged"), 1);
    pair.to
        .delete_manifest("mirror/app", &Image::oci("new").digest());
    assert_eq!(sum(&pair.transship.sync(), "/tags/copied"), 1);
    assert!(pair.to.manifest("mirror/app", "v1-mirror").is_some());
}

#[test]
fn signatures_are_not_renamed() {
    let image = Image::oci("app");
    let pair = renaming("referrers = true\n");
    pair.from.push("app", "v1", &image);
    let signature = image.digest().replace(':', "-") + ".sig";
    pair.from
        .push("app", &signature, &Image::artifact("signature"));
    pair.transship.sync();
    assert_mirrored(&pair.from, "app", &pair.to, "mirror/app", &signature);
    assert_eq!(pair.to.tags("mirror/app").len(), 2);
}

#[test]
fn rejects_template_without_tag() {
    let pair =
        Pair::mirroring("\n[[mirror]]\nfrom = \"SOURCE/app\"\ntags = \"v*\"\ntag = \"mirror\"\n");
    let refused = pair.transship.run(&["check"]).expect_code(78);
    refused.expect_stderr(&["bad `tag`", "{tag}-mirror"]);
}
