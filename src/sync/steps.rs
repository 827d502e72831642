//! The steps of a plan at one target: begun while the run may write, and recorded.

use futures::{FutureExt as _, StreamExt as _, stream};

use crate::{
    coordination::Lease,
    sync::{
        Error, Sync,
        copy::CopyContext,
        outcome::Progress,
        plan::{Step, TargetPlan, action::Action},
        record::Record,
    },
};

/// Steps of one target repository under way at a time; images in flight are limited over all.
const STEPS: usize = 64;

impl Sync {
    /// Performs the plan of one target, then prunes it.
    pub(crate) async fn run_target(&self, lane: CopyContext<'_>, plan: &TargetPlan) -> Progress {
        let record = Record::new(&self.recorder, &self.metrics, lane);
        let (to, name) = (lane.to, &lane.mirror.name);
        self.transfer.holdings.drop_deferred(to, name);
        self.transfer
            .hold(lane.to, plan.knowledge, plan.steps.len())
            .await;
        let mut progress = Progress::default();
        progress.tags.orphaned = plan.orphaned.len() as u64;
        let steps = stream::iter(0..plan.steps.len())
            .map(|at| self.run_step(lane, &plan.steps[at], &record));
        let steps = steps.buffer_unordered(STEPS);
        let progress = steps.fold(progress, |sum, part| async { sum.add(part) });
        let progress = progress.await;
        self.transfer.release(lane.to).await;
        let pruned = lane.lease.run_until_lost(self.prune_after(lane, plan));
        let pruned = pruned.await.unwrap_or_default();
        progress.add(pruned).at([lane.target.name()])
    }

    async fn run_step(&self, lane: CopyContext<'_>, step: &Step, record: &Record<'_>) -> Progress {
        let work = async {
            let turn = self.transfer.pulls(lane, step);
            let turn = self.stop.run_until_cancelled(turn).await.flatten();
            let turn = turn.as_ref();
            let work = || self.transfer.perform(CopyContext { turn, ..lane }, step);
            self.unless_stopped(lane.lease, work).await
        };
        let result = match (&step.action, work) {
            (Action::Skip { .. } | Action::Fail { .. }, _) => Ok(None),
            (_, work) => work.await,
        };
        self.transfer.activity().finish_tag();
        if let Err(error) = &result {
            lane.tally.refusing.note(error);
        }
        let written = match (&result, &step.action) {
            (Ok(written), Action::Copy { .. } | Action::Retag { .. }) => written.clone(),
            (Ok(_), _) => step.written.clone().or_else(|| step.digest.clone()),
            (Err(_), _) => None,
        };
        let progress = record.outcome(step, result).await;
        match (&lane.mirror.referrers, &step.digest, written) {
            (Some(wanted), Some(digest), Some(written)) if step.referrers => {
                let work = || {
                    self.transfer
                        .bring_referrers(lane, wanted, digest, &written)
                };
                let brought = self.unless_stopped(lane.lease, work).await;
                progress.add(record.referrers(step, brought).await)
            }
            _ => progress,
        }
    }

    /// Begins work unless nothing more is to be begun, and continues with it unless it is cut off or
    /// the lease is lost.
    async fn unless_stopped<T, F: Future<Output = Result<T, Error>> + Send>(
        &self,
        lease: &Lease,
        work: impl FnOnce() -> F,
    ) -> Result<T, Error> {
        let turn = self.stop.run_until_cancelled(self.transfer.turn()).await;
        if turn.is_none() || !lease.covers_request() {
            return Err(self.stopped());
        }
        // Steps wait by the thousand: only those under way have room for what they do.
        let leased = lease.run_until_lost(work().boxed());
        let done = self.abort.run_until_cancelled(leased).await.flatten();
        done.unwrap_or_else(|| Err(self.stopped()))
    }

    /// Why nothing more is done.
    pub(crate) fn stopped(&self) -> Error {
        self.recorder
            .failure()
            .map_or(Error::Interrupted, Error::Store)
    }
}
