//! What clients pull beyond the mirrors: counted, written to the store, and ordered to be mirrored.

pub(crate) mod board;

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::Utc;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    config::kept_tag,
    gateway::{Gateway, Pull, answer::PullOutcome, cache::GenerationCache, small_cache},
    oci::{Content, Digest, Manifest, Repository, Tag, Version},
    store::{PulledContent, StoreEvent},
};

/// How long nothing of a repository is pulled before its image is completed: clients come first.
const QUIET: Duration = Duration::from_secs(2);
/// How long an image waits for that at the most.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often pulls are written down.
const WRITTEN_EVERY: Duration = Duration::from_secs(15);
/// Most images that wait to be ordered: a flood of misses fills nothing.
const WAITING: usize = 1000;

/// Digests of which it is remembered by what they were asked for, in one generation, and how long that
/// counts: clients ask for a tag, for its digest, and for what that leads to.
const NAMED: usize = 20_000;
const NAMED_FOR: Duration = Duration::from_secs(600);

/// An image that is to be mirrored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDemand {
    /// The mirror that has it.
    pub mirror: Arc<str>,
    /// The source repository.
    pub repository: Repository,
    /// Its tag; of a digest, the tag that keeps it.
    pub tag: Tag,
}

/// Pulls that wait to be written down, and images that wait to be mirrored.
#[derive(Debug)]
pub(crate) struct Demand {
    pulls: Mutex<HashMap<(Repository, Version), i64>>,
    waiting: Mutex<Vec<DemandOrder>>,
    named: GenerationCache<(Repository, Digest), NamedDigest>,
}

/// By what a digest was asked for last.
#[derive(Clone, Debug)]
struct NamedDigest {
    /// Its tag; none where it is part of an index.
    tag: Option<Tag>,
    /// Whether a look has brought it, and nobody has pulled it since.
    is_new: bool,
    at: Instant,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            pulls: Mutex::default(),
            waiting: Mutex::default(),
            named: small_cache(NAMED),
        }
    }
}

#[derive(Debug)]
struct DemandOrder {
    image: ImageDemand,
    since: Instant,
    /// When something of its repository was last pulled.
    quiet_since: Instant,
}

impl Demand {
    /// The image that a request is a pull of, and what became of that; none where it only looks, or asks
    /// for a part. Who looks first at a tag and pulls its digest then, as containerd does, pulls what the
    /// look has brought.
    pub(crate) fn image(
        &self,
        pull: &Pull,
        asked: &Version,
        manifest: &Manifest,
        outcome: PullOutcome,
    ) -> Option<(Version, PullOutcome)> {
        let named = self.named(pull, &manifest.digest);
        let is_new = named.as_ref().is_some_and(|named| named.is_new);
        let outcome = match outcome {
            PullOutcome::Hit if is_new => PullOutcome::Miss,
            other => other,
        };
        let is_new = pull.is_head && is_ordered(outcome);
        let image = match (asked, named) {
            (Version::Tag(tag), _) => {
                self.name(pull, &manifest.digest, Some(tag.clone()), is_new);
                Some(asked.clone())
            }
            (Version::Digest(digest), Some(named)) => {
                self.name(pull, digest, named.tag.clone(), is_new);
                named.tag.map(Version::Tag)
            }
            (Version::Digest(_), None) => Some(asked.clone()),
        };
        if let Ok(Content::Index(children)) = manifest.content() {
            for child in children.iter().filter(|child| child.is_manifest()) {
                let known = self.named(pull, &child.digest);
                if known.is_none_or(|named| named.tag.is_none()) {
                    self.name(pull, &child.digest, None, false);
                }
            }
        }
        let image = image.filter(|_| !pull.is_head)?;
        Some((image, outcome))
    }

    fn name(&self, pull: &Pull, digest: &Digest, tag: Option<Tag>, is_new: bool) {
        let name = (pull.repository.clone(), digest.clone());
        let at = Instant::now();
        self.named.insert(name, NamedDigest { tag, is_new, at }, 1);
    }

    fn named(&self, pull: &Pull, digest: &Digest) -> Option<NamedDigest> {
        let name = (pull.repository.clone(), digest.clone());
        let named = self.named.get(&name);
        named.filter(|named| named.at.elapsed() < NAMED_FOR)
    }

    /// Takes note of a pull of an image.
    pub(crate) fn pulled(&self, pull: &Pull, image: &Version, outcome: PullOutcome) {
        let Some(mirror) = pull.mirror.as_ref() else {
            return;
        };
        if pull.is_on_demand() {
            let mut pulls = self.pulls.lock();
            let known = pulls.len() < WAITING;
            let name = (pull.repository.clone(), image.clone());
            if known || pulls.contains_key(&name) {
                *pulls.entry(name).or_default() += 1;
            }
        } else if matches!(image, Version::Digest(_)) {
            // Entries mirror tags.
            return;
        }
        let tag = kept_tag(image);
        let Some(tag) = tag.filter(|_| is_ordered(outcome)) else {
            return;
        };
        let image = ImageDemand {
            mirror: mirror.clone(),
            repository: pull.repository.clone(),
            tag,
        };
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        if let Some(order) = waiting.iter_mut().find(|order| order.image == image) {
            order.quiet_since = now;
        } else if waiting.len() < WAITING {
            waiting.push(DemandOrder {
                image,
                since: now,
                quiet_since: now,
            });
        }
    }

    /// The images whose clients are served.
    fn due(&self, is_busy: impl Fn(&Repository) -> bool) -> Vec<ImageDemand> {
        let mut waiting = self.waiting.lock();
        let now = Instant::now();
        let mut due = Vec::new();
        waiting.retain_mut(|order| {
            if is_busy(&order.image.repository) {
                order.quiet_since = now;
            }
            let is_quiet = now - order.quiet_since >= QUIET || now - order.since >= PATIENCE;
            if is_quiet {
                due.push(order.image.clone());
            }
            !is_quiet
        });
        due
    }

    fn take_pulls(&self) -> HashMap<(Repository, Version), i64> {
        std::mem::take(&mut *self.pulls.lock())
    }
}

/// Whether what was pulled is to be mirrored now.
fn is_ordered(outcome: PullOutcome) -> bool {
    matches!(outcome, PullOutcome::Miss | PullOutcome::Coalesced)
}

impl Gateway {
    /// Orders images to be mirrored, and writes pulls down, until the gateway stops.
    pub(crate) async fn follow_demand(&self) {
        let mut written = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.context.board.set_downloads(self.downloads.live());
            let live = self.context.board.live(Utc::now().timestamp());
            let failing: Vec<(&str, u64)> = live
                .upstreams
                .iter()
                .map(|upstream| (upstream.registry.as_str(), upstream.pulls))
                .collect();
            let metrics = &self.context.metrics;
            metrics.pull_troubles(&failing, live.budget.is_some());
            let due = self
                .demand
                .due(|repository| self.downloads.is_busy(repository));
            if !due.is_empty() || written.elapsed() >= WRITTEN_EVERY {
                written = Instant::now();
                self.write_pulls();
            }
            if !due.is_empty() {
                self.context.writer.flush().await;
            }
            for image in due {
                tracing::info!(
                    "mirroring {}, which was pulled through",
                    image.repository.tag(&image.tag)
                );
                if self.context.orders.send(image).await.is_err() {
                    break;
                }
            }
        }
        self.write_pulls();
    }

    fn write_pulls(&self) {
        for pulled in self.context.board.take() {
            self.context.writer.note(StoreEvent::Pulled(pulled));
        }
        for ((repository, version), pulls) in self.demand.take_pulls() {
            let pulled = PulledContent::Image {
                repository,
                version,
                pulls,
                at: Utc::now().timestamp(),
            };
            self.context.writer.note(StoreEvent::Pulled(pulled));
        }
    }
}
