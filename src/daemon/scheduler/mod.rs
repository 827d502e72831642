//! The clock of the daemon: every schedule is a job of one scheduler, and its ticks are messages.

pub(crate) mod job_store;
pub(crate) mod missed_runs;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore, job::JobId,
};

use crate::{
    config::Schedule,
    daemon::scheduler::job_store::{CHANNEL, Timetable},
};

/// Signals that may wait for the daemon.
const QUEUE: usize = 4096;

/// Often enough for a watchdog, and rare enough for an idle machine.
const BEAT: &str = "*/2 * * * * *";

/// What the clock tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A schedule has come to a tick.
    Tick {
        /// Whose schedule.
        name: Arc<str>,
        /// The moment that the schedule names, which has just passed.
        at: DateTime<Utc>,
    },
    /// The scheduler moves: it tells so every two seconds, by the way that ticks go.
    Beat,
}

/// Why the scheduler does not do as it is told.
#[derive(Debug, thiserror::Error)]
#[error("{action}: the scheduler says {error}")]
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

/// A running scheduler. It starts nothing itself: what a tick means is for the receiver of the
/// signals to decide, and a tick that nobody takes is lost, never waited for.
pub(crate) struct Scheduler {
    scheduler: JobScheduler,
    timetable: Timetable,
    jobs: HashMap<Arc<str>, JobId>,
    signals: mpsc::Sender<Signal>,
    lost: Arc<AtomicU64>,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.jobs.keys();
        f.debug_tuple("Clockwork").field(&names).finish()
    }
}

impl Scheduler {
    /// Starts the scheduler, which only beats until schedules are [set](Self::set).
    pub(crate) async fn start() -> Result<(Self, mpsc::Receiver<Signal>), Error> {
        let timetable = Timetable::default();
        let (signals, receiver) = mpsc::channel(QUEUE);
        let scheduler = JobScheduler::new_with_storage_and_code(
            Box::new(timetable.clone()),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CHANNEL,
        )
        .await
        .map_err(Error::of("make the scheduler"))?;
        let clockwork = Self {
            scheduler,
            timetable,
            jobs: HashMap::new(),
            signals,
            lost: Arc::default(),
        };
        let beat: Schedule = BEAT
            .parse()
            .unwrap_or_else(|_| unreachable!("it is a constant"));
        let signals = clockwork.signals.clone();
        clockwork
            .add(&beat, Tz::UTC, move || {
                // Whoever takes no signals is no better off with one more.
                let _ = signals.try_send(Signal::Beat);
            })
            .await
            .map_err(Error::of("add the beat"))?;
        let started = clockwork.scheduler.start().await;
        started.map_err(Error::of("start the scheduler"))?;
        Ok((clockwork, receiver))
    }

    /// Makes these the schedules: others go, new and changed ones come, and those that are as they
    /// were stay untouched. After an error, setting them again does what is left to do.
    pub(crate) async fn set(&mut self, entries: &[(Arc<str>, Schedule, Tz)]) -> Result<(), Error> {
        let wanted: HashMap<&Arc<str>, _> = entries
            .iter()
            .map(|(name, schedule, zone)| (name, (schedule, *zone)))
            .collect();
        let is_kept = |name: &Arc<str>, id: JobId| {
            wanted
                .get(name)
                .is_some_and(|(schedule, zone)| self.timetable.is_by(id, schedule, *zone))
        };
        let gone: Vec<(Arc<str>, JobId)> = self
            .jobs
            .iter()
            .filter(|(name, id)| !is_kept(name, **id))
            .map(|(name, id)| (name.clone(), *id))
            .collect();
        for (name, id) in gone {
            let removed = self.scheduler.remove(&id).await;
            removed.map_err(Error::of(format!("remove {name}")))?;
            self.jobs.remove(&name);
        }
        for (name, schedule, zone) in entries {
            if self.jobs.contains_key(name) {
                continue;
            }
            let mut bell = Ticker {
                name: name.clone(),
                schedule: schedule.clone(),
                zone: *zone,
                last: None,
                signals: self.signals.clone(),
                lost: self.lost.clone(),
            };
            let added = self
                .add(schedule, *zone, move || bell.ring(Utc::now()))
                .await;
            let id = added.map_err(Error::of(format!("add {name}")))?;
            self.jobs.insert(name.clone(), id);
        }
        Ok(())
    }

    /// When a schedule ticks next.
    #[cfg(test)]
    fn next(&self, name: &str) -> Option<DateTime<Utc>> {
        self.timetable.next(*self.jobs.get(name)?)
    }

    /// How many ticks were lost because nobody took the signals.
    #[cfg(test)]
    fn lost_ticks(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Stops the scheduler. The signals may not end by it: a tick may be on its way.
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
        let job = Job::new_tz(schedule.with_seconds(), zone, move |_, _| run())?;
        let id = job.guid();
        self.timetable.enter(id, schedule.clone(), zone, Utc::now());
        self.scheduler.add(job).await
    }
}

/// Tells the ticks of one schedule.
struct Ticker {
    name: Arc<str>,
    schedule: Schedule,
    zone: Tz,
    last: Option<DateTime<Utc>>,
    signals: mpsc::Sender<Signal>,
    lost: Arc<AtomicU64>,
}

impl Ticker {
    fn ring(&mut self, now: DateTime<Utc>) {
        let at = self.schedule.last_before(now, self.zone).unwrap_or(now);
        // The scheduler notes a tick beside starting the job, and may start it again until then.
        if self.last.replace(at) == Some(at) {
            return;
        }
        let name = self.name.clone();
        if let Err(TrySendError::Full(_)) = self.signals.try_send(Signal::Tick { name, at }) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(mirror = %self.name, %at, "a tick is lost: too many wait to be taken");
        }
    }
}

#[cfg(test)]
mod tests;
