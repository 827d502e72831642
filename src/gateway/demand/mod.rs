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
    /// The image that a request is a pull of; none where it only looks, or asks for a part.
    pub(crate) fn image(
        &self,
        pull: &Pull,
        asked: &Version,
        manifest: &Manifest,
    ) -> Option<Version> {
        let image = match asked {
            Version::Tag(tag) => {
                self.name(pull, &manifest.digest, Some(tag.clone()));
                Some(asked.clone())
            }
            Version::Digest(digest) => match self.named(pull, digest) {
                Some(named) => named.tag.map(Version::Tag),
                None => Some(asked.clone()),
            },
        };
        if let Ok(Content::Index(children)) = manifest.content() {
            for child in children.iter().filter(|child| child.is_manifest()) {
                let known = self.named(pull, &child.digest);
                if known.is_none_or(|named| named.tag.is_none()) {
                    self.name(pull, &child.digest, None);
                }
            }
        }
        image.filter(|_| !pull.is_head)
    }

    fn name(&self, pull: &Pull, digest: &Digest, tag: Option<Tag>) {
        let name = (pull.repository.clone(), digest.clone());
        let at = Instant::now();
        self.named.insert(name, NamedDigest { tag, at }, 1);
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
        let Some(tag) =
            tag.filter(|_| matches!(outcome, PullOutcome::Miss | PullOutcome::Coalesced))
        else {
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

impl Gateway {
    /// Orders images to be mirrored, and writes pulls down, until the gateway stops.
    pub(crate) async fn follow_demand(&self) {
        let mut written = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.context.board.set_downloads(self.downloads.live());
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
