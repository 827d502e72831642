//! Which repositories of a target hold which content: what the store believes, overruled by what
//! the targets said since.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::{
    oci::{Descriptor, Digest, Repository, Tag},
    store::{self, Check, ContentPart, Store, StoreEvent, StoreWriter},
    sync::{plan::BlobKnowledge, prune::delete::Deletion},
};

/// What is known of a digest in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holding {
    /// It is there.
    Held,
    /// It is not there.
    Missing {
        /// Another repository of the registry that holds it.
        elsewhere: Option<Repository>,
    },
    /// Nobody knows; the target has to be asked.
    Unknown,
}

/// What targets hold.
#[derive(Debug)]
pub(crate) struct BlobIndex {
    store: Store,
    recorder: Arc<StoreWriter>,
    learned: Mutex<Learned>,
    /// Told when digests are no longer deleted from a repository.
    cleared: watch::Sender<()>,
}

/// As long as it lives, no run begins to write to the repository.
#[derive(Debug)]
pub(crate) struct Clearing<'a> {
    holdings: &'a BlobIndex,
    repository: &'a Repository,
}

#[derive(Debug, Default)]
struct Learned {
    repositories: HashMap<Repository, KnownRepository>,
    /// What targets said, per digest. A registry's repositories with one digest are few.
    said: HashMap<Digest, Vec<(Repository, bool)>>,
    /// Repositories from which digests are deleted now.
    clearings: HashSet<Repository>,
    /// Tags that runs could not delete with their digests, because others wrote there.
    deferred: HashMap<Repository, HashMap<Tag, Deletion>>,
}

impl Learned {
    /// Begins the writing of one run, unless digests are deleted from the repository.
    fn hold(
        &mut self,
        repository: &Repository,
        knowledge: BlobKnowledge,
        doubts: Vec<(Digest, Option<i64>)>,
    ) -> bool {
        if self.clearings.contains(repository) {
            return false;
        }
        let known = self.repositories.entry(repository.clone()).or_default();
        known.doubts = doubts.into_iter().collect();
        // Doubt lasts as long as anybody writes: a plan made before it knows nothing of it.
        if known.runs == 0 || known.knowledge != BlobKnowledge::Doubtful {
            known.knowledge = knowledge;
        }
        known.runs += 1;
        true
    }

    fn is_doubted(&self, repository: &Repository, digest: &Digest) -> bool {
        let known = self.repositories.get(repository);
        known.is_some_and(|known| known.doubts.contains_key(digest))
    }
}

/// What is known of a repository while runs write to it.
#[derive(Debug, Default)]
struct KnownRepository {
    knowledge: BlobKnowledge,
    /// Runs that write to it now.
    runs: usize,
    /// The digests on which it had a word, some of them more than once.
    said: Vec<Digest>,
    /// What is not taken for held, and when writing it again was in vain.
    doubts: HashMap<Digest, Option<i64>>,
}

impl BlobIndex {
    pub(crate) fn new(store: Store, recorder: Arc<StoreWriter>) -> Self {
        Self {
            store,
            recorder,
            learned: Mutex::default(),
            cleared: watch::channel(()).0,
        }
    }

    /// Takes note of what a listing showed of a repository to which a run writes from now on, until
    /// [`Self::release`]. Waits while digests are deleted from it.
    pub(crate) async fn hold(&self, repository: &Repository, knowledge: BlobKnowledge) {
        let mut cleared = self.cleared.subscribe();
        loop {
            // A store that cannot be read fails every step.
            let doubts = self.store.doubts(repository).await.unwrap_or_default();
            if self.lock().hold(repository, knowledge, doubts) {
                break;
            }
            tracing::info!("a run waits until digests are deleted from {repository}");
            // The sender lives as long as this does.
            let _ = cleared.changed().await;
        }
        if knowledge == BlobKnowledge::Empty {
            self.recorder
                .record(StoreEvent::Empty(repository.clone()))
                .await;
        }
    }

    /// Ends the writing of one run. After the last one the store knows what was learned, and what
    /// is held here goes.
    pub(crate) async fn release(&self, repository: &Repository) {
        let has_news = {
            let mut learned = self.lock();
            let Some(known) = learned.repositories.get_mut(repository) else {
                return;
            };
            known.runs = known.runs.saturating_sub(1);
            known.runs == 0 && !known.said.is_empty()
        };
        if has_news {
            self.recorder.flush().await;
        }
        let mut learned = self.lock();
        let Learned {
            repositories, said, ..
        } = &mut *learned;
        // Another run may have begun meanwhile.
        if repositories
            .get(repository)
            .is_some_and(|known| known.runs > 0)
        {
            return;
        }
        let digests = repositories
            .remove(repository)
            .map_or_else(Vec::new, |known| known.said);
        for digest in digests {
            forget(said, repository, &digest);
        }
    }

    /// Takes note of a target's word on one digest. It ends no doubt: a target says of what it
    /// holds that it is there, and not that it is right.
    pub(crate) async fn learn(&self, repository: &Repository, digest: &Digest, is_held: bool) {
        {
            let mut learned = self.lock();
            let said = learned.said.entry(digest.clone()).or_default();
            match said.iter_mut().find(|(known, _)| known == repository) {
                Some(known) => known.1 = is_held,
                None => {
                    said.push((repository.clone(), is_held));
                    let known = learned.repositories.entry(repository.clone()).or_default();
                    known.said.push(digest.clone());
                }
            }
        }
        let fact = if is_held {
            StoreEvent::Holds
        } else {
            StoreEvent::Lacks
        };
        self.recorder
            .record(fact(repository.clone(), digest.clone()))
            .await;
    }

    /// Ends a doubt that [`Self::doubt`] reported before the content was brought again: what the
    /// target has now is right.
    pub(crate) async fn prove(&self, repository: &Repository, digest: &Digest) {
        if let Some(known) = self.lock().repositories.get_mut(repository) {
            known.doubts.remove(digest);
        }
        let proven = Check::Verified(repository.clone(), digest.clone());
        self.recorder.record(StoreEvent::Check(proven)).await;
    }

    /// Believes nothing of a repository any more: it lacked what it was believed to hold.
    pub(crate) async fn distrust(&self, repository: &Repository) {
        {
            let mut learned = self.lock();
            let known = learned.repositories.entry(repository.clone()).or_default();
            known.knowledge = BlobKnowledge::Doubtful;
            for said in learned.said.values_mut() {
                said.retain(|(known, _)| known != repository);
            }
        }
        self.recorder
            .record(StoreEvent::Lost(repository.clone()))
            .await;
    }

    /// Takes note of how large an image is, in bytes.
    pub(crate) async fn sized(&self, image: &Digest, bytes: u64) {
        self.recorder
            .record(StoreEvent::Sized(image.clone(), bytes))
            .await;
    }

    /// Takes note of what a manifest or an index names.
    pub(crate) async fn made(&self, whole: &Digest, parts: &[Descriptor]) {
        let parts = parts.iter().map(|part| ContentPart {
            digest: part.digest.clone(),
            bytes: (!part.is_manifest()).then_some(part.size),
        });
        self.recorder
            .record(StoreEvent::Made(whole.clone(), parts.collect()))
            .await;
    }

    /// How large an image is that a target holds already; 0 where that was never seen.
    pub(crate) async fn size(&self, image: &Digest) -> Result<u64, store::Error> {
        Ok(self.store.size(image).await?.unwrap_or_default())
    }

    /// What is known of a digest in a repository. What is doubted there is to be written again, and
    /// mounted from nowhere: what another repository holds may be the same bytes.
    pub(crate) async fn look_up(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Holding, store::Error> {
        if self.doubt(repository, digest).is_some() {
            return Ok(Holding::Missing { elsewhere: None });
        }
        let (said, learned_elsewhere, knowledge) = self.said(repository, digest);
        if said == Some(true) {
            return Ok(Holding::Held);
        }
        let holders = self
            .store
            .holders(repository.registry(), digest, repository)
            .await?;
        let elsewhere = learned_elsewhere.or_else(|| {
            let mut others = holders.iter().filter(|holder| *holder != repository);
            others
                .find(|holder| {
                    self.said(holder, digest).0 != Some(false)
                        && self.doubt(holder, digest).is_none()
                })
                .cloned()
        });
        let is_believed = holders.contains(repository);
        Ok(match (said, knowledge) {
            (Some(false), _) => Holding::Missing { elsewhere },
            (None, BlobKnowledge::Complete | BlobKnowledge::Partial) if is_believed => {
                Holding::Held
            }
            (None, BlobKnowledge::Complete | BlobKnowledge::Empty) => {
                Holding::Missing { elsewhere }
            }
            _ => Holding::Unknown,
        })
    }

    /// Keeps runs from writing to a repository, and others from deleting digests there, so that what
    /// its tags lead to stays as it is read. Waits while others delete. While a run writes, it is
    /// `None`, and the last run to end is to delete these tags.
    pub(crate) async fn clear<'a>(
        &'a self,
        repository: &'a Repository,
        deletions: &[Deletion],
    ) -> Option<Clearing<'a>> {
        let mut cleared = self.cleared.subscribe();
        loop {
            {
                let mut learned = self.lock();
                let known = learned.repositories.get(repository);
                if known.is_some_and(|known| known.runs > 0) {
                    let deferred = learned.deferred.entry(repository.clone()).or_default();
                    let deletions = deletions.iter().cloned();
                    deferred.extend(deletions.map(|deletion| (deletion.tag.clone(), deletion)));
                    return None;
                }
                if learned.clearings.insert(repository.clone()) {
                    return Some(Clearing {
                        holdings: self,
                        repository,
                    });
                }
            }
            // The sender lives as long as this does.
            let _ = cleared.changed().await;
        }
    }

    /// The tags that runs which ended before left to this one.
    pub(crate) fn take_deferred(&self, repository: &Repository) -> HashMap<Tag, Deletion> {
        self.lock().deferred.remove(repository).unwrap_or_default()
    }

    /// Drops what runs of a mirror left to others: its next run decides again.
    pub(crate) fn drop_deferred(&self, repository: &Repository, mirror: &str) {
        if let Some(deferred) = self.lock().deferred.get_mut(repository) {
            deferred.retain(|_, deletion| *deletion.mirror != *mirror);
        }
    }

    /// Whether content is not taken for held until it was written again, and (`Some(Some)`) when
    /// writing it was in vain.
    pub(crate) fn doubt(&self, repository: &Repository, digest: &Digest) -> Option<Option<i64>> {
        let learned = self.lock();
        let known = learned.repositories.get(repository)?;
        known.doubts.get(digest).copied()
    }

    /// Takes note that a target kept the wrong bytes that it had.
    pub(crate) async fn unhealed(&self, repository: &Repository, digest: &Digest, at: i64) {
        let fact = Check::RepairFailed {
            repository: repository.clone(),
            digest: digest.clone(),
            at,
        };
        self.recorder.record(StoreEvent::Check(fact)).await;
    }

    fn said(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> (Option<bool>, Option<Repository>, BlobKnowledge) {
        let learned = self.lock();
        let said = learned.said.get(digest).map_or(&[][..], Vec::as_slice);
        let here = said
            .iter()
            .find(|(known, _)| known == repository)
            .map(|(_, held)| *held);
        let elsewhere = said.iter().find(|(known, held)| {
            *held
                && known != repository
                && known.registry() == repository.registry()
                && !learned.is_doubted(known, digest)
        });
        let known = learned.repositories.get(repository);
        let knowledge = known.map_or_else(BlobKnowledge::default, |known| known.knowledge);
        (here, elsewhere.map(|(known, _)| known.clone()), knowledge)
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock()
    }
}

impl Drop for Clearing<'_> {
    fn drop(&mut self) {
        let mut learned = self.holdings.lock();
        learned.clearings.remove(self.repository);
        drop(learned);
        self.holdings.cleared.send_replace(());
    }
}

/// Drops what a repository said of a digest.
fn forget(
    said: &mut HashMap<Digest, Vec<(Repository, bool)>>,
    repository: &Repository,
    digest: &Digest,
) {
    if let Some(words) = said.get_mut(digest) {
        words.retain(|(known, _)| known != repository);
        if words.is_empty() {
            said.remove(digest);
        }
    }
}

#[cfg(test)]
mod tests;
