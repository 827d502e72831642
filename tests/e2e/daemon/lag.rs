//! The daemon's one promise: how far the target lags behind is seen, and the lag goes without a human.

use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving};
use crate::support::programs::pair::Pair;
use crate::support::programs::prometheus::Prometheus;
use crate::support::registries::corpus::Image;

const LAG: &str = "transship_sync_lag_seconds";
const APP: &[(&str, &str)] = &[("mirror", "app")];

/// A daemon that has mirrored `app:v1`.
fn in_sync() -> Service {
    Service::in_sync(&serving("", &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &Image::oci("before"));
    })
}

/// Moves `app:v1` while the target is down, until the daemon has told of the lag.
fn fall_behind(service: &mut Service) -> f64 {
    service.pair.target.stop();
    service.pair.from.push("app", "v1", &Image::oci("after"));
    service.daemon.until_metric(LAG, APP, |lag| lag > 1.0)
}

/// The hexadecimal digits of an image's digest that people are shown.
fn shown(image: &Image) -> String {
    image.digest()["sha256:".len()..][..12].to_owned()
}

#[test]
fn moved_tag_lags_until_copied() {
    let mut service = in_sync();
    let before = service.daemon.metrics();
    let lag = fall_behind(&mut service);
    let target = service.pair.target.host().to_owned();
    let labels = [("mirror", "app"), ("target", target.as_str())];
    service.daemon.until_metric(LAG, &labels, |now| now > lag);
    let status = service.daemon.status();
    assert_eq!(
        status["mirrors"][0]["behind"].as_array().unwrap().len(),
        1,
        "{status:#}"
    );
    service.pair.target.start_again();
    service.daemon.until_metric(LAG, &labels, |lag| lag == 0.0);
    service.pair.assert_mirrored(&[("app", "v1")]);
    for (name, labels) in [
        ("transship_propagation_seconds_count", &[][..]),
        ("transship_tags_copied_total", APP),
    ] {
        let was = before.find(name, labels).unwrap();
        service
            .daemon
            .until_metric(name, labels, |now| now == was + 1.0);
    }
    let in_sync = [("mirror", "app"), ("state", "synced")];
    service
        .daemon
        .until_metric("transship_tags", &in_sync, |tags| tags == 1.0);
}

#[test]
fn report_names_moved_tag_with_digests() {
    let service = in_sync();
    let (before, after) = (Image::oci("before"), Image::oci("after"));
    service.pair.from.push("app", "v1", &after);
    let copied = "transship_tags_copied_total";
    service
        .daemon
        .until_metric(copied, APP, |copied| copied == 2.0);
    let words = ["app", "v1", &shown(&before), &shown(&after)];
    let finished = service.pair.transship.run(&["report"]).expect_code(0);
    let finished = finished.expect_stdout(&words);
    let has_moved = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(finished.stdout.lines().any(has_moved), "{finished}");
    let report = service
        .pair
        .transship
        .run(&["--json", "report"])
        .expect_code(0)
        .json();
    assert_eq!(report["counts"]["moved"], 1, "{report:#}");
}

#[test]
fn prometheus_sees_lag_come_and_go() {
    let mut service = in_sync();
    let prometheus = Prometheus::scraping(service.daemon.address());
    prometheus.until("transship_sync_lag_seconds{mirror=\"app\"} == 0");
    fall_behind(&mut service);
    prometheus.until("transship_sync_lag_seconds{mirror=\"app\"} > 0");
    service.pair.target.start_again();
    prometheus.until("transship_sync_lag_seconds{mirror=\"app\"} == 0");
    assert!(
        prometheus
            .query("max_over_time(transship_sync_lag_seconds[10m])")
            .unwrap()
            > 0.0
    );
    assert_eq!(prometheus.query("up"), Some(1.0));
}

#[test]
fn lag_survives_a_kill() {
    let mut service = in_sync();
    fall_behind(&mut service);
    let Service { mut pair, daemon } = service;
    daemon.kill();
    pair.transship.let_the_lag_be_an_hour_older();
    let daemon = Daemon::start(&pair.transship);
    daemon.until_metric(LAG, APP, |lag| lag > 3600.0);
    pair.target.start_again();
    daemon.until_metric(LAG, APP, |lag| lag == 0.0);
    pair.assert_mirrored(&[("app", "v1")]);
}

#[test]
fn catches_up_missed_runs_once() {
    let weekly = serving("", &[mirror_of("late"), mirror_of("early")].concat())
        .replace("*/2 * * * * *", "@weekly");
    let Service { pair, daemon } = Service::in_sync(&weekly, |pair: &Pair| {
        pair.from.push("late", "v1", &Image::oci("late"));
        pair.from.push("early", "v1", &Image::oci("early"));
    });
    daemon.kill();
    let (sixty_days, late) = (60 * 24 * 3600, "mirror = 'late'");
    let shift =
        format!("started_at = started_at - {sixty_days}, finished_at = finished_at - {sixty_days}");
    let since_then = pair.transship.ask_store(&format!(
        "UPDATE runs SET {shift} WHERE {late}; SELECT changes()"
    ));
    assert_eq!(since_then, "1");
    let daemon = Daemon::start(&pair.transship);
    let ended = "SELECT mirror, count(*) FROM runs WHERE finished_at IS NOT NULL GROUP BY mirror ORDER BY mirror";
    daemon.until_true("the missed run", |_| {
        pair.transship.ask_store(ended) == "early|1\nlate|2"
    });
}
