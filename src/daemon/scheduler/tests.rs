use std::time::Duration;

use tokio::time::timeout;

use crate::daemon::scheduler::*;

/// More than any tick here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn job(name: &str) -> Job {
    Job::Mirror(name.into())
}

fn entry(name: &str, schedule: &str) -> ScheduleEntry {
    ScheduleEntry {
        job: job(name),
        schedule: schedule.parse().unwrap(),
        zone: Tz::UTC,
    }
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn next_signal(signals: &mut mpsc::Receiver<Signal>) -> Signal {
    timeout(DEADLINE, signals.recv()).await.unwrap().unwrap()
}

async fn next_tick(signals: &mut mpsc::Receiver<Signal>) -> (Job, DateTime<Utc>) {
    loop {
        if let Signal::Due { job, at } = next_signal(signals).await {
            return (job, at);
        }
    }
}

#[tokio::test]
async fn jobs_are_due_in_order() {
    let (mut scheduler, mut signals) = Scheduler::start().await.unwrap();
    let before = Utc::now();
    let set = scheduler.set(&[entry("a", "* * * * * *")]).await;
    set.unwrap();
    let mut last = before;
    for _ in 0..3 {
        let (name, at) = next_tick(&mut signals).await;
        assert_eq!((name, at.timestamp_subsec_nanos()), (job("a"), 0));
        assert!(at > last && at <= Utc::now(), "{at} after {last}");
        last = at;
    }
    scheduler.shutdown().await.unwrap();
}

#[tokio::test]
async fn fixed_interval_ticks_at_its_multiples() {
    let (mut scheduler, mut signals) = Scheduler::start().await.unwrap();
    let every = ScheduleEntry {
        schedule: Schedule::every(Duration::from_secs(2)).unwrap(),
        ..entry("a", "@daily")
    };
    let set = scheduler.set(&[every]).await;
    set.unwrap();
    let (_, first) = next_tick(&mut signals).await;
    let (_, second) = next_tick(&mut signals).await;
    assert_eq!(first.timestamp() % 2, 0);
    assert_eq!((second - first).num_seconds() % 2, 0);
    assert!(second > first);
    scheduler.shutdown().await.unwrap();
}

#[tokio::test]
async fn ticks_without_schedules() {
    let (scheduler, mut signals) = Scheduler::start().await.unwrap();
    for _ in 0..2 {
        assert_eq!(next_signal(&mut signals).await, Signal::Tick);
    }
    scheduler.shutdown().await.unwrap();
}

#[tokio::test]
async fn starts_all_jobs_of_one_second() {
    let (mut scheduler, mut signals) = Scheduler::start().await.unwrap();
    let names: Vec<String> = (0..600).map(|number| format!("m{number}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| entry(name, "*/3 * * * * *"))
        .collect();
    scheduler.set(&entries).await.unwrap();
    let mut ticks: HashMap<Job, u32> = HashMap::new();
    while ticks.len() < names.len() {
        let (name, _) = next_tick(&mut signals).await;
        let count = ticks.entry(name).or_default();
        *count += 1;
        assert!(*count < 3, "some ticked again and again, others never");
    }
}

#[tokio::test]
async fn keeps_unchanged_jobs() {
    let (mut scheduler, _signals) = Scheduler::start().await.unwrap();
    let first = [
        entry("a", "@daily"),
        entry("b", "@daily"),
        entry("c", "@daily"),
    ];
    scheduler.set(&first).await.unwrap();
    let before = scheduler.jobs.clone();
    let mut changed = entry("b", "@daily");
    changed.zone = chrono_tz::Asia::Shanghai;
    let second = [entry("a", "0 0 * * *"), changed, entry("d", "@hourly")];
    scheduler.set(&second).await.unwrap();
    let id = |name: &str| scheduler.jobs.get(&job(name)).copied();
    assert_eq!(id("a"), before.get(&job("a")).copied());
    assert_ne!(id("b"), before.get(&job("b")).copied());
    assert_eq!((id("c"), id("d").is_some()), (None, true));
    assert_eq!(scheduler.jobs_store.next(before[&job("c")]), None);
    assert_eq!(scheduler.jobs_store.next(before[&job("b")]), None);
}

#[tokio::test]
async fn knows_first_run() {
    let (mut scheduler, _signals) = Scheduler::start().await.unwrap();
    let zone = chrono_tz::Europe::Berlin;
    let daily = ScheduleEntry {
        zone,
        ..entry("a", "7 9 * * *")
    };
    let before = daily.schedule.next_after(Utc::now(), zone);
    scheduler.set(std::slice::from_ref(&daily)).await.unwrap();
    let next = scheduler.next(&job("a"));
    assert!(next == before || next == daily.schedule.next_after(Utc::now(), zone));
    assert_eq!(scheduler.next(&job("b")), None);
}

#[tokio::test]
async fn stops_removed_jobs() {
    let (mut scheduler, mut signals) = Scheduler::start().await.unwrap();
    scheduler
        .set(&[entry("a", "* * * * * *"), entry("b", "* * * * * *")])
        .await
        .unwrap();
    while next_tick(&mut signals).await.0 != job("a") {}
    scheduler.set(&[entry("b", "* * * * * *")]).await.unwrap();
    let removed_at = Utc::now();
    let (mut late, mut others) = (0, 0);
    while others < 4 {
        let (name, at) = next_tick(&mut signals).await;
        let count = if name == job("a") {
            &mut late
        } else {
            &mut others
        };
        *count += u32::from(at > removed_at);
    }
    // One may have been on its way.
    assert!(late < 2, "{late} ticks after the end");
}

fn ticker(schedule: &str, room: usize) -> (Ticker, mpsc::Receiver<Signal>) {
    let (signals, receiver) = mpsc::channel(room);
    let ticker = Ticker {
        entry: entry("a", schedule),
        last: None,
        signals,
    };
    (ticker, receiver)
}

#[test]
fn starts_job_once_per_time() {
    let (mut ticker, mut signals) = ticker("@hourly", 9);
    for now in ["05:00:00.4", "05:00:00.9", "06:00:00.2"] {
        ticker.run(utc(&format!("2026-05-05T{now}Z")));
    }
    drop(ticker);
    let fired = std::iter::from_fn(|| signals.try_recv().ok());
    let times: Vec<DateTime<Utc>> = fired
        .map(|signal| match signal {
            Signal::Due { at, .. } => at,
            Signal::Tick => panic!("a tick"),
        })
        .collect();
    assert_eq!(
        times,
        [utc("2026-05-05T05:00:00Z"), utc("2026-05-05T06:00:00Z")]
    );
}

#[test]
fn drops_signals_that_have_no_room() {
    let (mut ticker, mut signals) = ticker("@hourly", 2);
    for hour in 1..6 {
        ticker.run(utc(&format!("2026-05-05T0{hour}:00:00Z")));
    }
    drop(ticker);
    assert_eq!(std::iter::from_fn(|| signals.try_recv().ok()).count(), 2);
}
