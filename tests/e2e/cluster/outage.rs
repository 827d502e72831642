//! The database restarts, or is away for a while.

use std::time::Duration;

use crate::cluster::{DUE, ONCE, Workers};
use crate::support::programs::daemon::mirror_of;
use crate::support::registries::corpus::Image;
use crate::support::registries::fake::Fake;
use crate::support::{PAUSE, wait_until};

/// Calls that fail for half a minute, and a check for alarms.
const NOTICED: Duration = Duration::from_secs(150);

#[test]
fn worker_outlives_the_absence_of_its_database() {
    let (source, target) = (Fake::start(), Fake::start());
    source.client().push("app", "v1", &Image::oci("first"));
    let mirrors = mirror_of("app");
    let workers = Workers::between(source.host(), target.host(), ONCE, &mirrors);
    let workers = workers.with_own_server();
    workers.publish();
    workers.postgres.control("stop");
    let (_worker, daemon) = workers.start("a");
    let alarm = wait_until(NOTICED, PAUSE, || daemon.alarms("cluster").pop());
    let alarm = alarm.unwrap_or_else(|| panic!("no alarm\n{}", daemon.log()));
    assert_eq!(alarm["subject"], "database of the workers");
    assert_eq!(daemon.get("/").status, 200);
    let up = daemon.metric("transship_cluster_database_up", &[]);
    assert!(up < 0.5, "{up}");

    workers.postgres.control("start");
    let has = |image: &Image| {
        let manifest = target.client().manifest("mirror/app", "v1");
        manifest.is_some_and(|manifest| manifest.digest == image.digest())
    };
    daemon.until_true("the tag to be mirrored", |_| has(&Image::oci("first")));
    daemon.until_metric("transship_cluster_database_up", &[], |up| up > 0.5);

    workers.postgres.control("restart");
    source.client().push("app", "v1", &Image::oci("second"));
    daemon.until_true("the new tag to be mirrored", |_| {
        workers.postgres.ask(DUE);
        has(&Image::oci("second"))
    });
}

#[test]
fn wrong_database_prevents_startup() {
    let (source, target) = (Fake::start(), Fake::start());
    let workers = Workers::between(source.host(), target.host(), "", &mirror_of("app"));
    let (url, none) = (workers.postgres.url(), workers.postgres.url_of_none());
    let worker = workers.worker("a");
    let path = worker.path().join("mirror.toml");
    let text = std::fs::read_to_string(path).unwrap();
    worker.write("mirror.toml", &text.replace(&url, &none));
    let failed = worker.run(&["serve"]).expect_code(2);
    failed.expect_stderr(&["nothing", "createdb"]);
}
