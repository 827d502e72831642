//! The dashboard and the alerts, on a real Prometheus that scrapes a daemon which syncs real registries.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::programs::daemon::{Service, mirror_of, serving};
use crate::support::programs::prometheus::Prometheus;
use crate::support::registries::corpus::Image;
use crate::support::{PATIENCE, wait_until};

#[test]
fn dashboard_expressions_answer() {
    let service = Service::in_sync(&serving("", &mirror_of("app")), |pair| {
        pair.from.push("app", "v1", &Image::oci("one"));
    });
    let prometheus = Prometheus::scraping(service.daemon.address());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-dashboard");
    let check = || {
        let mut command = Command::new(&script);
        command
            .args(["--live", &prometheus.url()])
            .output()
            .unwrap()
    };
    // Rates need more than one scrape.
    let answered = wait_until(PATIENCE, Duration::from_millis(500), || {
        check().status.success().then_some(())
    });
    assert!(
        answered.is_some(),
        "{}",
        String::from_utf8_lossy(&check().stderr)
    );
}
