//! What workers share: each unit is run once, whoever runs it.

use crate::cluster::{DUE, ONCE, Workers};
use crate::support::programs::daemon::{Daemon, EVERY_OTHER_SECOND};
use crate::support::programs::pair::all_tags_of;
use crate::support::registries::client::assert_mirrored;
use crate::support::registries::corpus::{Image, layer};
use crate::support::registries::fake::Fake;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::count;

/// More units than two workers run at a time.
const REPOSITORIES: usize = 40;
/// Late enough that every worker runs when the last unit is due.
const SPREAD: &str = "schedule = \"0 0 1 1 *\"\njitter = \"5s\"\n";

fn names() -> Vec<String> {
    (0..REPOSITORIES)
        .map(|number| format!("app-{number}"))
        .collect()
}

/// A source with two tags in each repository, and workers that mirror all of them.
fn stage(keys: &str) -> (Fake, Fake, Workers) {
    let (source, target) = (Fake::start(), Fake::start());
    let mut mirrors = String::new();
    for name in names() {
        for tag in ["v1", "v2"] {
            source
                .client()
                .push(&name, tag, &Image::oci(&format!("{name} {tag}")));
        }
        mirrors.push_str(&all_tags_of(&name));
    }
    let workers = Workers::between(source.host(), target.host(), keys, &mirrors);
    (source, target, workers)
}

/// Waits until every unit was run once.
#[track_caller]
fn until_all_are_run(workers: &Workers, by: &Daemon) {
    let runs = || workers.postgres.ask("SELECT count(*) FROM transship.runs");
    by.until_true("every unit to be run", |_| {
        runs() == REPOSITORIES.to_string()
    });
}

#[test]
fn three_workers_run_each_unit_once() {
    let (source, target, workers) = stage(SPREAD);
    workers.publish();
    let running = ["a", "b", "c"].map(|name| workers.start(name));
    until_all_are_run(&workers, &running[0].1);
    for name in names() {
        for tag in ["v1", "v2"] {
            let to = format!("mirror/{name}");
            assert_mirrored(&source.client(), &name, &target.client(), &to, tag);
        }
    }
    let requests = target.requests();
    assert_eq!(count(&requests, |r| r.is_manifest_put()), 2 * REPOSITORIES);
    let lists = count(&source.requests(), |r| r.is_tag_list());
    assert_eq!(lists, REPOSITORIES, "a source was compared twice");
    let shared = "SELECT count(DISTINCT worker) FROM transship.runs";
    assert_ne!(workers.postgres.ask(shared), "1", "one worker ran all");
}

#[test]
fn nothing_runs_before_it_is_published() {
    let (_source, target, workers) = stage(ONCE);
    let (worker, daemon) = workers.start("a");
    daemon.until_true("the worker to register", |daemon| {
        daemon.log().contains("registered as worker a")
    });
    let status = worker.run(&["cluster", "status"]).expect_code(0);
    status.expect_stdout(&["nothing is published", "cluster apply"]);
    assert!(target.requests().is_empty());
    workers.publish();
    daemon.until_true("the mirrors to run", |_| !target.requests().is_empty());
}

#[test]
fn drained_worker_takes_nothing_more() {
    let (_source, _target, workers) = stage(ONCE);
    workers.publish();
    let (worker, daemon) = workers.start("a");
    until_all_are_run(&workers, &daemon);
    worker.run(&["cluster", "drain", "a"]).expect_code(0);
    let wrong = worker.run(&["cluster", "drain", "aa"]).expect_code(64);
    wrong.expect_stderr(&["did you mean `a`"]);
    workers.postgres.ask(DUE);
    let (_other, other) = workers.start("b");
    let runs = || {
        let by = "SELECT worker, count(*) FROM transship.runs GROUP BY worker ORDER BY worker";
        workers.postgres.ask(by)
    };
    let all = format!("a|{REPOSITORIES}\nb|{REPOSITORIES}");
    other.until_true("the other worker to run all", |_| runs() == all);
}

#[test]
fn worker_that_ends_gives_its_lease_back() {
    let (_source, _target, workers) = stage(ONCE);
    let (_worker, mut daemon) = workers.start("a");
    let live = "SELECT count(*) FROM transship.workers WHERE lease_until > now()";
    daemon.until_true("the worker to register", |_| {
        workers.postgres.ask(live) == "1"
    });
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    assert_eq!(workers.postgres.ask(live), "0", "{}", daemon.log());
}

#[test]
fn pages_and_metrics_show_the_mirrors_of_all() {
    let (_source, _target, workers) = stage(ONCE);
    workers.publish();
    let (_first, first) = workers.start("a");
    until_all_are_run(&workers, &first);
    // One that ran nothing itself.
    let (_worker, daemon) = workers.start("b");
    daemon.until_true("every mirror to be in sync", |daemon| {
        let status = daemon.status();
        let mirrors = status["mirrors"].as_array().unwrap();
        let mut states = mirrors.iter().map(|mirror| &mirror["state"]);
        mirrors.len() == REPOSITORIES && states.all(|state| state == "in sync")
    });
    let live = [("worker", "b"), ("egress", "b"), ("state", "live")];
    daemon.until_metric("transship_workers", &live, |workers| workers == 2.0);
    let left = daemon.metric("transship_lease_left_seconds", &[]);
    assert!(left > 0.0, "{left}");
}

#[test]
fn found_repositories_are_units() {
    let (source, target) = (Registry::start(), Fake::start());
    let push = |name: &str| source.client().push(name, "v1", &Image::oci(name));
    push("team/one");
    push("team/two");
    let mirror = "\n[[mirror]]\nname = \"team\"\nfrom = \"SOURCE/team/*\"\ntags = \"*\"\n";
    let workers = Workers::between(source.host(), target.host(), EVERY_OTHER_SECOND, mirror);
    workers.publish();
    let (_worker, daemon) = workers.start("a");
    let is_mirrored = |name: &str| !target.client().tags(&format!("mirror/{name}")).is_empty();
    daemon.until_true("both to be mirrored", |_| {
        is_mirrored("team/one") && is_mirrored("team/two")
    });
    push("team/three");
    daemon.until_true("the new one to be mirrored", |_| is_mirrored("team/three"));
    let keys = workers
        .postgres
        .ask("SELECT key FROM transship.units ORDER BY key");
    assert_eq!(keys.lines().count(), 4, "{keys}");
}

#[test]
fn workers_of_one_egress_share_a_budget() {
    let (source, target) = (Fake::start(), Fake::start());
    let mut mirrors = String::new();
    for name in ["one", "two", "three", "four"] {
        let image = Image::oci_with(name, vec![layer(name, 95_000)]);
        source.client().push(name, "v1", &image);
        mirrors.push_str(&all_tags_of(name));
    }
    let workers = Workers::between(source.host(), target.host(), ONCE, &mirrors);
    let limited = |name: &str| {
        let worker = workers.worker(name);
        let text = std::fs::read_to_string(worker.path().join("mirror.toml")).unwrap();
        let egress = format!("name = \"{name}\"\negress = \"hk\"");
        let text = text.replace(&format!("name = \"{name}\""), &egress);
        let budget = "[limits]\ntraffic = { bytes = \"200 kB\", counts = \"sent\" }\n";
        worker.write("mirror.toml", &format!("{budget}{text}"));
        let daemon = Daemon::start(&worker);
        (worker, daemon)
    };
    workers.publish();
    let (_one, first) = limited("a");
    let (_two, _second) = limited("b");
    let runs = || workers.postgres.ask("SELECT count(*) FROM transship.runs");
    first.until_true("every unit to be run", |_| runs() == "4");
    let used = workers
        .postgres
        .ask("SELECT egress, drawn BETWEEN 150000 AND 200000 FROM transship.budgets");
    assert_eq!(used, "hk|t");
    let names = ["one", "two", "three", "four"];
    let mirrored = names.map(|name| target.client().tags(&format!("mirror/{name}")).len());
    assert_eq!(mirrored.iter().sum::<usize>(), 2, "{mirrored:?}");
    first.until_true("the traffic of both to count", |first| {
        let used = first
            .metrics()
            .find("transship_traffic_budget_used_bytes", &[]);
        used.is_some_and(|used| used >= 150_000.0)
    });
}
