//! The daemon as a process: how it starts, what it tells its supervisor, and how it ends.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::net::held::Held;
use crate::support::programs::daemon::{Daemon, Service, mirror_of, serving};
use crate::support::programs::pair::Pair;
use crate::support::programs::supervisor::Supervisor;
use crate::support::programs::transship::Transship;
use crate::support::registries::corpus::Image;
use crate::support::wait_for;

fn app() -> String {
    serving("", &mirror_of("app"))
}

/// A pair whose daemon was not started yet, and who hears of it.
fn supervised() -> (Pair, Supervisor) {
    let mut pair = Pair::configured(&app());
    pair.from.push("app", "v1", &Image::oci("app"));
    let supervisor = Supervisor::of(&mut pair.transship);
    (pair, supervisor)
}

#[test]
fn idle_daemon_stops_cleanly() {
    for signal in ["-TERM", "-INT"] {
        let mut service = Service::in_sync(&app(), |pair| {
            pair.from.push("app", "v1", &Image::oci("app"));
        });
        service.daemon.signal(signal);
        assert_eq!(
            service.daemon.wait().code(),
            Some(0),
            "{}",
            service.daemon.log()
        );
    }
}

#[test]
fn drains_transfers_in_flight() {
    let mut held = Held::with("", "");
    let mut supervisor = Supervisor::of(&mut held.transship);
    let mut daemon = held.start();
    daemon.signal("-TERM");
    supervisor.expect(&daemon, "STOPPING=1");
    held.open();
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(held.has_arrived(), "{}", daemon.log());
}

#[test]
fn status_shows_running_and_unfinished_runs() {
    let held = Held::with("", "");
    let daemon = held.start();
    let last = || held.transship.status()["mirrors"][0]["last_result"].clone();
    daemon.until_true("the run to be told as running", |_| last() == "running");
    let said = held.transship.run(&["status"]).expect_code(0);
    said.expect_stdout(&["ago): running"]);
    daemon.kill();
    assert_eq!(last(), "unfinished");
}

#[test]
fn manual_sync_shows_as_running() {
    let held = Held::with("", "");
    let last = || held.transship.status()["mirrors"][0]["last_result"].clone();
    let mut sync = held.transship.start(&["sync"]);
    wait_for("the run to be told as running", || {
        (last() == "running").then_some(())
    });
    assert!(sync.kill_after(Duration::ZERO));
    assert_eq!(last(), "unfinished");
}

#[test]
fn transfer_past_drain_resumes_later() {
    let held = Held::with("[state]\ndrain = \"1s\"\n", "");
    let mut daemon = held.start();
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert!(!held.has_arrived());
    held.open();
    let daemon = Daemon::start(&held.transship);
    daemon.until_true("the tag to be mirrored", |_| {
        held.target.client().tags("mirror/app") == ["v1"]
    });
    assert!(held.has_arrived());
}

#[test]
fn second_daemon_is_refused() {
    let service = Service::in_sync(&app(), |pair| {
        pair.from.push("app", "v1", &Image::oci("app"));
    });
    let finished = service.pair.transship.run(&["serve"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    finished.expect_stderr(&["transship.db", &service.daemon.pid().to_string()]);
    assert_eq!(service.daemon.get("/healthz").status, 200);
}

#[test]
fn killed_daemon_leaves_no_lock() {
    let Service { pair, daemon } = Service::in_sync(&app(), |pair| {
        pair.from.push("app", "v1", &Image::oci("app"));
    });
    daemon.kill();
    assert_eq!(Daemon::start(&pair.transship).get("/readyz").status, 200);
}

#[test]
fn invalid_config_prevents_startup() {
    let transship = Transship::new(&app().replace("tags =", "tgas ="));
    transship
        .run(&["serve"])
        .expect_code(78)
        .expect_stderr(&["mirror.toml", "tgas", "tags"]);
}

#[test]
fn names_the_address_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let pair = Pair::configured(&app().replace("127.0.0.1:0", &address));
    let finished = pair.transship.run(&["serve"]);
    assert_ne!(finished.code, Some(0), "{finished}");
    let finished = finished.expect_stderr(&[&address, "in use"]);
    assert!(!finished.stderr.contains("panicked"), "{finished}");
}

#[test]
fn notifies_systemd_of_each_state() {
    let (pair, mut supervisor) = supervised();
    let mut daemon = Daemon::start(&pair.transship);
    supervisor.expect(&daemon, "READY=1");
    let status = supervisor.expect_where(&daemon, "STATUS=", |line| {
        line.starts_with("STATUS=") && line.contains("next")
    });
    assert!(status.contains("of 1"), "{status}");
    daemon.signal("-HUP");
    let reloading = supervisor.expect(&daemon, "RELOADING=1");
    let moment = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(moment.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    supervisor.expect(&daemon, "READY=1");
    daemon.signal("-TERM");
    supervisor.expect(&daemon, "STOPPING=1");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
}

#[test]
fn notifies_systemd_after_refused_reload() {
    let (pair, mut supervisor) = supervised();
    let daemon = Daemon::start(&pair.transship);
    supervisor.expect(&daemon, "READY=1");
    pair.transship.write("mirror.toml", "this = is not toml [");
    daemon.until_metric("transship_config_last_reload_successful", &[], |well| {
        well == 0.0
    });
    daemon.signal("-HUP");
    supervisor.expect(&daemon, "RELOADING=1");
    supervisor.expect(&daemon, "READY=1");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn feeds_the_watchdog() {
    let (mut pair, mut supervisor) = supervised();
    pair.transship.set_env("WATCHDOG_USEC", "3000000");
    let daemon = Daemon::start(&pair.transship);
    for _ in 0..3 {
        supervisor.expect(&daemon, "WATCHDOG=1");
    }
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn goes_on_beside_a_deaf_service_manager() {
    let mut pair = Pair::configured(&app());
    pair.from.push("app", "v1", &Image::oci("app"));
    let _deaf = Supervisor::deaf(&mut pair.transship);
    let mut daemon = Daemon::start(&pair.transship);
    daemon.until_true("the image to be mirrored", |_| {
        pair.to.tags("mirror/app") == ["v1"]
    });
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
}
