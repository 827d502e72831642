//! When each job of the scheduler is next, which the scheduler asks and does not reckon itself.

use std::{
    collections::HashMap,
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
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
/// each one on through channels that hold [`CHANNEL`] messages, and loses what is more.
const MOST_DUE: usize = 256;

/// Messages that each channel of the scheduler holds: for one job it sends up to three at once.
pub(super) const CHANNEL: usize = MOST_DUE * 4;

/// A clock that was set back by more than this has its ticks reckoned anew.
const SET_BACK: TimeDelta = TimeDelta::minutes(1);

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

/// The storage that the scheduler keeps its jobs in.
///
/// The scheduler would reckon the next tick of a job with the offset from UTC that its zone had
/// when the job was made, and so is wrong from the next change of the clocks on. Whatever it wants
/// to store, the next tick stored here is that of the [`Schedule`].
#[derive(Clone, Default)]
pub(super) struct Timetable(Arc<Mutex<HashMap<JobId, Line>>>);

/// One job.
struct Line {
    schedule: Schedule,
    zone: Tz,
    next: Option<DateTime<Utc>>,
    /// The moment from which the next tick was reckoned.
    reckoned_at: DateTime<Utc>,
    data: Option<JobStoredData>,
}

impl Line {
    fn reckon(&mut self, now: DateTime<Utc>) {
        self.next = self.schedule.next_after(now, self.zone);
        self.reckoned_at = now;
    }
}

impl Timetable {
    /// Enters a job, which the scheduler is told of next.
    pub(super) fn enter(&self, id: JobId, schedule: Schedule, zone: Tz, now: DateTime<Utc>) {
        let mut line = Line {
            schedule,
            zone,
            next: None,
            reckoned_at: now,
            data: None,
        };
        line.reckon(now);
        self.lines().insert(id, line);
    }

    /// Whether a job goes by this schedule.
    pub(super) fn is_by(&self, id: JobId, schedule: &Schedule, zone: Tz) -> bool {
        let lines = self.lines();
        lines
            .get(&id)
            .is_some_and(|line| line.schedule == *schedule && line.zone == zone)
    }

    /// The next tick of a job.
    #[cfg(test)]
    pub(super) fn next(&self, id: JobId) -> Option<DateTime<Utc>> {
        self.lines().get(&id)?.next
    }

    /// The jobs that are due, the longest waiting first.
    fn due(&self, now: DateTime<Utc>) -> Vec<JobAndNextTick> {
        let mut lines = self.lines();
        let mut due = Vec::new();
        for line in lines.values_mut() {
            if now + SET_BACK < line.reckoned_at {
                line.reckon(now);
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
            line.reckon(at);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<JobId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(moment: DateTime<Utc>) -> u64 {
    moment.timestamp().try_into().unwrap_or_default()
}

impl InitStore for Timetable {
    fn init(&mut self) -> Answer<()> {
        Box::pin(ready(Ok(())))
    }

    fn inited(&mut self) -> Answer<bool> {
        Box::pin(ready(Ok(true)))
    }
}

impl DataStore<JobStoredData> for Timetable {
    fn get(&mut self, id: JobId) -> Answer<Option<JobStoredData>> {
        let data = self.lines().get(&id).and_then(|line| line.data.clone());
        Box::pin(ready(Ok(data)))
    }

    fn add_or_update(&mut self, data: JobStoredData) -> Answer<()> {
        let id: Option<JobId> = data.id.map(JobId::from);
        let mut lines = self.lines();
        let line = id.and_then(|id| lines.get_mut(&id));
        let added = line.ok_or(JobSchedulerError::CantAdd).map(|line| {
            // Without the expression the scheduler reckons nothing that is not used.
            line.data = Some(JobStoredData { job: None, ..data });
        });
        Box::pin(ready(added))
    }

    fn delete(&mut self, id: JobId) -> Answer<()> {
        self.lines().remove(&id);
        Box::pin(ready(Ok(())))
    }
}

impl MetaDataStorage for Timetable {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        Box::pin(ready(Ok(self.due(Utc::now()))))
    }

    fn set_next_and_last_tick(
        &mut self,
        id: JobId,
        _reckoned_by_the_scheduler: Option<DateTime<Utc>>,
        last_tick: Option<DateTime<Utc>>,
    ) -> Answer<()> {
        self.ticked(id, last_tick.unwrap_or_else(Utc::now));
        Box::pin(ready(Ok(())))
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        let next = self.lines().values().filter_map(|line| line.next).min();
        let left = next.map(|next| (next - Utc::now()).to_std().unwrap_or_default());
        Box::pin(ready(Ok(left)))
    }
}

#[cfg(test)]
mod tests {
    use tokio_cron_scheduler::job::job_data::JobType;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn id(number: u64) -> JobId {
        JobId::from_u64_pair(1, number)
    }

    /// A timetable with one job more, as the scheduler adds it.
    async fn enter(timetable: &mut Timetable, number: u64, schedule: &str, zone: Tz, now: &str) {
        timetable.enter(id(number), schedule.parse().unwrap(), zone, utc(now));
        let data = JobStoredData {
            id: Some(id(number).into()),
            last_updated: None,
            last_tick: None,
            next_tick: 0,
            job_type: JobType::Cron.into(),
            count: 0,
            extra: Vec::new(),
            ran: false,
            stopped: false,
            job: None,
            time_offset_seconds: 0,
        };
        timetable.add_or_update(data).await.unwrap();
    }

    /// The ticks of a job one after the other, when the scheduler starts it a little late and
    /// stores what it would have reckoned itself.
    async fn ticks(schedule: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let mut timetable = Timetable::default();
        enter(&mut timetable, 0, schedule, zone, from).await;
        let mut ticks = Vec::new();
        for _ in 0..count {
            let tick = timetable.next(id(0)).unwrap();
            assert!(timetable.due(tick - TimeDelta::milliseconds(1)).is_empty());
            let started = tick + TimeDelta::milliseconds(480);
            assert_eq!(timetable.due(started).len(), 1);
            let wrong = Some(started + TimeDelta::hours(25));
            timetable
                .set_next_and_last_tick(id(0), wrong, Some(started))
                .await
                .unwrap();
            let local = tick.with_timezone(&zone);
            ticks.push(local.format("%d %H:%M%z").to_string());
        }
        ticks
    }

    #[tokio::test]
    async fn ticks_stay_at_their_local_time_when_the_clocks_change() {
        let zone = chrono_tz::America::New_York;
        assert_eq!(
            ticks("7 9 * * *", zone, "2026-03-07T12:00:00Z", 3).await,
            ["07 09:07-0500", "08 09:07-0400", "09 09:07-0400"]
        );
        assert_eq!(
            ticks("30 2 * * *", zone, "2026-03-07T05:00:00Z", 3).await,
            ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]
        );
        assert_eq!(
            ticks("30 1 * * *", zone, "2026-10-31T05:00:00Z", 3).await,
            ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]
        );
        assert_eq!(
            ticks("0 * * * *", zone, "2026-11-01T04:30:00Z", 4).await,
            [
                "01 01:00-0400",
                "01 01:00-0500",
                "01 02:00-0500",
                "01 03:00-0500"
            ]
        );
    }

    #[tokio::test]
    async fn no_more_jobs_are_due_at_once_than_the_scheduler_can_pass_on() {
        let mut timetable = Timetable::default();
        let jobs = MOST_DUE as u64 + 10;
        for number in 0..jobs {
            let hour = if number < jobs - 5 { 5 } else { 4 };
            let daily = format!("0 {hour} * * *");
            enter(
                &mut timetable,
                number,
                &daily,
                Tz::UTC,
                "2026-05-05T00:00:00Z",
            )
            .await;
        }
        let now = utc("2026-05-05T05:00:00Z");
        let first = timetable.due(now);
        assert_eq!(first.len(), MOST_DUE);
        let waiting = first.iter().take(5).map(|job| job.next_tick);
        assert!(waiting.eq([seconds(utc("2026-05-05T04:00:00Z")); 5]));
        for job in first {
            timetable.ticked(job.id.unwrap().into(), now);
        }
        assert_eq!(timetable.due(now).len(), 10);
    }

    #[tokio::test]
    async fn a_clock_that_was_far_ahead_stops_no_schedule() {
        let mut timetable = Timetable::default();
        enter(
            &mut timetable,
            0,
            "@hourly",
            Tz::UTC,
            "2030-01-01T00:30:00Z",
        )
        .await;
        assert!(timetable.due(utc("2026-05-05T05:10:00Z")).is_empty());
        assert_eq!(timetable.next(id(0)), Some(utc("2026-05-05T06:00:00Z")));
        assert!(timetable.due(utc("2026-05-05T05:09:30Z")).is_empty());
        assert_eq!(timetable.due(utc("2026-05-05T06:00:00Z")).len(), 1);
    }

    #[tokio::test]
    async fn a_job_that_was_not_entered_is_refused_and_one_that_left_is_forgotten() {
        let mut timetable = Timetable::default();
        let now = "2026-05-05T00:00:00Z";
        enter(&mut timetable, 0, "@hourly", Tz::UTC, now).await;
        let data = timetable.get(id(0)).await.unwrap().unwrap();
        timetable.delete(id(0)).await.unwrap();
        assert!(timetable.get(id(0)).await.unwrap().is_none());
        assert!(timetable.due(utc("2027-01-01T00:00:00Z")).is_empty());
        assert!(timetable.add_or_update(data).await.is_err());
        let late = timetable.set_next_and_last_tick(id(0), None, None).await;
        assert!(late.is_ok() && timetable.next(id(0)).is_none());
    }
}
