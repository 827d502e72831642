//! Stores when each job is due next. The scheduler reads that here instead of computing it.

use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use parking_lot::{Mutex, MutexGuard};
use tokio_cron_scheduler::{
    JobSchedulerError, MetaDataStorage,
    job::{
        JobId,
        job_data::{JobAndNextTick, JobStoredData},
    },
    store::{DataStore, InitStore},
};

use crate::config::Schedule;

/// Most jobs that are due at a time; the others are due half a second later. The scheduler passes
/// them on through channels that hold [`CHANNEL`] messages, and drops the rest.
const MOST_DUE: usize = 256;

/// Messages that each channel of the scheduler holds. For one job it sends up to three at once.
pub(crate) const CHANNEL: usize = MOST_DUE * 4;

/// If the clock was set back by more than this, the next ticks are computed again.
const SET_BACK: TimeDelta = TimeDelta::minutes(1);

type StorageFuture<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

/// The storage that the scheduler keeps its jobs in.
///
/// The scheduler would compute the next tick of a job with the offset from UTC that its zone had when
/// the job was made, which is wrong from the next change of daylight saving time on. Whatever it
/// wants to store, the next tick stored here is that of the [`Schedule`].
#[derive(Clone, Default)]
pub(crate) struct JobStore(Arc<Mutex<HashMap<JobId, StoredJob>>>);

/// One job.
struct StoredJob {
    schedule: Schedule,
    zone: Tz,
    next: Option<DateTime<Utc>>,
    /// The time from which the next tick was computed.
    computed_at: DateTime<Utc>,
    data: Option<JobStoredData>,
}

impl StoredJob {
    fn compute(&mut self, now: DateTime<Utc>) {
        self.next = self.schedule.next_after(now, self.zone);
        self.computed_at = now;
    }
}

impl JobStore {
    /// Enters a job before the scheduler adds it.
    pub(crate) fn enter(&self, id: JobId, schedule: Schedule, zone: Tz, now: DateTime<Utc>) {
        let mut line = StoredJob {
            schedule,
            zone,
            next: None,
            computed_at: now,
            data: None,
        };
        line.compute(now);
        self.lines().insert(id, line);
    }

    /// Whether a job has this schedule.
    pub(crate) fn has(&self, id: JobId, schedule: &Schedule, zone: Tz) -> bool {
        let lines = self.lines();
        lines
            .get(&id)
            .is_some_and(|line| line.schedule == *schedule && line.zone == zone)
    }

    /// The next tick of a job.
    #[cfg(test)]
    pub(crate) fn next(&self, id: JobId) -> Option<DateTime<Utc>> {
        self.lines().get(&id)?.next
    }

    /// The jobs that are due, the longest waiting first.
    fn due(&self, now: DateTime<Utc>) -> Vec<JobAndNextTick> {
        let mut lines = self.lines();
        let mut due = Vec::new();
        for line in lines.values_mut() {
            if now + SET_BACK < line.computed_at {
                line.compute(now);
            }
            let (Some(data), Some(next)) = (&line.data, line.next) else {
                continue;
            };
            if next <= now {
                due.push(JobAndNextTick {
                    id: data.id,
                    job_type: data.job_type,
                    next_tick: seconds(next),
                    // The scheduler only asks whether it is before the next one, and it is.
                    last_tick: None,
                });
            }
        }
        due.sort_by_key(|job| job.next_tick);
        due.truncate(MOST_DUE);
        due
    }

    /// Notes that a job was started at a moment.
    fn ticked(&self, id: JobId, at: DateTime<Utc>) {
        if let Some(line) = self.lines().get_mut(&id) {
            line.compute(at);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<JobId, StoredJob>> {
        self.0.lock()
    }
}

fn seconds(moment: DateTime<Utc>) -> u64 {
    moment.timestamp().try_into().unwrap_or_default()
}

impl InitStore for JobStore {
    fn init(&mut self) -> StorageFuture<()> {
        Box::pin(ready(Ok(())))
    }

    fn inited(&mut self) -> StorageFuture<bool> {
        Box::pin(ready(Ok(true)))
    }
}

impl DataStore<JobStoredData> for JobStore {
    fn get(&mut self, id: JobId) -> StorageFuture<Option<JobStoredData>> {
        let data = self.lines().get(&id).and_then(|line| line.data.clone());
        Box::pin(ready(Ok(data)))
    }

    fn add_or_update(&mut self, data: JobStoredData) -> StorageFuture<()> {
        let id: Option<JobId> = data.id.map(JobId::from);
        let mut lines = self.lines();
        let line = id.and_then(|id| lines.get_mut(&id));
        let added = line.ok_or(JobSchedulerError::CantAdd).map(|line| {
            // Without the expression the scheduler computes no tick of its own.
            line.data = Some(JobStoredData { job: None, ..data });
        });
        Box::pin(ready(added))
    }

    fn delete(&mut self, id: JobId) -> StorageFuture<()> {
        self.lines().remove(&id);
        Box::pin(ready(Ok(())))
    }
}

impl MetaDataStorage for JobStore {
    fn list_next_ticks(&mut self) -> StorageFuture<Vec<JobAndNextTick>> {
        Box::pin(ready(Ok(self.due(Utc::now()))))
    }

    fn set_next_and_last_tick(
        &mut self,
        id: JobId,
        _computed_by_the_scheduler: Option<DateTime<Utc>>,
        last_tick: Option<DateTime<Utc>>,
    ) -> StorageFuture<()> {
        self.ticked(id, last_tick.unwrap_or_else(Utc::now));
        Box::pin(ready(Ok(())))
    }

    fn time_till_next_job(&mut self) -> StorageFuture<Option<Duration>> {
        let next = self.lines().values().filter_map(|line| line.next).min();
        let left = next.map(|next| (next - Utc::now()).to_std().unwrap_or_default());
        Box::pin(ready(Ok(left)))
    }
}

#[cfg(test)]
mod tests;
