//! A source, a target behind a link, and one tool between them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::corpus::{Corpus, Shape, push_large};
use crate::hand::Hand;
use crate::keeper::Keeper;
use crate::options::Options;
use crate::process::{self, End, Usage};
use crate::support::net::link::{Crossed, Link, LinkQuality};
use crate::support::registries::registry::Registry;
use crate::table::Row;
use crate::tools::{Errand, Tool};

/// A filled source and an empty target.
pub struct Stage {
    tool: Tool,
    source: Registry,
    target: Target,
    link: Link,
    weather: LinkQuality,
    folder: TempDir,
    runtime: Runtime,
    contents: Contents,
    limit: Duration,
    stall: u64,
    /// Bytes at the source that no errand has brought to the target yet.
    new_bytes: u64,
}

/// Where the tool brings everything.
enum Target {
    Real(Registry),
    Keeping(Keeper),
}

impl Target {
    fn host(&self) -> &str {
        match self {
            Self::Real(registry) => registry.host(),
            Self::Keeping(keeper) => keeper.host(),
        }
    }

    /// Requests since the last call.
    fn new_requests(&self) -> usize {
        match self {
            Self::Real(registry) => registry.new_requests().len(),
            Self::Keeping(keeper) => keeper.new_requests(),
        }
    }
}

enum Contents {
    Corpus(Box<Corpus>),
    Large(Vec<(String, String)>),
}

impl Stage {
    /// A source that holds a corpus.
    pub fn with(shape: Shape, tool: Tool, weather: LinkQuality, options: &Options) -> Self {
        let mut stage = Self::empty(tool, weather, options);
        let hand = Hand::in_registry(stage.source.host());
        let (corpus, bytes) = stage.runtime.block_on(Corpus::fill(shape, hand));
        stage.contents = Contents::Corpus(Box::new(corpus));
        stage.new_bytes = bytes;
        stage
    }

    /// A source that holds an image with one layer of this size.
    pub fn with_a_large_layer(size: u64, tool: Tool, options: &Options) -> Self {
        let mut stage = Self::empty(tool, LinkQuality::default(), options);
        let hand = Hand::in_registry(stage.source.host());
        let tags = stage.runtime.block_on(push_large(&hand, size));
        stage.contents = Contents::Large(tags);
        stage.new_bytes = size;
        stage
    }

    /// Its target becomes one that keeps what arrives of a request that breaks.
    pub fn keeping(self) -> Self {
        let target = Target::Keeping(Keeper::start());
        Self {
            link: Link::to(target.host(), self.weather),
            target,
            ..self
        }
    }

    fn empty(tool: Tool, weather: LinkQuality, options: &Options) -> Self {
        let target = Target::Real(Registry::start());
        Self {
            tool,
            link: Link::to(target.host(), weather),
            source: Registry::start(),
            target,
            weather,
            folder: TempDir::new().unwrap(),
            runtime: Runtime::new().unwrap(),
            contents: Contents::Large(Vec::new()),
            limit: options.limit(),
            stall: options.stall_seconds,
            new_bytes: 0,
        }
    }

    /// Moves one tag in a hundred.
    pub fn move_tags(&mut self) {
        if let Contents::Corpus(corpus) = &mut self.contents {
            self.new_bytes += self.runtime.block_on(corpus.move_one_in(100));
        }
    }

    /// Adds one image for ten that are there.
    pub fn add_images(&mut self) {
        if let Contents::Corpus(corpus) = &mut self.contents {
            self.new_bytes += self.runtime.block_on(corpus.add_one_for(10));
        }
    }

    /// Lets the tool run to its end, and measures it.
    pub fn run(&mut self, case: &str) -> Row {
        self.measure(case, |stage| stage.work(|| false))
    }

    /// Lets the tool run again and again until it says that all is well, but not for ever.
    pub fn run_until_well(&mut self, case: &str) -> Row {
        let mut runs = 1;
        let mut row = self.measure(case, |stage| {
            let mut usage = stage.work(|| false);
            while usage.end == End::Badly && runs < 10 {
                runs += 1;
                let again = Usage {
                    end: End::Well,
                    ..usage
                };
                usage = again.and_then(stage.work(|| false));
            }
            usage
        });
        let Crossed { resets, stalls, .. } = row.crossed;
        row.case = format!("{case}: {runs} runs, {resets} resets, {stalls} silences");
        row
    }

    /// Kills the tool at random moments of its work, starts it again each time, and lets the last run end.
    pub fn run_with_kills(&mut self, kills: usize, case: &str) -> Row {
        let mut chance = fastrand::Rng::with_seed(1);
        let part = self.new_bytes / (kills as u64 + 1);
        self.measure(case, |stage| {
            let mut usage = Usage::none();
            for _ in 0..kills {
                let until = stage.link.crossed().up + chance.u64(1..=2 * part);
                let link = &stage.link;
                usage = usage.and_then(stage.work(|| link.crossed().up >= until));
            }
            usage.and_then(stage.work(|| false))
        })
    }

    fn measure(&mut self, case: &str, work: impl FnOnce(&Self) -> Usage) -> Row {
        drop((self.source.new_requests(), self.target.new_requests()));
        let before = self.link.crossed();
        let usage = work(self);
        let crossed = since(before, self.link.crossed());
        let (asked, sent) = (self.source.new_requests(), self.target.new_requests());
        let tags = self.tags();
        let (from, to) = [self.source.host(), self.target.host()]
            .map(Hand::in_registry)
            .into();
        let row = Row {
            case: case.to_owned(),
            tool: self.tool,
            usage,
            source_requests: asked.len(),
            target_requests: sent,
            source_bytes: asked.iter().map(|request| request.answered_bytes).sum(),
            crossed,
            new_bytes: std::mem::take(&mut self.new_bytes),
            link_rate: self.weather.total_rate,
            right_tags: self.runtime.block_on(to.count_same(&from, &tags)),
            tags: tags.len(),
        };
        if row.is_wrong() || usage.end != End::Well {
            self.show_last_words();
        }
        row
    }

    /// Runs the tool's commands one after the other.
    fn work(&self, mut is_time_to_kill: impl FnMut() -> bool) -> Usage {
        let repositories = self.repositories();
        let errand = Errand {
            source: self.source.host(),
            target: self.link.host(),
            repositories: &repositories,
            folder: self.folder.path(),
            stall: self.stall,
        };
        let mut usage = Usage::none();
        for command in self.tool.commands(&errand) {
            let left = self
                .limit
                .saturating_sub(Duration::from_secs_f64(usage.seconds));
            let next = process::run(command, &self.log(), left, &mut is_time_to_kill);
            usage = usage.and_then(next);
            if matches!(next.end, End::Late | End::Killed) {
                break;
            }
        }
        usage
    }

    fn tags(&self) -> Vec<(String, String)> {
        match &self.contents {
            Contents::Corpus(corpus) => corpus.tags(),
            Contents::Large(tags) => tags.clone(),
        }
    }

    fn repositories(&self) -> Vec<String> {
        match &self.contents {
            Contents::Corpus(corpus) => corpus.repositories(),
            Contents::Large(tags) => tags.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("last-words")
    }

    fn show_last_words(&self) {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(12)..] {
            eprintln!("  {}: {line}", self.tool.name());
        }
    }
}

/// What has crossed between two counts.
fn since(before: Crossed, now: Crossed) -> Crossed {
    Crossed {
        up: now.up - before.up,
        down: now.down - before.down,
        connections: now.connections - before.connections,
        resets: now.resets - before.resets,
        stalls: now.stalls - before.stalls,
    }
}
