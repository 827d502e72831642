//! Traffic and pulls that count for several workers.

use std::time::Duration;

use transship_cluster::{BudgetKey, QuotaDraw, QuotaGrant, QuotaKey, QuotaReport, Worker};

use crate::support::{HOUR, TOO_LONG, TestDatabase, publish, units, worker};

fn budget() -> BudgetKey {
    BudgetKey {
        egress: "hk".into(),
        period: "2026-12".into(),
    }
}

fn quota() -> QuotaKey {
    QuotaKey {
        registry: "docker.io".into(),
        account: "hk".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_not_overdrawn() {
    let database = TestDatabase::new().await;
    publish(&database.cluster().await, units(1)).await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let cluster = database.cluster().await;
        let worker = worker(&cluster, name).await;
        tasks.push(tokio::spawn(async move {
            let mut granted = 0;
            loop {
                let draw = worker
                    .limits()
                    .draw_budget(&budget(), 1000, 0..=70)
                    .await
                    .unwrap();
                if draw.granted_bytes == 0 {
                    return granted;
                }
                granted += draw.granted_bytes;
            }
        }));
    }
    let mut granted = 0;
    for task in tasks {
        granted += task.await.unwrap();
    }
    assert_eq!(granted, 1000);
}

#[tokio::test]
async fn crashes_lose_one_grant() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    let draw = a
        .limits()
        .draw_budget(&budget(), 100, 0..=10)
        .await
        .unwrap();
    assert_eq!((draw.granted_bytes, draw.drawn_bytes), (10, 10));
    // It dies and returns nothing.
    let draw = b
        .limits()
        .draw_budget(&budget(), 100, 0..=10)
        .await
        .unwrap();
    assert_eq!((draw.granted_bytes, draw.drawn_bytes), (10, 20));
    b.limits().return_budget(&budget(), 4).await.unwrap();
    assert_eq!(b.limits().budget_drawn(&budget()).await.unwrap(), 16);
    let draw = b
        .limits()
        .draw_budget(&budget(), 100, 0..=1000)
        .await
        .unwrap();
    assert_eq!((draw.granted_bytes, draw.drawn_bytes), (84, 100));
    // A larger budget, and a smaller one.
    let draw = b
        .limits()
        .draw_budget(&budget(), 110, 0..=1000)
        .await
        .unwrap();
    assert_eq!((draw.granted_bytes, draw.drawn_bytes), (10, 110));
    let draw = b.limits().draw_budget(&budget(), 50, 0..=10).await.unwrap();
    assert_eq!((draw.granted_bytes, draw.drawn_bytes), (0, 110));
}

#[tokio::test]
async fn draws_nothing_where_the_least_is_not_left() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    let draw = async |want| {
        let draw = a.limits().draw_budget(&budget(), 100, want).await.unwrap();
        (draw.granted_bytes, draw.drawn_bytes)
    };
    assert_eq!(draw(101..=200).await, (0, 0));
    assert_eq!(draw(60..=70).await, (70, 70));
    assert_eq!(draw(31..=41).await, (0, 70));
    assert_eq!(draw(30..=40).await, (30, 100));
}

#[tokio::test]
async fn periods_and_egresses_are_apart() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    a.limits().draw_budget(&budget(), 10, 0..=10).await.unwrap();
    let mut next = budget();
    next.period = "2027-01".into();
    assert_eq!(a.limits().budget_drawn(&next).await.unwrap(), 0);
    assert_eq!(
        a.limits()
            .draw_budget(&next, 10, 0..=10)
            .await
            .unwrap()
            .granted_bytes,
        10
    );
    let mut elsewhere = budget();
    elsewhere.egress = "sg".into();
    assert_eq!(
        a.limits()
            .draw_budget(&elsewhere, 10, 0..=10)
            .await
            .unwrap()
            .granted_bytes,
        10
    );
    assert_eq!(
        a.limits()
            .draw_budget(&elsewhere, 10, 0..=10)
            .await
            .unwrap()
            .granted_bytes,
        0
    );
}

fn report(remaining: u64) -> QuotaReport {
    QuotaReport {
        limit: 100,
        remaining,
        window: 6 * HOUR,
        age: Duration::ZERO,
    }
}

async fn draw(worker: &Worker, report: QuotaReport, held: u64, want: u64) -> QuotaGrant {
    let draw = QuotaDraw { held, want };
    let drawn = worker.limits().draw_quota(&quota(), report, draw).await;
    drawn.unwrap()
}

#[tokio::test]
async fn quotas_are_drawn_by_all() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    assert_eq!(draw(&a, report(12), 0, 5).await.granted, 5);
    assert_eq!(draw(&b, report(12), 0, 10).await.granted, 7);
    assert_eq!(draw(&b, report(12), 7, 1).await.granted, 0);
    // Two of five were pulled, as the registry reports; the others are given back.
    assert_eq!(draw(&a, report(10), 0, 0).await.granted, 0);
    assert_eq!(draw(&b, report(10), 7, 10).await.granted, 3);
}

#[tokio::test]
async fn late_report_raises_no_quota() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    assert_eq!(draw(&a, report(3), 0, 0).await.remaining, 3);
    let late = QuotaReport {
        age: Duration::from_secs(60),
        ..report(50)
    };
    assert_eq!(draw(&b, late, 0, 10).await.granted, 3);
    assert_eq!(draw(&b, report(50), 3, 10).await.granted, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_draws_share_a_quota() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let worker = worker(&database.cluster().await, name).await;
        tasks.push(tokio::spawn(async move {
            let mut held = 0;
            loop {
                let granted = draw(&worker, report(20), held, 3).await.granted;
                if granted == 0 {
                    return held;
                }
                held += granted;
            }
        }));
    }
    let mut held = 0;
    for task in tasks {
        held += task.await.unwrap();
    }
    assert_eq!(held, 20);
}

#[tokio::test]
async fn draws_of_dead_workers_come_back() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let a = worker(&cluster, "a").await;
    assert_eq!(draw(&a, report(10), 0, 10).await.granted, 10);
    database.pass(TOO_LONG).await;
    let b = worker(&cluster, "b").await;
    assert_eq!(draw(&b, report(10), 0, 4).await.granted, 4);
    cluster.sweep(HOUR).await.unwrap();
    let draws = "SELECT count(*) FROM transship.quota_draws";
    assert_eq!(database.number(draws).await, 1);
}
