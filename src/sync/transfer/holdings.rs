//! Which repositories of a target hold which content: what the store believes, overruled by what
//! the targets said since.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    oci::{Digest, Repository},
    store::{self, Fact, Recorder, Store},
    sync::plan::Knowledge,
};

/// What is known of a digest in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holding {
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
pub(super) struct Holdings {
    store: Store,
    recorder: Arc<Recorder>,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    knowledge: HashMap<Repository, Knowledge>,
    /// What targets said, per digest. A registry's repositories with one digest are few.
    said: HashMap<Digest, Vec<(Repository, bool)>>,
}

impl Holdings {
    pub(super) fn new(store: Store, recorder: Arc<Recorder>) -> Self {
        Self {
            store,
            recorder,
            learned: Mutex::default(),
        }
    }

    /// Takes note of what a listing told of a repository.
    pub(super) async fn know(&self, repository: &Repository, knowledge: Knowledge) {
        {
            let mut learned = self.lock();
            let known = learned
                .knowledge
                .entry(repository.clone())
                .or_insert(knowledge);
            // Doubt lasts as long as the run: a plan made before it knows nothing of it.
            if *known != Knowledge::Doubtful {
                *known = knowledge;
            }
        }
        if knowledge == Knowledge::Empty {
            self.recorder.record(Fact::Empty(repository.clone())).await;
        }
    }

    /// Takes note of a target's word on one digest.
    pub(super) async fn learn(&self, repository: &Repository, digest: &Digest, is_held: bool) {
        {
            let mut learned = self.lock();
            let said = learned.said.entry(digest.clone()).or_default();
            match said.iter_mut().find(|(known, _)| known == repository) {
                Some(known) => known.1 = is_held,
                None => said.push((repository.clone(), is_held)),
            }
        }
        let fact = if is_held { Fact::Holds } else { Fact::Lacks };
        self.recorder
            .record(fact(repository.clone(), digest.clone()))
            .await;
    }

    /// Believes nothing of a repository any more: it lacked what it was believed to hold.
    pub(super) async fn distrust(&self, repository: &Repository) {
        {
            let mut learned = self.lock();
            learned
                .knowledge
                .insert(repository.clone(), Knowledge::Doubtful);
            for said in learned.said.values_mut() {
                said.retain(|(known, _)| known != repository);
            }
        }
        self.recorder.record(Fact::Lost(repository.clone())).await;
    }

    /// What is known of a digest in a repository.
    pub(super) async fn look_up(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Holding, store::Error> {
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
                .find(|holder| self.said(holder, digest).0 != Some(false))
                .cloned()
        });
        let is_believed = holders.contains(repository);
        Ok(match (said, knowledge) {
            (Some(false), _) => Holding::Missing { elsewhere },
            (None, Knowledge::Complete | Knowledge::Partial) if is_believed => Holding::Held,
            (None, Knowledge::Complete | Knowledge::Empty) => Holding::Missing { elsewhere },
            _ => Holding::Unknown,
        })
    }

    /// Lets go of what the store knows by now. To be called when no transfer is under way.
    pub(super) async fn settle(&self) {
        self.recorder.flush().await;
        *self.lock() = Learned::default();
    }

    fn said(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> (Option<bool>, Option<Repository>, Knowledge) {
        let learned = self.lock();
        let said = learned.said.get(digest).map_or(&[][..], Vec::as_slice);
        let here = said
            .iter()
            .find(|(known, _)| known == repository)
            .map(|(_, held)| *held);
        let elsewhere = said.iter().find(|(known, held)| {
            *held && known != repository && known.registry() == repository.registry()
        });
        let knowledge = learned
            .knowledge
            .get(repository)
            .copied()
            .unwrap_or_default();
        (here, elsewhere.map(|(known, _)| known.clone()), knowledge)
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Bench {
        _folder: tempfile::TempDir,
        holdings: Holdings,
    }

    async fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let (store, recorder) = Store::open(&path, CancellationToken::new()).await.unwrap();
        Bench {
            _folder: folder,
            holdings: Holdings::new(store, Arc::new(recorder)),
        }
    }

    fn repository(name: &str) -> Repository {
        format!("m.example.com/{name}").parse().unwrap()
    }

    fn blob() -> Digest {
        Digest::of(b"blob")
    }

    fn missing(elsewhere: Option<&str>) -> Holding {
        Holding::Missing {
            elsewhere: elsewhere.map(repository),
        }
    }

    #[tokio::test]
    async fn an_empty_repository_lacks_what_it_was_not_given() {
        let Bench { holdings, .. } = &bench().await;
        let here = repository("a");
        holdings.know(&here, Knowledge::Empty).await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            missing(None)
        );
        holdings.learn(&here, &blob(), true).await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            Holding::Held
        );
        let other = repository("b");
        assert_eq!(
            holdings.look_up(&other, &blob()).await.unwrap(),
            Holding::Unknown
        );
        holdings.know(&other, Knowledge::Empty).await;
        assert_eq!(
            holdings.look_up(&other, &blob()).await.unwrap(),
            missing(Some("a"))
        );
    }

    #[tokio::test]
    async fn what_the_store_believes_is_asked_again_where_there_is_doubt() {
        let Bench { holdings, .. } = &bench().await;
        let (here, other) = (repository("a"), repository("b"));
        holdings.learn(&here, &blob(), true).await;
        holdings.settle().await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            Holding::Held
        );
        holdings.know(&other, Knowledge::Complete).await;
        assert_eq!(
            holdings.look_up(&other, &blob()).await.unwrap(),
            missing(Some("a"))
        );
        holdings.know(&here, Knowledge::Doubtful).await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            Holding::Unknown
        );
        holdings.learn(&here, &blob(), false).await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            missing(None)
        );
        assert_eq!(
            holdings.look_up(&other, &blob()).await.unwrap(),
            missing(None)
        );
    }

    #[tokio::test]
    async fn a_repository_that_lost_something_is_not_believed() {
        let Bench { holdings, .. } = &bench().await;
        let here = repository("a");
        holdings.know(&here, Knowledge::Empty).await;
        holdings.learn(&here, &blob(), true).await;
        holdings.distrust(&here).await;
        assert_eq!(
            holdings.look_up(&here, &blob()).await.unwrap(),
            Holding::Unknown
        );
    }
}
