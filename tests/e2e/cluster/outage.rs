//! The database restarts, or is away for a while.

use std::time::Duration;

use crate::cluster::Workers;
use crate::support::programs::daemon::{EVERY_OTHER_SECOND, mirror_of};
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::{PAUSE, wait_until};

/// Two renewals that fail, and a check for alarms.
const NOTICED: Duration = Duration::from_secs(150);

#[test]
fn worker_outlives_the_absence_of_its_database() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("first"));
    let mirrors = mirror_of("app");
    let mut workers = Workers::between(source.host(), target.host(), EVERY_OTHER_SECOND, &mirrors);
    let (_worker, daemon) = workers.start("a");
    workers.publish();
    let has = |image: &Image| {
        let manifest = target.client().manifest("mirror/app", "v1");
        manifest.is_some_and(|manifest| manifest.digest == image.digest())
    };
    daemon.until_true("the tag to be mirrored", |_| has(&Image::oci("first")));

    workers.postgres.stop();
    let alarm = wait_until(NOTICED, PAUSE, || daemon.alarms("cluster").pop());
    let alarm = alarm.unwrap_or_else(|| panic!("no alarm\n{}", daemon.log()));
    assert_eq!(alarm["subject"], "database of the workers");
    assert_eq!(daemon.get("/").status, 200);
    let up = daemon.metric("transship_cluster_database_up", &[]);
    assert!(up < 0.5, "{up}");

    source.client().push("app", "v1", &Image::oci("second"));
    workers.postgres.start_again();
    daemon.until_true("the new tag to be mirrored", |_| has(&Image::oci("second")));
    daemon.until_metric("transship_cluster_database_up", &[], |up| up > 0.5);
}

#[test]
fn wrong_database_prevents_startup() {
    let (source, target) = (Fake::start(), Fake::start());
    let workers = Workers::between(source.host(), target.host(), "", &mirror_of("app"));
    let url = workers.postgres.url();
    let worker = workers.worker("a");
    let path = worker.path().join("mirror.toml");
    let text = std::fs::read_to_string(path).unwrap();
    worker.write("mirror.toml", &text.replace(&url, &format!("{url}-not")));
    let failed = worker.run(&["serve"]).expect_code(2);
    failed.expect_stderr(&["transship-not", "createdb"]);
}
