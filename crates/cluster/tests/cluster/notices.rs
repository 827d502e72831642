//! Reports and alarms that are sent once.

use transship_cluster::NoticeKey;

use crate::support::{TOO_LONG, TestDatabase, publish, units, worker};

fn report() -> NoticeKey {
    NoticeKey {
        kind: "report".into(),
        key: "2026-11-30".into(),
    }
}

fn alarm() -> NoticeKey {
    NoticeKey {
        kind: "alarm".into(),
        key: "lag/mirror".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_sends_a_report() {
    let database = TestDatabase::new().await;
    publish(&database.cluster().await, units(1)).await;
    let mut tasks = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let worker = worker(&database.cluster().await, name).await;
        tasks.push(tokio::spawn(async move {
            worker.notices().begin(&report()).await.unwrap()
        }));
    }
    let mut senders = 0;
    for task in tasks {
        senders += usize::from(task.await.unwrap());
    }
    assert_eq!(senders, 1);
}

#[tokio::test]
async fn dead_senders_hand_over() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    assert!(a.notices().begin(&report()).await.unwrap());
    // What failed to be sent is tried again by the same worker.
    assert!(a.notices().begin(&report()).await.unwrap());
    assert!(!b.notices().begin(&report()).await.unwrap());
    database.pass(TOO_LONG).await;
    let c = worker(&cluster, "c").await;
    assert!(c.notices().begin(&report()).await.unwrap());
    // The first one wakes up, and did not send it.
    a.notices().sent(&report()).await.unwrap();
    c.notices().sent(&report()).await.unwrap();
    database.pass(TOO_LONG).await;
    let d = worker(&cluster, "d").await;
    assert!(!d.notices().begin(&report()).await.unwrap());
}

#[tokio::test]
async fn alarms_end_once_and_return() {
    let database = TestDatabase::new().await;
    let cluster = database.cluster().await;
    publish(&cluster, units(1)).await;
    let (a, b) = (worker(&cluster, "a").await, worker(&cluster, "b").await);
    assert!(!b.notices().clear(&alarm()).await.unwrap());
    assert!(a.notices().begin(&alarm()).await.unwrap());
    a.notices().sent(&alarm()).await.unwrap();
    assert!(!b.notices().begin(&alarm()).await.unwrap());
    assert!(b.notices().clear(&alarm()).await.unwrap());
    assert!(!a.notices().clear(&alarm()).await.unwrap());
    assert!(b.notices().begin(&alarm()).await.unwrap());
    // It was never sent: nobody has to hear that it is over.
    assert!(!a.notices().clear(&alarm()).await.unwrap());
}
