//! Content of targets that may be wrong: what one worker found, the others know, too.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;
use transship_cluster::{BlobKey, Error};

use crate::{
    coordination::{Membership, OwnedUnit},
    oci::{Digest, Repository},
};

/// How often a worker compares at the most.
const COMPARED_EVERY: Duration = Duration::from_secs(15);

/// Content of a target repository that may be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SuspectContent {
    /// The repository.
    pub repository: Repository,
    /// Its digest.
    pub digest: Digest,
}

/// What other workers found since the last comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SuspectNews {
    /// It may be wrong.
    pub found: Vec<SuspectContent>,
    /// It was written or read again, and is right.
    pub cleared: Vec<SuspectContent>,
}

/// What was compared last.
#[derive(Debug, Default)]
pub(crate) struct SuspectLog {
    /// What this worker and the others knew after that.
    known: HashSet<SuspectContent>,
    is_comparing: bool,
    compared_at: Option<Instant>,
}

/// What differs between a worker and the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    news: SuspectNews,
    /// This worker found it.
    own: Vec<SuspectContent>,
    /// This worker wrote or read it again.
    own_cleared: Vec<SuspectContent>,
}

/// A comparison. Only one runs at a time, so that what it changes here is in the store before the
/// next one reads that.
#[derive(Debug)]
pub struct SuspectComparison<'a>(&'a Membership);

impl SuspectLog {
    fn begin(&mut self) -> bool {
        let compared_at = self.compared_at;
        let is_due = compared_at.is_none_or(|at| at.elapsed() >= COMPARED_EVERY);
        let may = is_due && !self.is_comparing;
        if may {
            self.is_comparing = true;
            self.compared_at = Some(Instant::now());
        }
        may
    }

    /// What both knew is settled by whoever knows it no longer.
    fn differences(
        &self,
        own: &HashSet<SuspectContent>,
        shared: &HashSet<SuspectContent>,
    ) -> Differences {
        let is_known = |content: &SuspectContent| self.known.contains(content);
        let (cleared, found_here) = own.difference(shared).cloned().partition(is_known);
        let (own_cleared, found) = shared.difference(own).cloned().partition(is_known);
        Differences {
            news: SuspectNews { found, cleared },
            own: found_here,
            own_cleared,
        }
    }
}

impl Membership {
    /// Begins to compare what may be wrong, if that is due.
    pub fn compare_suspects(&self) -> Option<SuspectComparison<'_>> {
        let may = self.suspects().begin();
        may.then(|| SuspectComparison(self))
    }
}

impl SuspectComparison<'_> {
    /// Tells the others what this worker knows, and returns what it does not know.
    pub async fn run(
        &self,
        unit: &OwnedUnit,
        own: HashSet<SuspectContent>,
    ) -> Result<SuspectNews, Error> {
        let Some(blobs) = self.0.worker().map(|worker| worker.blobs()) else {
            return Ok(SuspectNews::default());
        };
        let shared = blobs.suspects().await?;
        let shared: HashSet<SuspectContent> = shared.iter().filter_map(content).collect();
        let differences = self.0.suspects().differences(&own, &shared);
        for content in &differences.own {
            blobs.suspect(&content.key()).await?;
        }
        for content in &differences.own_cleared {
            unit.clear_suspect(&content.key()).await?;
        }
        let mut known: HashSet<SuspectContent> = own.union(&shared).cloned().collect();
        for content in differences
            .own_cleared
            .iter()
            .chain(&differences.news.cleared)
        {
            known.remove(content);
        }
        self.0.suspects().known = known;
        Ok(differences.news)
    }
}

impl Drop for SuspectComparison<'_> {
    fn drop(&mut self) {
        self.0.suspects().is_comparing = false;
    }
}

impl SuspectContent {
    fn key(&self) -> BlobKey {
        BlobKey {
            registry: self.repository.registry().to_string(),
            repository: self.repository.path().to_owned(),
            digest: self.digest.to_string(),
        }
    }
}

fn content(key: &BlobKey) -> Option<SuspectContent> {
    let repository = format!("{}/{}", key.registry, key.repository);
    Some(SuspectContent {
        repository: repository.parse().ok()?,
        digest: key.digest.parse().ok()?,
    })
}

#[cfg(test)]
mod tests;
