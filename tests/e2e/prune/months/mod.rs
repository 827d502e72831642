//! Random months of a mirror: moves, outages, edits of `mirror.toml`, lost stores and wrong clocks. After
//! each run the targets, the plan and the status are compared with what the documents promise.
//!
//! `TRANSSHIP_MODEL_SEEDS` and `TRANSSHIP_MODEL_STEPS` say how many months and how long, and
//! `TRANSSHIP_MODEL_SEED` is the first seed. `TRANSSHIP_MODEL_VERBOSE` prints every step.

mod changes;
mod entries;
mod oracle;
mod reports;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use self::entries::{Choice, Entry, Place, Repositories, Rule, Tags};
use self::oracle::{Memory, Observed};
use self::world::{Weather, World};

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
                Ok(()) => eprintln!("seed {seed}: {steps} steps, {:?}", months.counts),
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
        let entry = |name: &str, choice, after_hours, keep| Entry {
            name: name.to_owned(),
            choice,
            prune: Some(Rule { after_hours, keep }),
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
                    vec![
                        entry("app", glob("v*"), 24, 0),
                        entry("named", named(), 48, 0),
                    ],
                ),
                place("lib", "two", &[1], vec![entry("lib", glob("*"), 24, 2)]),
                place(
                    "lib",
                    "three",
                    &[0],
                    vec![entry("lib-named", named(), 1, 0)],
                ),
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
            0..18 => self.push(),
            18..27 => self.drop_at_source(),
            27..33 => self.meddle(),
            33..42 => self.edit(),
            42..55 => self.wait(),
            55..59 => self.cloud_over(),
            59..67 => return self.pass_outage(),
            67..69 => self.lose_or_restore(),
            69..71 => self.set_clock_back(),
            71..74 => return self.prune(),
            _ => return self.sync(),
        }
        Ok(())
    }

    /// A source fails for days, and is asked at their beginning and at their end.
    fn pass_outage(&mut self) -> Steps {
        self.cloud_over();
        self.sync()?;
        self.wait_for_days();
        // What fell behind may be left out of a list.
        let weather = self.world.weather();
        let lags = matches!(weather, Weather::Unreadable(_) | Weather::TargetDown(_));
        if lags && self.random.bool() {
            self.cut_list();
        }
        self.sync()?;
        self.clear_up();
        Ok(())
    }

    fn note(&mut self, text: String) {
        if std::env::var_os("TRANSSHIP_MODEL_VERBOSE").is_some() {
            eprintln!("{:4} {text}", self.step);
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
    fn targets(&self) -> Vec<Repositories> {
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
        let plan = is_fair.then(|| self.world.json(&["plan"]));
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
        // By what was known when it began.
        let silent = self.silent(&weather, &report);
        let mut wrong = self.judge((&before, &after), at, true);
        if let Some(plan) = plan {
            wrong.extend(self.misplanned(&plan, (&before, &after)));
        }
        wrong.extend(silent);
        wrong.extend(self.misreported(&weather, &after));
        self.told(&wrong)
    }

    fn judge(
        &mut self,
        (before, after): (&[Repositories], &[Repositories]),
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
}
