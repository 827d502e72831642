//! Targets that forbid to read what they hold, or what they do not hold.

use crate::support::programs::pair::{all_tags_of, between};
use crate::support::programs::transship::sum;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::{Fake, Verdict};
use crate::support::registries::fake_answers::refusal;

#[test]
fn policy_on_held_images_stops_no_new_tag() {
    let (source, target) = (Fake::start(), Fake::start());
    let tags: Vec<String> = (0..20).map(|at| format!("v{at}")).collect();
    for tag in &tags {
        let image = Image::two_platforms(tag);
        source.client().push("app", tag, &image);
        target.client().push("mirror/app", tag, &image);
    }
    let fresh = Image::two_platforms("new");
    source.client().push("app", "new", &fresh);
    target.rule(|request| {
        let reads = request.method == "GET" || request.method == "HEAD";
        match reads && request.path.contains("/manifests/") {
            true => Verdict::Answer(refusal(412, "PROJECTPOLICYVIOLATION")),
            false => Verdict::Serve,
        }
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/failed"), 0, "{report:#}");
    let there = target.client().manifest("mirror/app", "new").unwrap();
    assert_eq!(there.digest, fresh.digest());
    transship.let_a_year_pass();
    let report = transship.sync();
    assert_eq!(sum(&report, "/tags/unchanged"), 21, "{report:#}");
}

#[test]
fn forbidden_head_of_a_child_means_unknown() {
    let (source, target) = (Fake::start(), Fake::start());
    source
        .client()
        .push("app", "v2", &Image::two_platforms("two"));
    target.client().push("mirror/app", "v1", &Image::oci("one"));
    target.rule(|request| {
        let is_guess = request.method == "HEAD" && request.path.contains("/manifests/sha256:");
        match is_guess {
            true => Verdict::Answer(refusal(403, "DENIED")),
            false => Verdict::Serve,
        }
    });
    let transship = between(source.host(), target.host(), &all_tags_of("app"));
    transship.sync();
    let (from, to) = (source.client(), target.client());
    assert_mirrored(&from, "app", &to, "mirror/app", "v2");
}
