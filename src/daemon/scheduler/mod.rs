//! Sends a signal whenever a schedule of `mirror.toml` is due.

pub(crate) mod job_store;
pub(crate) mod missed_runs;

use std::{collections::HashMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_cron_scheduler::{
    Job as CronJob, JobScheduler, JobSchedulerError, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore, job::JobId,
};

use crate::{
    config::Schedule,
    daemon::scheduler::job_store::{CHANNEL, JobStore},
};

/// Signals that may wait for the daemon.
const QUEUE: usize = 4096;

/// Often enough for a watchdog, and rare enough for an idle machine.
const TICK: &str = "*/2 * * * * *";

/// What a schedule starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// A run of a mirror.
    Mirror(Arc<str>),
    /// The daily report.
    Report,
}

/// One schedule.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleEntry {
    /// What it starts. Unique among the entries.
    pub(crate) job: Job,
    pub(crate) schedule: Schedule,
    pub(crate) zone: Tz,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror(name) => write!(f, "mirror {name}"),
            Self::Report => f.write_str("the report"),
        }
    }
}

/// What the scheduler sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A job is due.
    Due {
        /// Which one.
        job: Job,
        /// The time in its schedule, which has just passed.
        at: DateTime<Utc>,
    },
    /// The scheduler moves. It sends this every two seconds, in the way that it starts jobs.
    Tick,
}

/// Why a schedule could not be set.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {error}")]
pub(crate) struct Error {
    action: String,
    error: JobSchedulerError,
}

impl Error {
    fn of(action: impl Into<String>) -> impl FnOnce(JobSchedulerError) -> Self {
        let action = action.into();
        |error| Self { action, error }
    }
}

/// A running scheduler. It starts nothing itself: it sends signals, and drops those that the receiver
/// has no room for.
pub(crate) struct Scheduler {
    scheduler: JobScheduler,
    jobs_store: JobStore,
    jobs: HashMap<Job, JobId>,
    signals: mpsc::Sender<Signal>,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs.keys();
        f.debug_tuple("Scheduler").field(&jobs).finish()
    }
}

impl Scheduler {
    /// Starts the scheduler, which only ticks until schedules are [set](Self::set).
    pub(crate) async fn start() -> Result<(Self, mpsc::Receiver<Signal>), Error> {
        let jobs_store = JobStore::default();
        let (signals, receiver) = mpsc::channel(QUEUE);
        let scheduler = JobScheduler::new_with_storage_and_code(
            Box::new(jobs_store.clone()),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CHANNEL,
        )
        .await
        .map_err(Error::of("make the scheduler"))?;
        let scheduler = Self {
            scheduler,
            jobs_store,
            jobs: HashMap::new(),
            signals,
        };
        let tick: Schedule = TICK
            .parse()
            .unwrap_or_else(|_| unreachable!("it is a constant"));
        let signals = scheduler.signals.clone();
        scheduler
            .add(&tick, Tz::UTC, move || {
                // Whoever takes no signals is no better off with one more.
                let _ = signals.try_send(Signal::Tick);
            })
            .await
            .map_err(Error::of("add the tick"))?;
        let started = scheduler.scheduler.start().await;
        started.map_err(Error::of("start the scheduler"))?;
        Ok((scheduler, receiver))
    }

    /// Makes these the schedules: others go, new and changed ones come, and those that are as they
    /// were stay untouched. After an error, setting them again does what is left to do.
    pub(crate) async fn set(&mut self, entries: &[ScheduleEntry]) -> Result<(), Error> {
        let entry_of: HashMap<&Job, &ScheduleEntry> =
            entries.iter().map(|entry| (&entry.job, entry)).collect();
        let is_kept = |job: &Job, id: JobId| {
            let entry = entry_of.get(job);
            entry.is_some_and(|entry| self.jobs_store.has(id, &entry.schedule, entry.zone))
        };
        let gone: Vec<(Job, JobId)> = self
            .jobs
            .iter()
            .filter(|(job, id)| !is_kept(job, **id))
            .map(|(job, id)| (job.clone(), *id))
            .collect();
        for (job, id) in gone {
            let removed = self.scheduler.remove(&id).await;
            removed.map_err(Error::of(format!("remove {job}")))?;
            self.jobs.remove(&job);
        }
        for entry in entries {
            let ScheduleEntry {
                job,
                schedule,
                zone,
            } = entry;
            if self.jobs.contains_key(job) {
                continue;
            }
            let mut ticker = Ticker {
                entry: entry.clone(),
                last: None,
                signals: self.signals.clone(),
            };
            let run = move || ticker.run(Utc::now());
            let added = self.add(schedule, *zone, run).await;
            let id = added.map_err(Error::of(format!("add {job}")))?;
            self.jobs.insert(job.clone(), id);
        }
        Ok(())
    }

    /// When a job is due next.
    #[cfg(test)]
    fn next(&self, job: &Job) -> Option<DateTime<Utc>> {
        self.jobs_store.next(*self.jobs.get(job)?)
    }

    /// Stops the scheduler. A signal may still arrive after it.
    pub(crate) async fn shutdown(mut self) -> Result<(), Error> {
        let stopped = self.scheduler.shutdown().await;
        stopped.map_err(Error::of("stop the scheduler"))
    }

    async fn add(
        &self,
        schedule: &Schedule,
        zone: Tz,
        mut run: impl FnMut() + Send + Sync + 'static,
    ) -> Result<JobId, JobSchedulerError> {
        let job = CronJob::new_tz(schedule.with_seconds(), zone, move |_, _| run())?;
        let id = job.guid();
        self.jobs_store
            .enter(id, schedule.clone(), zone, Utc::now());
        self.scheduler.add(job).await
    }
}

/// Sends the signals of one schedule.
struct Ticker {
    entry: ScheduleEntry,
    last: Option<DateTime<Utc>>,
    signals: mpsc::Sender<Signal>,
}

impl Ticker {
    fn run(&mut self, now: DateTime<Utc>) {
        let ScheduleEntry {
            job,
            schedule,
            zone,
        } = &self.entry;
        let at = schedule.last_before(now, *zone).unwrap_or(now);
        // The scheduler may start a job twice for one time of its schedule.
        if self.last.replace(at) == Some(at) {
            return;
        }
        let job = job.clone();
        if let Err(TrySendError::Full(signal)) = self.signals.try_send(Signal::Due { job, at }) {
            tracing::warn!(
                ?signal,
                "a scheduled run is dropped: too many wait to start"
            );
        }
    }
}

#[cfg(test)]
mod tests;
