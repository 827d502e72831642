//! What the workers of a cluster leave to one another for the daily report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    coordination::database::{RunChange, RunSum},
    status::daily::{CHANGES, ChangeCounts, ChangeLine, Day, Work, counts, line},
    store::{self, ChangeKind, Store},
};

/// Changes that a worker leaves with one run. All of them are counted.
const NAMED: i64 = 20;

/// What a worker did in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerDay {
    pub worker: String,
    #[serde(flatten)]
    pub work: Work,
}

/// What a run did, and what changed at its worker since the run before.
#[derive(Debug, Serialize)]
pub(crate) struct RunNote {
    sums: RunSums,
    changes: Vec<ChangeLine>,
}

/// What is added up over runs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RunSums {
    #[serde(flatten)]
    work: Work,
    #[serde(flatten)]
    counts: ChangeCounts,
}

impl RunNote {
    /// What a run did, with the changes from `from` to before `to`.
    pub(crate) async fn read(
        store: &Store,
        work: Work,
        from: i64,
        to: i64,
    ) -> Result<Self, store::Error> {
        let changes = store.changes(None, from, to, NAMED).await?;
        let counts = counts(&store.change_counts(from, to).await?);
        Ok(Self {
            sums: RunSums { work, counts },
            changes: changes.into_iter().map(line).collect(),
        })
    }
}

impl Day {
    /// Adds what the other workers did, of which the store of this one knows nothing.
    pub fn add_others(&mut self, own: &str, sums: Vec<RunSum>, changes: &[RunChange]) {
        let mut others: BTreeMap<String, serde_json::Map<String, serde_json::Value>> =
            BTreeMap::new();
        for sum in sums.into_iter().filter(|sum| sum.worker != own) {
            let worker = others.entry(sum.worker).or_default();
            worker.insert(sum.name, sum.sum.into());
        }
        let mut workers = BTreeMap::from([(own.to_owned(), self.work.clone())]);
        for (worker, sums) in others {
            // A newer version may count what this one does not know.
            let sums: RunSums = serde_json::from_value(sums.into()).unwrap_or_default();
            self.work.add(&sums.work);
            self.counts.add(&sums.counts);
            workers.insert(worker, sums.work);
        }
        if workers.len() > 1 {
            let workers = workers.into_iter();
            let line = |(worker, work)| WorkerDay { worker, work };
            self.workers = workers.map(line).collect();
        }
        let changes = changes.iter().filter(|change| change.worker != own);
        let changes = changes.filter_map(|change| serde_json::from_str(&change.text).ok());
        self.changes.extend(changes);
        let rank = |change: &ChangeLine| (change.kind == ChangeKind::New, -change.at);
        self.changes.sort_by_key(rank);
        self.changes
            .truncate(usize::try_from(CHANGES).unwrap_or_default());
    }
}

impl Work {
    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.failed_runs += other.failed_runs;
        self.copied_tags += other.copied_tags;
        self.uploaded_bytes += other.uploaded_bytes;
        self.saved_bytes += other.saved_bytes;
        self.throttled += other.throttled;
    }
}

impl ChangeCounts {
    fn add(&mut self, other: &Self) {
        self.new += other.new;
        self.moved += other.moved;
        self.removed += other.removed;
        self.healed += other.healed;
        self.damaged += other.damaged;
        self.repaired += other.repaired;
        self.pruned += other.pruned;
    }
}
