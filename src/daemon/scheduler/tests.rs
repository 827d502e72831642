use std::time::Duration;

use tokio::time::timeout;

use crate::daemon::scheduler::*;

/// More than any tick here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn entry(name: &str, schedule: &str) -> (Arc<str>, Schedule, Tz) {
    (name.into(), schedule.parse().unwrap(), Tz::UTC)
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn next_signal(signals: &mut mpsc::Receiver<Signal>) -> Signal {
    timeout(DEADLINE, signals.recv()).await.unwrap().unwrap()
}

async fn next_tick(signals: &mut mpsc::Receiver<Signal>) -> (Arc<str>, DateTime<Utc>) {
    loop {
        if let Signal::Tick { name, at } = next_signal(signals).await {
            return (name, at);
        }
    }
}

#[tokio::test]
async fn ticks_arrive_in_order_and_none_twice() {
    let (mut clockwork, mut signals) = Scheduler::start().await.unwrap();
    let before = Utc::now();
    let set = clockwork.set(&[entry("a", "* * * * * *")]).await;
    set.unwrap();
    let mut last = before;
    for _ in 0..3 {
        let (name, at) = next_tick(&mut signals).await;
        assert_eq!((&*name, at.timestamp_subsec_nanos()), ("a", 0));
        assert!(at > last && at <= Utc::now(), "{at} after {last}");
        last = at;
    }
    assert_eq!(clockwork.lost_ticks(), 0);
    clockwork.shutdown().await.unwrap();
}

#[tokio::test]
async fn fixed_interval_ticks_at_its_multiples() {
    let (mut clockwork, mut signals) = Scheduler::start().await.unwrap();
    let every = Schedule::every(Duration::from_secs(2)).unwrap();
    let set = clockwork.set(&[("a".into(), every, Tz::UTC)]).await;
    set.unwrap();
    let (_, first) = next_tick(&mut signals).await;
    let (_, second) = next_tick(&mut signals).await;
    assert_eq!(first.timestamp() % 2, 0);
    assert_eq!((second - first).num_seconds() % 2, 0);
    assert!(second > first);
    clockwork.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_scheduler_beats_even_without_schedules() {
    let (clockwork, mut signals) = Scheduler::start().await.unwrap();
    for _ in 0..2 {
        assert_eq!(next_signal(&mut signals).await, Signal::Beat);
    }
    clockwork.shutdown().await.unwrap();
}

#[tokio::test]
async fn jobs_that_fall_due_together_all_tick() {
    let (mut clockwork, mut signals) = Scheduler::start().await.unwrap();
    let names: Vec<String> = (0..600).map(|number| format!("m{number}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| entry(name, "*/3 * * * * *"))
        .collect();
    clockwork.set(&entries).await.unwrap();
    let mut ticks: HashMap<Arc<str>, u32> = HashMap::new();
    while ticks.len() < names.len() {
        let (name, _) = next_tick(&mut signals).await;
        let count = ticks.entry(name).or_default();
        *count += 1;
        assert!(*count < 3, "some ticked again and again, others never");
    }
    assert_eq!(clockwork.lost_ticks(), 0);
}

#[tokio::test]
async fn what_stays_the_same_is_left_alone() {
    let (mut clockwork, _signals) = Scheduler::start().await.unwrap();
    let first = [
        entry("a", "@daily"),
        entry("b", "@daily"),
        entry("c", "@daily"),
    ];
    clockwork.set(&first).await.unwrap();
    let before = clockwork.jobs.clone();
    let mut changed = entry("b", "@daily");
    changed.2 = chrono_tz::Asia::Shanghai;
    let second = [entry("a", "0 0 * * *"), changed, entry("d", "@hourly")];
    clockwork.set(&second).await.unwrap();
    let id = |name: &str| clockwork.jobs.get(name).copied();
    assert_eq!(id("a"), before.get("a").copied());
    assert_ne!(id("b"), before.get("b").copied());
    assert_eq!((id("c"), id("d").is_some()), (None, true));
    assert_eq!(clockwork.timetable.next(before["c"]), None);
    assert_eq!(clockwork.timetable.next(before["b"]), None);
}

#[tokio::test]
async fn the_next_tick_is_known_before_the_first() {
    let (mut clockwork, _signals) = Scheduler::start().await.unwrap();
    let (name, schedule, _) = entry("a", "7 9 * * *");
    let zone = chrono_tz::Europe::Berlin;
    let before = schedule.next_after(Utc::now(), zone);
    clockwork
        .set(&[(name, schedule.clone(), zone)])
        .await
        .unwrap();
    let next = clockwork.next("a");
    assert!(next == before || next == schedule.next_after(Utc::now(), zone));
    assert_eq!(clockwork.next("b"), None);
}

#[tokio::test]
async fn a_schedule_that_left_ticks_no_more() {
    let (mut clockwork, mut signals) = Scheduler::start().await.unwrap();
    clockwork
        .set(&[entry("a", "* * * * * *"), entry("b", "* * * * * *")])
        .await
        .unwrap();
    while &*next_tick(&mut signals).await.0 != "a" {}
    clockwork.set(&[entry("b", "* * * * * *")]).await.unwrap();
    let removed_at = Utc::now();
    let (mut late, mut others) = (0, 0);
    while others < 4 {
        let (name, at) = next_tick(&mut signals).await;
        let count = if &*name == "a" {
            &mut late
        } else {
            &mut others
        };
        *count += u32::from(at > removed_at);
    }
    // One may have been on its way.
    assert!(late < 2, "{late} ticks after the end");
}

fn bell(schedule: &str, room: usize) -> (Ticker, mpsc::Receiver<Signal>) {
    let (signals, receiver) = mpsc::channel(room);
    let bell = Ticker {
        name: "a".into(),
        schedule: schedule.parse().unwrap(),
        zone: Tz::UTC,
        last: None,
        signals,
        lost: Arc::default(),
    };
    (bell, receiver)
}

#[test]
fn a_job_that_is_started_twice_for_a_tick_tells_it_once() {
    let (mut bell, mut signals) = bell("@hourly", 9);
    for now in ["05:00:00.4", "05:00:00.9", "06:00:00.2"] {
        bell.ring(utc(&format!("2026-05-05T{now}Z")));
    }
    drop(bell);
    let told = std::iter::from_fn(|| signals.try_recv().ok());
    let times: Vec<DateTime<Utc>> = told
        .map(|signal| match signal {
            Signal::Tick { at, .. } => at,
            Signal::Beat => panic!("a beat"),
        })
        .collect();
    assert_eq!(
        times,
        [utc("2026-05-05T05:00:00Z"), utc("2026-05-05T06:00:00Z")]
    );
}

#[test]
fn ticks_that_nobody_takes_are_counted_and_never_waited_for() {
    let (mut bell, signals) = bell("@hourly", 2);
    for hour in 1..6 {
        bell.ring(utc(&format!("2026-05-05T0{hour}:00:00Z")));
    }
    assert_eq!(bell.lost.load(Ordering::Relaxed), 3);
    // When the daemon ends, nothing is lost that anybody would want.
    drop(signals);
    bell.ring(utc("2026-05-05T07:00:00Z"));
    assert_eq!(bell.lost.load(Ordering::Relaxed), 3);
}
