use tokio_cron_scheduler::job::job_data::JobType;

use crate::daemon::scheduler::job_store::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn id(number: u64) -> JobId {
    JobId::from_u64_pair(1, number)
}

/// A timetable with one job more, as the scheduler adds it.
async fn enter(timetable: &mut JobStore, number: u64, schedule: &str, zone: Tz, now: &str) {
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
    let mut timetable = JobStore::default();
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
async fn keeps_local_time_across_dst() {
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
async fn limits_jobs_due_at_once() {
    let mut timetable = JobStore::default();
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
async fn survives_clock_set_back() {
    let mut timetable = JobStore::default();
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
async fn refuses_unknown_jobs() {
    let mut timetable = JobStore::default();
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
