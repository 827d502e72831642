//! Many mirrors and tags in one daemon, for as long as it is given: nothing grows, and every mirror has its turn.
//!
//! `TRANSSHIP_LOAD=full` makes it 500 mirrors of 50,000 tags in all, `TRANSSHIP_LOAD_ROUNDS` so many rounds, and
//! `--nocapture` shows what was seen; `TRANSSHIP_BINARY` names a release build.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;

use crate::support::programs::daemon::{Daemon, mirror_of, serving};
use crate::support::programs::many_mirrors::Plenty;
use crate::support::programs::pair::fill_in;
use crate::support::programs::process_stats::Vitals;
use crate::support::programs::transship::Transship;
use crate::support::wait_until;

const SYNCS: &str = "transship_syncs_total";
const TAGS: usize = 100;
const DAY: i64 = 24 * 3600;

/// How much of it there is.
struct Size {
    mirrors: usize,
    schedule: &'static str,
    rounds: usize,
    reloads: usize,
    pause: Duration,
}

impl Size {
    fn wanted() -> Self {
        let is_full = std::env::var("TRANSSHIP_LOAD").is_ok_and(|size| size == "full");
        let rounds = std::env::var("TRANSSHIP_LOAD_ROUNDS").ok();
        let rounds_or = |usual| rounds.map_or(usual, |rounds| rounds.parse().unwrap());
        match is_full {
            true => Self {
                mirrors: 500,
                schedule: "*/20 * * * * *",
                rounds: rounds_or(6),
                reloads: 3,
                pause: Duration::from_secs(1),
            },
            false => Self {
                mirrors: 25,
                schedule: "*/2 * * * * *",
                rounds: rounds_or(2),
                reloads: 1,
                pause: Duration::from_millis(200),
            },
        }
    }
}

fn name(number: usize) -> String {
    format!("load-{number:04}")
}

fn names(numbers: Range<usize>) -> BTreeSet<String> {
    numbers.map(name).collect()
}

/// Two registries, the binary, and how much it has to do.
struct Load {
    size: Size,
    source: Plenty,
    target: Plenty,
    transship: Transship,
}

impl Load {
    fn new() -> Self {
        let load = Self {
            size: Size::wanted(),
            source: Plenty::start(TAGS),
            target: Plenty::start(0),
            transship: Transship::without_config(),
        };
        load.write(0..load.size.mirrors);
        load
    }

    /// Writes `mirror.toml` with the mirrors of these numbers.
    fn write(&self, numbers: Range<usize>) {
        let entries: String = numbers.map(|number| mirror_of(&name(number))).collect();
        let text = serving("", &entries).replace("*/2 * * * * *", self.size.schedule);
        let text = fill_in(&text, self.source.host(), self.target.host());
        self.transship.write("mirror.toml", &text);
    }

    /// Waits as long as a round of everything may take.
    #[track_caller]
    fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        let mut condition = condition;
        let limit = Duration::from_secs(600);
        let found = wait_until(limit, self.size.pause, || condition().then_some(()));
        assert!(found.is_some(), "waited in vain for {what}");
    }

    /// Waits until each of the mirrors has run so often again, well; the least that was held meanwhile.
    #[track_caller]
    fn rounds(&self, daemon: &Daemon, numbers: Range<usize>, rounds: usize) -> Vitals {
        let mirrors = names(numbers);
        let runs = || {
            let metrics = daemon.metrics();
            let runs = mirrors.iter().map(|mirror| {
                let labels = [("mirror", mirror.as_str()), ("result", "ok")];
                metrics.find(SYNCS, &labels).unwrap_or_default()
            });
            runs.collect::<Vec<f64>>()
        };
        let before = runs();
        let mut least = Vitals::of(daemon.pid());
        self.until("every mirror to run again", || {
            least = least.least(Vitals::of(daemon.pid()));
            let now = runs();
            let mut pairs = now.iter().zip(&before);
            pairs.all(|(now, before)| *now >= before + rounds as f64)
        });
        least
    }

    /// Reads other mirrors than before again and again, the first ones at last; the least that is held after it.
    #[track_caller]
    fn reload_often(&self, daemon: &Daemon) -> Vitals {
        let (mirrors, half) = (self.size.mirrors, self.size.mirrors / 2);
        for reload in 1..=self.size.reloads {
            let numbers = match reload % 2 {
                0 => 0..mirrors,
                _ => half..half + mirrors,
            };
            self.write(numbers.clone());
            daemon.signal("-HUP");
            let wanted = names(numbers);
            self.until("exactly the series of the mirrors", || {
                daemon.metrics().values("mirror") == wanted
            });
        }
        self.write(0..mirrors);
        daemon.signal("-HUP");
        self.rounds(daemon, 0..mirrors, 1)
    }

    /// The rows of `runs`, and the bytes of the store and of its log.
    fn store(&self) -> (u64, u64, u64) {
        let runs = self.transship.ask_store("SELECT count(*) FROM runs");
        let bytes = |name: &str| {
            let file = std::fs::metadata(self.transship.path().join(name));
            file.map_or(0, |file| file.len())
        };
        let bytes = (bytes("transship.db"), bytes("transship.db-wal"));
        (runs.parse().unwrap(), bytes.0, bytes.1)
    }

    /// The longest that any mirror waited from one run to the next, in seconds.
    fn longest_gap(&self) -> String {
        self.transship.ask_store(
            "SELECT max(gap) FROM (SELECT started_at - lag(started_at) OVER
                 (PARTITION BY mirror ORDER BY started_at) AS gap FROM runs)",
        )
    }

    fn tell(&self, when: &str, vitals: Vitals) {
        let ((runs, bytes, log), gap) = (self.store(), self.longest_gap());
        let line = format!(
            "{when}: {vitals}; {runs} runs, at most {gap} s from one to the next; \
             store {bytes} B and log {log} B\n"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn memory_is_level_under_load() {
    let load = Load::new();
    let all = 0..load.size.mirrors;
    let daemon = Daemon::start(&load.transship);
    load.tell("start", Vitals::of(daemon.pid()));
    load.rounds(&daemon, all.clone(), 1);
    assert_eq!(load.target.written_tags(), load.size.mirrors * TAGS);
    load.tell("all copied", Vitals::of(daemon.pid()));
    let warm = load.rounds(&daemon, all.clone(), 2);
    load.tell("warm", warm);
    load.rounds(&daemon, all.clone(), load.size.rounds);
    let later = load.rounds(&daemon, all, 1);
    load.tell("later", later);
    let changes = load.transship.ask_store("SELECT count(*) FROM changes");
    assert_eq!(changes, (load.size.mirrors * TAGS).to_string());
    later.assert_no_growth_since(warm, load.size.mirrors);
}

#[test]
fn reloads_under_load_follow_the_file() {
    let load = Load::new();
    let mirrors = load.size.mirrors;
    let daemon = Daemon::start(&load.transship);
    load.rounds(&daemon, 0..mirrors, 1);
    let warm = load.reload_often(&daemon);
    load.tell("reloaded", warm);
    let later = load.reload_often(&daemon);
    load.tell("reloaded again", later);
    let wanted = names(0..mirrors);
    assert_eq!(daemon.metrics().values("mirror"), wanted);
    let status = daemon.status();
    let told = status["mirrors"].as_array().unwrap().iter();
    let told: BTreeSet<_> = told
        .map(|mirror| mirror["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, wanted);
    later.assert_no_growth_since(warm, load.size.mirrors);
}

#[test]
fn retention_frees_space() {
    let load = Load::new();
    let all = 0..load.size.mirrors;
    let mut daemon = Daemon::start(&load.transship);
    load.rounds(&daemon, all.clone(), 2);
    daemon.signal("-TERM");
    daemon.wait();
    // A fortnight of a run every quarter of an hour, a hundred days ago, and a report that was missed since.
    let began = format!("CAST(strftime('%s') AS INTEGER) - {}", 100 * DAY);
    load.transship.ask_store(&format!(
        "WITH RECURSIVE past (number) AS
             (SELECT 0 UNION ALL SELECT number + 1 FROM past WHERE number < 1343)
         INSERT INTO runs (mirror, started_at, finished_at, result)
         SELECT mirror, {began} + number * 900, {began} + number * 900, 'ok'
         FROM past, (SELECT DISTINCT mirror FROM runs);
         INSERT OR REPLACE INTO reports (day, made_at, body) VALUES ('2020-01-01', {began}, '{{}}')"
    ));
    let (runs, bytes, _) = load.store();
    let daemon = Daemon::start(&load.transship);
    load.until("history to be thinned", || load.store().0 < runs / 10);
    load.rounds(&daemon, all, 1);
    let (left, later, log) = load.store();
    load.tell("thinned", Vitals::of(daemon.pid()));
    assert!(
        later <= bytes + (1 << 20),
        "{runs} runs in {bytes} B became {left} in {later} B"
    );
    assert!(log <= 32 << 20, "the log beside the store has {log} B");
}
