//! A registry that is down, with many mirrors behind it: one alarm, and one recovery.

use std::time::Duration;

use serde_json::Value;

use crate::daemon::faults::Ops;
use crate::support::programs::daemon::{Daemon, Service, mirror_of};
use crate::support::programs::pair::mirror_toml;
use crate::support::registries::corpus::Image;
use crate::support::{PAUSE, wait_until};

const MIRRORS: usize = 120;
/// Every mirror runs four times a minute, and so fails three times within it.
const SCHEDULE: &str = "schedule = \"*/15 * * * * *\"\njitter = \"5s\"\n";
/// Three runs of all mirrors, the time for which alarms are gathered, and a slow machine.
const LONG: Duration = Duration::from_secs(400);

#[track_caller]
fn until(daemon: &Daemon, what: &str, mut condition: impl FnMut() -> bool) {
    let found = wait_until(LONG, PAUSE, || condition().then_some(()));
    assert!(
        found.is_some(),
        "waited in vain for {what}\n{}",
        daemon.log()
    );
}

#[test]
fn dead_registry_is_one_alarm() {
    let ops = Ops::start();
    let names: Vec<String> = (0..MIRRORS).map(|number| format!("m{number}")).collect();
    let mirrors: String = names.iter().map(|name| mirror_of(name)).collect();
    let entries = mirror_toml(&format!("{SCHEDULE}{mirrors}"));
    let top = format!("{}[http]\nlisten = \"127.0.0.1:0\"\n", ops.channel());
    let mut service = Service::in_sync(&format!("{top}{entries}"), |pair| {
        let image = Image::without_layers("shared");
        for name in &names {
            pair.from.push(name, "v1", &image);
        }
    });
    service.pair.source.stop();
    let daemon = &service.daemon;
    until(daemon, "an alarm message", || !ops.messages().0.is_empty());
    let host = service.pair.source.host().to_owned();
    until(daemon, "all mirrors to be counted", || {
        let words = format!("{host} cannot be reached: {MIRRORS} mirrors");
        let alarms = daemon.alarms("unreachable");
        alarms.iter().any(|alarm| alarm["message"] == words)
    });
    let page = daemon.get("/").body;
    let (_, notice) = page.split_once("id=\"alarms\"").unwrap();
    let (notice, _) = notice.split_once("</section>").unwrap();
    assert!(notice.matches("<li>").count() <= 5, "{notice}");
    service.pair.source.start_again();
    let daemon = &service.daemon;
    until(daemon, "the recovery", || {
        let is_over = daemon.status()["alarms"] == Value::Array(Vec::new());
        is_over && !ops.messages().1.is_empty()
    });
    let (raised, recovered) = ops.messages();
    assert!(raised.len() <= 3, "{raised:#?}");
    assert_eq!(recovered.len(), 1, "{recovered:#?}");
}
