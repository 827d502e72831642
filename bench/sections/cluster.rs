//! Workers that share the repositories of one mirror over a PostgreSQL, each with a link of its own to the target.

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use transship_postgres::Server;

use super::describe;
use crate::options::Options;
use crate::process;
use crate::stage::corpus::Corpus;
use crate::stage::hand::Hand;
use crate::support::net::link::Link;
use crate::support::registries::registry::Registry;
use crate::support::registries::requests::{Request, count};
use crate::table::report::Report;
use crate::tools::Tool;

const MIB: f64 = 1_048_576.0;
/// The target's name: what is on this machine is reached without a proxy.
const TARGET: &str = "target.example";
const DATABASE: &str = "postgres";
/// How long the workers are let alone between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// PostgreSQL publishes its counts a second later.
const COUNTED: Duration = Duration::from_millis(1500);

const HEAD: &str = "\
| workers | case | seconds | ÷ one worker | CPU s a worker | MiB to target | sent ÷ new | requests to source | requests to target \
| runs | tags written | transactions | CPU s of PostgreSQL | tags right |
| --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

/// A filled source.
struct Upstream {
    registry: Registry,
    tags: Vec<(String, String)>,
    repositories: Vec<String>,
    bytes: u64,
    runtime: Runtime,
}

impl Upstream {
    fn fill(options: &Options) -> Self {
        let (registry, runtime) = (Registry::start(), Runtime::new().unwrap());
        let fill = Corpus::fill(options.shared_shape(), Hand::of(&registry));
        let (corpus, bytes) = runtime.block_on(fill);
        Self {
            tags: corpus.tags(),
            repositories: corpus.repositories(),
            registry,
            bytes,
            runtime,
        }
    }

    /// `mirror.toml` of a worker, or of one machine where there is no database.
    fn mirror_toml(&self, cluster: &str) -> String {
        let source = self.registry.host();
        let from = self.repositories.iter();
        let from: String = from
            .map(|name| format!("    \"{source}/{name}\",\n"))
            .collect();
        format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n{cluster}\n\
             [registries.\"{source}\"]\nplain_http = true\n[registries.\"{TARGET}\"]\nplain_http = true\n\
             [defaults]\ntarget = \"{TARGET}/mirror\"\npath = \"{{name}}\"\nschedule = \"@yearly\"\njitter = \"0s\"\n\
             [[mirror]]\nname = \"bench\"\ntags = \"*\"\nfrom = [\n{from}]\n"
        )
    }
}

/// A process with a folder and a link of its own.
struct LinkedWorker {
    folder: TempDir,
    link: Link,
    child: Option<Child>,
}

impl LinkedWorker {
    fn new(text: &str, target: &Registry, options: &Options) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("mirror.toml"), text).unwrap();
        Self {
            folder,
            link: Link::to(target.host(), options.uplink()),
            child: None,
        }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = Tool::Transship.in_folder(self.folder.path());
        command
            .args(arguments)
            .env("http_proxy", format!("http://{}", self.link.host()))
            .env("no_proxy", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn serve(&mut self) {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let child = self.command(&["serve"]).stderr(log).spawn();
        self.child = Some(child.unwrap());
    }

    fn processor_seconds(&self) -> f64 {
        let child = self.child.as_ref();
        child.map_or(0.0, |child| process::now(child).processor_seconds)
    }
}

impl Drop for LinkedWorker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop((child.kill(), child.wait()));
        }
    }
}

/// Workers, their database, and an empty target.
struct ClusterStage<'a> {
    upstream: &'a Upstream,
    target: Registry,
    server: Server,
    workers: Vec<LinkedWorker>,
    limit: Duration,
    /// Questions of the benchmark to the database.
    asked: u64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent_bytes: u64,
    worker_seconds: f64,
    transactions: u64,
    database_seconds: f64,
}

impl<'a> ClusterStage<'a> {
    fn with(workers: usize, upstream: &'a Upstream, options: &Options) -> Self {
        let (target, server) = (Registry::start(), Server::start());
        let url = server.url(DATABASE);
        let worker = |number| {
            let cluster = format!("[cluster]\nname = \"w{number}\"\ndatabase = \"{url}\"\n");
            LinkedWorker::new(&upstream.mirror_toml(&cluster), &target, options)
        };
        let workers: Vec<_> = (0..workers).map(worker).collect();
        let mut publish = workers[0].command(&["cluster", "apply"]);
        // It warns of the URL in the file.
        let published = publish.stderr(Stdio::null()).status();
        assert!(published.unwrap().success(), "cluster apply");
        Self {
            upstream,
            target,
            server,
            workers,
            limit: options.limit(),
            asked: 0,
        }
    }

    fn ask(&mut self, sql: &str) -> u64 {
        self.asked += 1;
        self.server.ask(DATABASE, sql).parse().unwrap_or_default()
    }

    fn counts(&mut self) -> Counts {
        thread::sleep(COUNTED);
        let committed =
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let committed = self.ask(committed);
        Counts {
            sent_bytes: self
                .workers
                .iter()
                .map(|worker| worker.link.crossed().up)
                .sum(),
            worker_seconds: self
                .workers
                .iter()
                .map(LinkedWorker::processor_seconds)
                .sum(),
            // The last question was not counted yet.
            transactions: committed.saturating_sub(self.asked - 1),
            database_seconds: tree_seconds(self.server.pid()),
        }
    }

    /// Waits until each repository was run so often. Returns the seconds, or `None` if that takes too long.
    fn until_run(&mut self, times: usize, began: Instant) -> Option<f64> {
        let runs = (times * self.upstream.repositories.len()) as u64;
        while self.ask("SELECT count(*) FROM transship.runs") < runs {
            if began.elapsed() > self.limit {
                return None;
            }
            thread::sleep(PAUSE);
        }
        Some(began.elapsed().as_secs_f64())
    }

    /// Lets the workers do something, and reports it.
    fn measure(
        &mut self,
        case: &str,
        times: usize,
        of_one: Option<f64>,
        report: &mut Report,
    ) -> f64 {
        drop((
            self.upstream.registry.new_requests(),
            self.target.new_requests(),
        ));
        let before = self.counts();
        let runs_before = self.ask("SELECT count(*) FROM transship.runs");
        let began = Instant::now();
        match times {
            1 => self.workers.iter_mut().for_each(LinkedWorker::serve),
            _ => drop(self.ask("UPDATE transship.units SET due_at = transship.clock()")),
        }
        let seconds = self.until_run(times, began);
        let after = self.counts();
        let runs = self.ask("SELECT count(*) FROM transship.runs") - runs_before;
        let (asked, sent) = (
            self.upstream.registry.new_requests(),
            self.target.new_requests(),
        );
        let tags = &self.upstream.tags;
        let (from, to) = (Hand::of(&self.upstream.registry), Hand::of(&self.target));
        let right = self.upstream.runtime.block_on(to.count_same(&from, tags));
        if seconds.is_none() || right != tags.len() {
            report.fail(&format!("{} workers, {case}", self.workers.len()));
        }
        let seconds = seconds.unwrap_or(self.limit.as_secs_f64());
        let sent_bytes = after.sent_bytes - before.sent_bytes;
        let new_bytes = if times == 1 { self.upstream.bytes } else { 0 };
        report.say(&format!(
            "| {} | {case} | {seconds:.1} | {} | {:.2} | {:.1} | {} | {} | {} | {runs} | {} | {} | {:.2} | {right} |\n",
            self.workers.len(),
            of_one.map_or_else(|| "-".to_owned(), |one| format!("{:.2}", seconds / one)),
            (after.worker_seconds - before.worker_seconds) / self.workers.len() as f64,
            sent_bytes as f64 / MIB,
            match new_bytes {
                0 => "-".to_owned(),
                new => format!("{:.2}", sent_bytes as f64 / new as f64),
            },
            asked.len(),
            sent.len(),
            count(&sent, Request::is_manifest_put),
            after.transactions - before.transactions,
            after.database_seconds - before.database_seconds,
        ));
        seconds
    }
}

/// Processor time of a process, of the children that it waited for, and of those that run.
fn tree_seconds(pid: u32) -> f64 {
    let own = process::seconds_of(pid).unwrap_or_default();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    own + children.filter_map(process::seconds_of).sum::<f64>()
}

/// One machine without a database, over the same link.
fn alone(upstream: &Upstream, options: &Options, report: &mut Report) -> f64 {
    let target = Registry::start();
    let worker = LinkedWorker::new(&upstream.mirror_toml(""), &target, options);
    drop(upstream.registry.new_requests());
    let log = worker.folder.path().join("log");
    let usage = process::run(worker.command(&["sync"]), &log, options.limit(), || false);
    let (from, to) = (Hand::of(&upstream.registry), Hand::of(&target));
    let right = upstream
        .runtime
        .block_on(to.count_same(&from, &upstream.tags));
    if right != upstream.tags.len() {
        report.fail("one machine without a database");
    }
    let (asked, sent) = (upstream.registry.new_requests(), target.new_requests());
    let up = worker.link.crossed().up;
    report.say(&format!(
        "| `sync` without a database | cold | {:.1} | - | {:.2} | {:.1} | {:.2} | {} | {} | - | {} | - | - | {right} |\n",
        usage.seconds,
        usage.processor_seconds,
        up as f64 / MIB,
        up as f64 / upstream.bytes as f64,
        asked.len(),
        sent.len(),
        count(&sent, Request::is_manifest_put),
    ));
    usage.seconds
}

/// More and more workers.
pub fn cluster(options: &Options, report: &mut Report) {
    let words = format!(
        "{} Each worker reaches the target over a link of its own, of {}; the source is near. All workers, both registries \
         and PostgreSQL are on this machine. Seconds are from the start of the workers to the end of the last run; the \
         second case is a check of everything.",
        describe(options.shared_shape()),
        options.describe_uplink()
    );
    report.open("Several workers", &format!("{words}\n\n{HEAD}"));
    let upstream = Upstream::fill(options);
    alone(&upstream, options, report);
    let mut of_one = None;
    for workers in [1, 2, 3, 4] {
        let mut stage = ClusterStage::with(workers, &upstream, options);
        let (cold, unchanged) = match of_one {
            None => (None, None),
            Some((cold, unchanged)) => (Some(cold), Some(unchanged)),
        };
        let cold = stage.measure("cold", 1, cold, report);
        let unchanged = stage.measure("unchanged", 2, unchanged, report);
        of_one.get_or_insert((cold, unchanged));
    }
}
