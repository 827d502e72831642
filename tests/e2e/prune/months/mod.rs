//! Random months of a mirror: moves, outages, edits of `mirror.toml`, lost stores and wrong clocks. After
//! each run the targets, the plan and the status are compared with what the documents promise.
//!
//! `TRANSSHIP_MODEL_SEEDS` and `TRANSSHIP_MODEL_STEPS` say how many months and how long, and
//! `TRANSSHIP_MODEL_SEED` is the first seed. `TRANSSHIP_MODEL_VERBOSE` prints every step.

mod changes;
mod entries;
mod oracle;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use self::entries::{Choice, Entry, Place, Rule, Tags};
use self::oracle::{Memory, Observed};
use self::world::{Weather, World};
use crate::support::programs::transship::mirror;

const SEEDS: u64 = 4;
const STEPS: u64 = 75;
/// Steps that are shown when one is wrong.
const SHOWN: usize = 12;

#[test]
fn random_months_agree_with_the_model() {
    let (first, seeds) = (setting("SEED", 1), setting("SEEDS", SEEDS));
    let steps = setting("STEPS", STEPS);
    let next = AtomicU64::new(first);
    let work = || {
        let mut wrong = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return wrong;
            }
            let mut months = Months::new(seed);
            match months.pass(steps) {
                Ok(()) => println!("seed {seed}: {steps} steps, {:?}", months.counts),
                Err(text) => wrong.push(text),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().unwrap());
        ended.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(format!("TRANSSHIP_MODEL_{name}"));
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// The months of one seed.
struct Months {
    seed: u64,
    step: u64,
    random: fastrand::Rng,
    world: World,
    places: Vec<Place>,
    memory: Memory,
    /// What was known when the copy of the store was made.
    old_memory: Option<Memory>,
    /// Steps until the weather is fair again.
    weather_left: u64,
    made: usize,
    trace: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
}

type Steps = Result<(), String>;

impl Drop for Months {
    /// A step that ends the test names its seed, too.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("TRANSSHIP_MODEL_SEED={} step {}", self.seed, self.step);
        }
    }
}

impl Months {
    fn new(seed: u64) -> Self {
        let entry = |name: &str, choice| Entry {
            name: name.to_owned(),
            choice,
            prune: Some(Rule {
                after_hours: 48,
                keep: 0,
            }),
        };
        let glob = |tags| Choice::Glob {
            tags,
            exclude: None,
            latest: None,
        };
        let named = || Choice::Named(vec!["latest", "v1.1.0"]);
        let place = |repository, path: &str, targets: &[usize], entries| Place {
            home: 0,
            repository,
            path: path.to_owned(),
            targets: targets.to_vec(),
            suffix: "",
            has_backup: false,
            max_share: 0.5,
            entries,
        };
        Self {
            seed,
            step: 0,
            random: fastrand::Rng::with_seed(seed),
            world: World::new(),
            places: vec![
                place(
                    "app",
                    "one",
                    &[0, 1],
                    vec![entry("app", glob("v*")), entry("named", named())],
                ),
                place("lib", "two", &[1], vec![entry("lib", glob("*"))]),
                place("lib", "three", &[0], vec![entry("lib-named", named())]),
            ],
            memory: Memory::default(),
            old_memory: None,
            weather_left: 0,
            made: 0,
            trace: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Lets so many steps pass, and in the end enough quiet time for everything to settle.
    fn pass(&mut self, steps: u64) -> Steps {
        for _ in 0..14 {
            self.push();
        }
        self.world.configure(&self.places);
        self.sync()?;
        for _ in 0..steps {
            self.step += 1;
            self.take_step()?;
        }
        self.clear_up();
        for _ in 0..4 {
            self.step += 1;
            self.world.age(9 * 24 * 3600);
            self.sync()?;
        }
        Ok(())
    }

    fn take_step(&mut self) -> Steps {
        if self.weather_left > 0 {
            self.weather_left -= 1;
            if self.weather_left == 0 {
                self.clear_up();
            }
        }
        match self.random.u32(0..100) {
            0..22 => self.push(),
            22..29 => self.drop_at_source(),
            29..34 => self.meddle(),
            34..43 => self.edit(),
            43..59 => self.wait(),
            59..66 => self.cloud_over(),
            66..68 => self.lose_or_restore(),
            68..70 => self.set_clock_back(),
            70..73 => return self.prune(),
            _ => return self.sync(),
        }
        Ok(())
    }

    fn note(&mut self, text: String) {
        if std::env::var_os("TRANSSHIP_MODEL_VERBOSE").is_some() {
            println!("{:4} {text}", self.step);
        }
        self.trace.push(text);
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// What is wrong, with the steps that led to it.
    fn told(&self, wrong: &[String]) -> Steps {
        if wrong.is_empty() {
            return Ok(());
        }
        let from = self.trace.len().saturating_sub(SHOWN);
        Err(format!(
            "TRANSSHIP_MODEL_SEED={} step {}:\n  {}\nafter\n  {}\nof\n{}",
            self.seed,
            self.step,
            wrong.join("\n  "),
            self.trace[from..].join("\n  "),
            self.places.iter().map(Place::toml).collect::<String>(),
        ))
    }

    /// The tags of both targets.
    fn targets(&self) -> Vec<BTreeMap<String, Tags>> {
        (0..2).map(|at| self.world.target_tags(at)).collect()
    }

    fn source(&self) -> BTreeMap<&'static str, Tags> {
        let tags = |repository| (repository, self.world.source_tags(repository));
        ["app", "lib"].map(tags).into()
    }

    fn prune(&mut self) -> Steps {
        self.count("prunes");
        let (before, at) = (self.targets(), self.world.now());
        self.world.json(&["prune", "--apply"]);
        let wrong = self.judge((&before, &self.targets()), at, false);
        self.note(format!("prune --apply, {:?}", self.world.weather()));
        self.told(&wrong)
    }

    fn sync(&mut self) -> Steps {
        self.count("syncs");
        let is_fair = self.world.weather() == Weather::Fair;
        let before = self.targets();
        let plan = self.world.json(&["plan"]);
        let at = self.world.now();
        let report = self.world.json(&["sync"]);
        let after = self.targets();
        let counts: Vec<_> = report["mirrors"].as_array().unwrap().iter().collect();
        let counts = counts
            .into_iter()
            .map(|m| format!("{} {}", m["name"], m["tags"]));
        let counts: Vec<_> = counts.collect();
        let weather = self.world.weather();
        self.note(format!("sync, {weather:?}: {}", counts.join(", ")));
        let mut wrong = self.judge((&before, &after), at, true);
        if is_fair {
            wrong.extend(self.misplanned(&plan, (&before, &after)));
        }
        wrong.extend(self.misreported(&weather, &after));
        self.told(&wrong)
    }

    fn judge(
        &mut self,
        (before, after): (&[BTreeMap<String, Tags>], &[BTreeMap<String, Tags>]),
        at: i64,
        copies: bool,
    ) -> Vec<String> {
        let (source, weather) = (self.source(), self.world.weather());
        let mut children = BTreeMap::new();
        let mut wrong = Vec::new();
        for (target, tags) in after.iter().chain(before).enumerate() {
            let fake = &self.world.targets[target % 2];
            for (path, tags) in tags {
                for digest in tags.values() {
                    let held = fake.contents(|contents| contents.children(path, digest));
                    if target < 2 && held.iter().any(|(_, is_held)| !is_held) {
                        wrong.push(format!("BROKEN T{target} {path}@{digest} lacks {held:?}"));
                    }
                    let held: Vec<String> = held.into_iter().map(|(child, _)| child).collect();
                    children.insert(digest.clone(), held);
                }
            }
        }
        for (repository, tags) in &source {
            for digest in tags.values() {
                let fake = &self.world.sources[0];
                let held = fake.contents(|contents| contents.children(repository, digest));
                let held = held.into_iter().map(|(child, _)| child).collect();
                children.insert(digest.clone(), held);
            }
        }
        let run = Observed {
            places: &self.places,
            weather: &weather,
            at,
            source: &source,
            before,
            after,
            children: &children,
            copies,
        };
        wrong.extend(self.memory.judge(&run));
        let went = |at: usize| {
            let paths = before[at].iter();
            let left = |path: &String| after[at].get(path).map_or(0, Tags::len);
            paths
                .map(|(path, tags)| tags.len().saturating_sub(left(path)))
                .sum::<usize>()
        };
        *self.counts.entry("pruned").or_default() += went(0) + went(1);
        wrong
    }

    /// What the plan promised to delete, and the run did not, or the other way round.
    fn misplanned(
        &self,
        plan: &Value,
        (before, after): (&[BTreeMap<String, Tags>], &[BTreeMap<String, Tags>]),
    ) -> Option<String> {
        // Which tags need a digest is known when it is to be deleted.
        let at = 1 - world::DIGESTS_ONLY;
        let host = format!("{}/", self.world.targets[at].host());
        let mut planned = BTreeSet::new();
        let routes = plan["mirrors"].as_array().into_iter().flatten();
        let routes = routes.flat_map(|mirror| mirror["routes"].as_array().unwrap());
        let targets = routes.flat_map(|route| route["targets"].as_array().into_iter().flatten());
        for target in targets {
            let repository = target["repository"].as_str().unwrap();
            let Some(path) = repository.strip_prefix(&host) else {
                continue;
            };
            let tags = target["pruned"]["tags"].as_array().into_iter().flatten();
            let tags = tags.filter(|tag| tag["action"] == "delete");
            let name = |tag: &Value| tag["target_tag"].as_str().unwrap().to_owned();
            planned.extend(tags.map(|tag| (path.to_owned(), name(tag))));
        }
        let mut gone = BTreeSet::new();
        for (path, tags) in &before[at] {
            let left = after[at].get(path);
            let tags = tags
                .keys()
                .filter(|tag| left.is_none_or(|left| !left.contains_key(*tag)));
            gone.extend(tags.map(|tag| (path.clone(), tag.clone())));
        }
        match planned == gone {
            true => None,
            false => Some(format!("PLAN deletes {planned:?}, the run {gone:?}")),
        }
    }

    /// Where `status` and a further plan contradict the targets.
    fn misreported(&self, weather: &Weather, after: &[BTreeMap<String, Tags>]) -> Vec<String> {
        let mut wrong = Vec::new();
        let (status, source) = (self.world.json(&["status"]), self.source());
        let is_lost = |place: &Place, entry: &Entry| match &entry.choice {
            Choice::Named(named) => {
                let held = &source[place.repository];
                named.iter().any(|tag| !held.contains_key(*tag))
            }
            Choice::Glob { .. } => false,
        };
        let mut are_all_there = true;
        for place in &self.places {
            for entry in &place.entries {
                let shown = mirror(&status, &entry.name);
                for at in &place.targets {
                    let host = self.world.targets[*at].host();
                    let targets = shown["targets"].as_array().unwrap().iter();
                    let shown = targets.clone().find(|target| target["target"] == host);
                    wrong.extend(self.misjudged(weather, (place, entry, *at), shown, &after[*at]));
                }
                let is_lost = is_lost(place, entry);
                are_all_there &= !is_lost;
                let state = &shown["state"];
                if *weather == Weather::Fair && (state == "in sync") == is_lost {
                    wrong.push(format!("STATE of {} is {state}", entry.name));
                }
            }
        }
        if *weather == Weather::Fair && are_all_there {
            let plan = self.world.run(&["plan", "--exit-code"]);
            if plan.code != Some(0) {
                wrong.push(format!("PLAN after a clean run\n{plan}"));
            }
        }
        wrong
    }

    /// Where the status of one entry at one target is wrong.
    fn misjudged(
        &self,
        weather: &Weather,
        (place, entry, at): (&Place, &Entry, usize),
        shown: Option<&Value>,
        after: &BTreeMap<String, Tags>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let is_own = |key: &oracle::Key| key.0 == at && key.1 == place.path;
        let lag = self.memory.lag.iter();
        let lag = lag.filter(|(key, behind)| is_own(key) && behind.owner == entry.name);
        let since = lag.map(|(_, behind)| behind.since).min();
        let lag = since.map_or(0, |since| (self.world.now() - since).max(0));
        let number = |key: &str| {
            shown
                .and_then(|shown| shown[key].as_i64())
                .unwrap_or_default()
        };
        let name = &entry.name;
        let found = number("lag_seconds");
        if !matches!(weather, Weather::Cut(..)) && (found - lag).abs() > oracle::SLACK {
            wrong.push(format!("LAG of {name} at T{at} is {found} s, not {lag} s"));
        }
        if *weather != Weather::Fair {
            return wrong;
        }
        let none = Tags::new();
        let tags = after.get(&place.path).unwrap_or(&none);
        let rows = self.memory.rows.iter();
        let rows = rows
            .filter(|(key, row)| is_own(key) && row.keeper == *name && tags.contains_key(&key.2));
        let rows: Vec<_> = rows.map(|(key, _)| &key.2).collect();
        let source = &self.source()[place.repository];
        let is_orphan = |tag: &&&String| {
            let tag = place.source_tag(tag);
            tag.is_none_or(|tag| !source.contains_key(tag))
        };
        let orphans = rows.iter().filter(is_orphan).count();
        for (key, truth) in [("tags", rows.len()), ("orphaned", orphans), ("behind", 0)] {
            if number(key) != i64::try_from(truth).unwrap() {
                let found = number(key);
                wrong.push(format!(
                    "STATUS of {name} at T{at}: {found} {key}, not {truth}"
                ));
            }
        }
        wrong
    }
}
