//! A source and a target, links before them, and one tool between them.

pub mod corpus;
pub mod hand;
mod keeper;
pub mod link_check;
pub mod synthetic;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::corpus::{Corpus, Shape, push_large};
use self::hand::Hand;
use self::keeper::Keeper;
use crate::options::Options;
use crate::process::{self, End, Usage};
use crate::support::net::link::{Crossed, Link, LinkQuality};
use crate::support::registries::registry::{Guard, Registry};
use crate::table::Row;
use crate::tools::{Address, Errand, Tool};

/// The links of a stage.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// The link before the source, if there is one.
    pub source: Option<LinkQuality>,
    /// The link before the target. Without a limit it still counts.
    pub target: LinkQuality,
}

impl Lines {
    /// A link before the target only.
    pub fn before_target(target: LinkQuality) -> Self {
        Self {
            source: None,
            target,
        }
    }

    /// A link before the source only.
    pub fn before_source(source: LinkQuality) -> Self {
        Self {
            source: Some(source),
            target: LinkQuality::default(),
        }
    }

    /// Bytes per second of the narrowest link.
    fn rate(self) -> Option<u64> {
        let source = self.source.and_then(|quality| quality.total_rate);
        source.into_iter().chain(self.target.total_rate).min()
    }
}

/// A filled source and an empty target.
pub struct Stage {
    tool: Tool,
    source: Registry,
    source_link: Option<Link>,
    target: Target,
    link: Link,
    lines: Lines,
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

    /// Where it is found behind `host`.
    fn address(&self, host: &str) -> Address {
        match self {
            Self::Real(registry) => Address::of(registry, host),
            Self::Keeping(_) => Address {
                host: host.to_owned(),
                ca_file: None,
            },
        }
    }

    fn hand(&self) -> Hand {
        match self {
            Self::Real(registry) => Hand::of(registry),
            Self::Keeping(keeper) => Hand::at(&format!("http://{}", keeper.host())),
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
    pub fn with(shape: Shape, tool: Tool, lines: Lines, options: &Options) -> Self {
        let mut stage = Self::empty(tool, lines, options);
        let hand = Hand::of(&stage.source);
        let (corpus, bytes) = stage.runtime.block_on(Corpus::fill(shape, hand));
        stage.contents = Contents::Corpus(Box::new(corpus));
        stage.new_bytes = bytes;
        stage
    }

    /// A source that holds an image with one layer of this size.
    pub fn with_a_large_layer(size: u64, tool: Tool, lines: Lines, options: &Options) -> Self {
        let mut stage = Self::empty(tool, lines, options);
        let hand = Hand::of(&stage.source);
        let tags = stage.runtime.block_on(push_large(&hand, size));
        stage.contents = Contents::Large(tags);
        stage.new_bytes = size;
        stage
    }

    /// Its target becomes one that keeps what arrives of a request that breaks, over plain HTTP.
    pub fn keeping(self) -> Self {
        let target = Target::Keeping(Keeper::start());
        Self {
            link: Link::to(target.host(), self.lines.target),
            target,
            ..self
        }
    }

    fn empty(tool: Tool, lines: Lines, options: &Options) -> Self {
        let guard = guard(options);
        let (source, target) = (Registry::guarded(guard), Registry::guarded(guard));
        let source_link = lines.source.map(|quality| Link::to(source.host(), quality));
        Self {
            tool,
            source_link,
            link: Link::to(target.host(), lines.target),
            source,
            target: Target::Real(target),
            lines,
            folder: TempDir::new().unwrap(),
            runtime: Runtime::new().unwrap(),
            contents: Contents::Large(Vec::new()),
            limit: options.limit(),
            stall: options.stall_seconds,
            new_bytes: 0,
        }
    }

    /// Gives the link before the source another quality.
    pub fn set_source_link(&mut self, quality: LinkQuality) {
        self.lines.source = Some(quality);
        if let Some(link) = &self.source_link {
            link.set_quality(quality);
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
        let (from, to) = (Hand::of(&self.source), self.target.hand());
        let row = Row {
            case: case.to_owned(),
            tool: self.tool,
            usage,
            source_requests: asked.len(),
            target_requests: sent,
            source_bytes: asked.iter().map(|request| request.answered_bytes).sum(),
            crossed,
            new_bytes: std::mem::take(&mut self.new_bytes),
            link_rate: self.lines.rate(),
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
        let (source, target) = self.addresses();
        let errand = Errand {
            source,
            target,
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

    /// Where the tool finds both sides.
    fn addresses(&self) -> (Address, Address) {
        let source_host = self
            .source_link
            .as_ref()
            .map_or(self.source.host(), Link::host);
        let source = Address::of(&self.source, source_host);
        (source, self.target.address(self.link.host()))
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

/// How clients reach the registries.
pub fn guard(options: &Options) -> Guard {
    match options.plain {
        true => Guard::Open,
        false => Guard::Tls,
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
