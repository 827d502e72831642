//! What workers found to be wrong at targets, in the store of each.

use std::{collections::HashMap, sync::Arc};

use crate::{
    coordination::{OwnedUnit, SuspectContent, SuspectNews},
    daemon::{cluster::run::UnitContext, services::now},
    oci::{Digest, Repository, Tag},
    store::{Check, Store, StoreEvent, StoreWriter},
};

impl UnitContext {
    /// Compares with the other workers what of the targets may be wrong, if that is due.
    pub(super) async fn share_suspects(&self, unit: &OwnedUnit) {
        let membership = self.coordination.membership();
        let comparison = membership.and_then(|membership| membership.compare_suspects());
        let Some(comparison) = comparison else {
            return;
        };
        self.writer.flush().await;
        let Ok(own) = self.store.suspects().await else {
            return;
        };
        let own = own
            .into_iter()
            .map(|(repository, digest)| SuspectContent { repository, digest });
        match comparison.run(unit, own.collect()).await {
            Ok(news) => record(news, &self.store, &self.writer).await,
            Err(error) => tracing::debug!(%error, "what may be wrong was not compared"),
        }
    }
}

/// Records what other workers found. The tags that stand for it are copied again, or no longer.
async fn record(news: SuspectNews, store: &Store, writer: &Arc<StoreWriter>) {
    if !news.found.is_empty() {
        let count = news.found.len();
        tracing::warn!(
            count,
            "other workers found content of targets that may be wrong"
        );
    }
    let mut tags = WrittenTags::default();
    for SuspectContent { repository, digest } in news.found {
        for tag in tags.of(store, &repository, &digest).await {
            let check = Check::Examined {
                repository: repository.clone(),
                tag,
                at: now(),
                is_damaged: true,
            };
            writer.record(StoreEvent::Check(check)).await;
        }
        let check = Check::Corrupt(repository, digest);
        writer.record(StoreEvent::Check(check)).await;
    }
    for SuspectContent { repository, digest } in news.cleared {
        let check = Check::Verified(repository.clone(), digest.clone());
        writer.record(StoreEvent::Check(check)).await;
        for tag in tags.of(store, &repository, &digest).await {
            let check = Check::Healed {
                repository: repository.clone(),
                tag,
                contents: vec![digest.clone()],
            };
            writer.record(StoreEvent::Check(check)).await;
        }
    }
    writer.flush().await;
}

/// The tags of repositories by what was written for them, as far as they were asked for.
#[derive(Debug, Default)]
struct WrittenTags(HashMap<Repository, Vec<(Tag, Option<Digest>)>>);

impl WrittenTags {
    /// The tags of a repository that stand for a manifest.
    async fn of(&mut self, store: &Store, repository: &Repository, digest: &Digest) -> Vec<Tag> {
        if !self.0.contains_key(repository) {
            // A store that cannot be read fails the run itself.
            let tags = store.tags(repository).await.unwrap_or_default();
            let tags = tags.into_iter().map(|(tag, record)| (tag, record.written));
            self.0.insert(repository.clone(), tags.collect());
        }
        let tags = self.0.get(repository).into_iter().flatten();
        let of = tags.filter(|(_, written)| written.as_ref() == Some(digest));
        of.map(|(tag, _)| tag.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
