//! The daemon verifies the tags that are due after each run, and the next run repairs what it finds.

use crate::support::programs::daemon::{Service, mirror_of, serving};
use crate::support::registries::corpus::Image;

const FINDINGS: &str = "transship_verify_findings_total";
const VERIFIED: &str = "transship_verified_tags_total";
const APP: &[(&str, &str)] = &[("mirror", "app")];

#[test]
fn scheduled_verify_restores_lost_blob() {
    let image = Image::oci("one");
    let service = Service::in_sync(&serving("", &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &image);
    });
    assert_eq!(service.daemon.metric(VERIFIED, APP), 0.0);
    let lost = image.blobs[1].digest();
    service.pair.target.lose_blob(&lost);
    service.pair.transship.let_tags_age(31);
    let missing = [("class", "missing_blob")];
    service
        .daemon
        .until_metric(FINDINGS, &missing, |found| found == 1.0);
    let target = &service.pair.target;
    service
        .daemon
        .until_true("the blob to be back", |_| target.has_blob(&lost));
    let repaired = "SELECT COUNT(*) FROM changes WHERE kind = 'repaired'";
    service.daemon.until_true("the repair to be told", |_| {
        service.pair.transship.ask_store(repaired) == "1"
    });
    let report = service.pair.transship.run(&["report"]).expect_code(0);
    report.expect_stdout(&["1 found damaged, 1 repaired"]);
    assert_eq!(service.daemon.metric(VERIFIED, APP), 1.0);
}

#[test]
fn verification_off_asks_nothing() {
    let entry = mirror_of("app") + "verify_blobs_every = \"off\"\n";
    let service = Service::in_sync(&serving("", &entry), |pair| {
        pair.from.push("app", "v1", &Image::oci("one"));
    });
    service.pair.transship.let_tags_age(400);
    let ok = [("mirror", "app"), ("result", "ok")];
    let runs = service.daemon.metric("transship_syncs_total", &ok);
    service
        .daemon
        .until_metric("transship_syncs_total", &ok, |now| now >= runs + 2.0);
    assert_eq!(service.daemon.metric(VERIFIED, APP), 0.0);
}
