//! What clients pull beyond the mirrors: counted, written to the store, and ordered to be mirrored.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::Utc;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    gateway::{Gateway, Pull, answer::PullOutcome},
    oci::{Manifest, Repository, Tag},
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

/// An image that is to be mirrored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDemand {
    /// The mirror that has it.
    pub mirror: Arc<str>,
    /// The source repository.
    pub repository: Repository,
    /// Its tag.
    pub tag: Tag,
}

/// Pulls that wait to be written down, and images that wait to be mirrored.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    pulls: Mutex<HashMap<(Repository, Tag), i64>>,
    waiting: Mutex<Vec<DemandOrder>>,
}

#[derive(Debug)]
struct DemandOrder {
    image: ImageDemand,
    since: Instant,
    /// When something of its repository was last pulled.
    quiet_since: Instant,
}

impl Demand {
    /// Takes note of a pull of a tag.
    pub(crate) fn pulled(&self, pull: &Pull, tag: &Tag, manifest: &Manifest, outcome: PullOutcome) {
        let Some(mirror) = pull.mirror.as_ref().filter(|_| !pull.is_head) else {
            return;
        };
        tracing::debug!(digest = %manifest.digest, outcome = outcome.as_str(), "pulled {}", pull.repository.tag(tag));
        if pull.is_on_demand() {
            let mut pulls = self.pulls.lock();
            let known = pulls.len() < WAITING;
            let name = (pull.repository.clone(), tag.clone());
            if known || pulls.contains_key(&name) {
                *pulls.entry(name).or_default() += 1;
            }
        }
        if !matches!(outcome, PullOutcome::Miss | PullOutcome::Coalesced) {
            return;
        }
        let image = ImageDemand {
            mirror: mirror.clone(),
            repository: pull.repository.clone(),
            tag: tag.clone(),
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

    fn take_pulls(&self) -> HashMap<(Repository, Tag), i64> {
        std::mem::take(&mut *self.pulls.lock())
    }
}

impl Gateway {
    /// Orders images to be mirrored, and writes pulls down, until the gateway stops.
    pub(crate) async fn follow_demand(&self) {
        let mut written = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
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
        for ((repository, tag), pulls) in self.demand.take_pulls() {
            let pulled = PulledContent::Image {
                repository,
                tag,
                pulls,
                at: Utc::now().timestamp(),
            };
            self.context.writer.note(StoreEvent::Pulled(pulled));
        }
    }
}
