//! The scheduler: says when something is due, and that it moves. What is done then is decided
//! elsewhere.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, MetaDataStorage, SimpleJobCode, SimpleMetadataStore,
    SimpleNotificationCode, SimpleNotificationStore,
    job::job_data::{JobAndNextTick, JobStoredData},
    store::{DataStore, InitStore},
};
use uuid::Uuid;

use crate::config::Schedule;

/// Signals that wait for the daemon's loop.
const SIGNALS: usize = 1024;
/// Jobs that may come due at one moment: what the scheduler cannot hold, it loses.
const JOBS: usize = 16384;
/// How often the scheduler says that it moves.
const BEAT: &str = "*/2 * * * * *";

/// What the scheduler says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Something is due.
    Tick(Arc<str>),
    /// The scheduler moves.
    Beat,
}

/// The one scheduler of the process.
pub(super) struct Clockwork {
    scheduler: JobScheduler,
    times: Times,
    jobs: HashMap<Arc<str>, (Uuid, Schedule, Tz)>,
    signals: mpsc::Sender<Signal>,
}

/// When each job is next due: by our own reckoning, which is right over changes of the clock.
type Times = Arc<Mutex<HashMap<Uuid, (Schedule, Tz)>>>;

impl Clockwork {
    /// Starts to beat; nothing is due yet.
    pub(super) async fn start() -> Result<(Self, mpsc::Receiver<Signal>), JobSchedulerError> {
        let times = Times::default();
        let storage = Storage {
            inner: SimpleMetadataStore::default(),
            times: times.clone(),
        };
        let scheduler = JobScheduler::new_with_storage_and_code(
            Box::new(storage),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            JOBS,
        )
        .await?;
        let (signals, inbox) = mpsc::channel(SIGNALS);
        let clockwork = Self {
            scheduler,
            times,
            jobs: HashMap::new(),
            signals,
        };
        clockwork.add(Signal::Beat, BEAT, None).await?;
        clockwork.scheduler.start().await?;
        Ok((clockwork, inbox))
    }

    /// From now on these are due, each at its times; what was due at the same times stays as it is.
    pub(super) async fn set(
        &mut self,
        entries: &[(Arc<str>, Schedule)],
        zone: Tz,
    ) -> Result<(), JobSchedulerError> {
        let wanted: HashMap<&Arc<str>, &Schedule> = entries
            .iter()
            .map(|(name, schedule)| (name, schedule))
            .collect();
        let is_kept = |name: &Arc<str>, (_, schedule, theirs): &(Uuid, Schedule, Tz)| {
            *theirs == zone && wanted.get(name).is_some_and(|wanted| *wanted == schedule)
        };
        let gone: Vec<Uuid> = self
            .jobs
            .extract_if(|name, job| !is_kept(name, job))
            .map(|(_, (id, ..))| id)
            .collect();
        for id in gone {
            self.scheduler.remove(&id).await?;
            self.lock_times().remove(&id);
        }
        for (name, schedule) in entries {
            if !self.jobs.contains_key(name) {
                let tick = Signal::Tick(name.clone());
                let times = Some((schedule.clone(), zone));
                let id = self.add(tick, schedule.with_seconds(), times).await?;
                self.jobs.insert(name.clone(), (id, schedule.clone(), zone));
            }
        }
        Ok(())
    }

    /// Ends; nothing is due any more.
    pub(super) async fn shutdown(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not end well");
        }
    }

    /// Adds a job that does nothing but say that it is due.
    async fn add(
        &self,
        signal: Signal,
        pattern: &str,
        times: Option<(Schedule, Tz)>,
    ) -> Result<Uuid, JobSchedulerError> {
        let signals = self.signals.clone();
        let job = Job::new_async(pattern, move |_, _| {
            let (signals, signal) = (signals.clone(), signal.clone());
            Box::pin(async move {
                if signals.try_send(signal).is_err() {
                    tracing::error!("the daemon does not keep up with its schedule");
                }
            })
        })?;
        // The scheduler stores the job as it is added, and is told the right time then.
        if let Some(times) = times {
            self.lock_times().insert(job.guid(), times);
        }
        self.scheduler.add(job).await
    }

    fn lock_times(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (Schedule, Tz)>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scheduler's storage, which puts its times right: the scheduler reckons with the offset that a
/// zone had when the job was made, and is an hour off once the clock is put.
struct Storage {
    inner: SimpleMetadataStore,
    times: Times,
}

type Promise<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

impl Storage {
    fn next(&self, id: Uuid, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let (schedule, zone) = times.get(&id)?;
        schedule.next_after(after, *zone)
    }
}

impl DataStore<JobStoredData> for Storage {
    fn get(&mut self, id: Uuid) -> Promise<Option<JobStoredData>> {
        self.inner.get(id)
    }

    fn add_or_update(&mut self, mut data: JobStoredData) -> Promise<()> {
        if data.last_tick.is_none()
            && let Some(id) = data.id.map(Uuid::from)
            && let Some(next) = self.next(id, Utc::now())
        {
            data.next_tick = next.timestamp().try_into().unwrap_or_default();
        }
        self.inner.add_or_update(data)
    }

    fn delete(&mut self, id: Uuid) -> Promise<()> {
        self.inner.delete(id)
    }
}

impl InitStore for Storage {
    fn init(&mut self) -> Promise<()> {
        self.inner.init()
    }

    fn inited(&mut self) -> Promise<bool> {
        self.inner.inited()
    }
}

impl MetaDataStorage for Storage {
    fn list_next_ticks(&mut self) -> Promise<Vec<JobAndNextTick>> {
        self.inner.list_next_ticks()
    }

    fn set_next_and_last_tick(
        &mut self,
        id: Uuid,
        next: Option<DateTime<Utc>>,
        last: Option<DateTime<Utc>>,
    ) -> Promise<()> {
        let next = self.next(id, last.unwrap_or_else(Utc::now)).or(next);
        self.inner.set_next_and_last_tick(id, next, last)
    }

    fn time_till_next_job(&mut self) -> Promise<Option<std::time::Duration>> {
        self.inner.time_till_next_job()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    async fn next_tick(inbox: &mut mpsc::Receiver<Signal>) -> Arc<str> {
        loop {
            let signal = timeout(Duration::from_secs(20), inbox.recv()).await;
            if let Signal::Tick(name) = signal.expect("the scheduler is silent").unwrap() {
                return name;
            }
        }
    }

    #[tokio::test]
    async fn what_is_due_is_said_and_what_left_is_not() {
        let (mut clockwork, mut inbox) = Clockwork::start().await.unwrap();
        let every_second = schedule("* * * * * *");
        let entry = |name: &str| (Arc::from(name), every_second.clone());
        clockwork.set(&[entry("a")], Tz::UTC).await.unwrap();
        assert_eq!(&*next_tick(&mut inbox).await, "a");
        clockwork.set(&[entry("b")], Tz::UTC).await.unwrap();
        while &*next_tick(&mut inbox).await != "b" {}
        for _ in 0..2 {
            assert_eq!(&*next_tick(&mut inbox).await, "b");
        }
        clockwork.shutdown().await;
    }

    #[tokio::test]
    async fn the_scheduler_says_that_it_moves() {
        let (clockwork, mut inbox) = Clockwork::start().await.unwrap();
        let beat = timeout(Duration::from_secs(20), inbox.recv()).await;
        assert_eq!(beat.unwrap(), Some(Signal::Beat));
        clockwork.shutdown().await;
    }

    #[tokio::test]
    async fn a_job_that_stays_keeps_its_place_and_one_with_other_times_does_not() {
        let (mut clockwork, _inbox) = Clockwork::start().await.unwrap();
        let entry = |name: &str, text: &str| (Arc::from(name), schedule(text));
        let id = |clockwork: &Clockwork, name: &str| clockwork.jobs[name].0;
        let before = [entry("a", "@daily"), entry("b", "@daily")];
        clockwork.set(&before, Tz::UTC).await.unwrap();
        let (a, b) = (id(&clockwork, "a"), id(&clockwork, "b"));
        let after = [entry("a", "@daily"), entry("b", "@hourly")];
        clockwork.set(&after, Tz::UTC).await.unwrap();
        assert_eq!(id(&clockwork, "a"), a);
        assert_ne!(id(&clockwork, "b"), b);
        clockwork.shutdown().await;
    }

    #[tokio::test]
    async fn the_next_time_is_right_over_a_change_of_the_clock() {
        let times = Times::default();
        let mut storage = Storage {
            inner: SimpleMetadataStore::default(),
            times: times.clone(),
        };
        let id = Uuid::from_u128(7);
        let zone = chrono_tz::Europe::Berlin;
        times
            .lock()
            .unwrap()
            .insert(id, (schedule("30 9 * * *"), zone));
        let data = JobStoredData {
            id: Some(id.into()),
            last_updated: None,
            last_tick: None,
            next_tick: 1,
            job_type: 0,
            count: 0,
            extra: Vec::new(),
            ran: false,
            stopped: false,
            job: None,
            time_offset_seconds: 3600,
        };
        storage.add_or_update(data).await.unwrap();
        // The last run before the clock is put, and what the scheduler makes of it: an hour late.
        let last: DateTime<Utc> = "2026-03-28T08:30:00Z".parse().unwrap();
        let late = Some(last + chrono::TimeDelta::hours(24));
        storage
            .set_next_and_last_tick(id, late, Some(last))
            .await
            .unwrap();
        let next = storage.get(id).await.unwrap().unwrap().next_tick;
        let right: DateTime<Utc> = "2026-03-29T07:30:00Z".parse().unwrap();
        assert_eq!(next, u64::try_from(right.timestamp()).unwrap());
    }
}
