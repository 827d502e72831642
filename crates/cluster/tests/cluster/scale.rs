//! How many queries ten thousand units cost.

use transship_cluster::RunEnd;

use crate::support::{HOUR, TestDatabase, behind, publish, units, worker};

const UNITS: usize = 10_000;
const CLAIMED_AT_A_TIME: u32 = 500;
const RELEASED: usize = 200;

/// Statements but those that begin and end transactions.
const QUERIES: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s
    JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() AND query LIKE '%transship.%'
      AND query NOT LIKE '%pg_stat_statements%'";

#[tokio::test]
async fn ten_thousand_units_cost_two_queries_each() {
    let database = TestDatabase::new().await;
    database.sql("CREATE EXTENSION pg_stat_statements").await;
    let cluster = database.cluster().await;
    let before = database.number(QUERIES).await;
    publish(&cluster, units(UNITS)).await;
    let published = database.number(QUERIES).await - before;
    assert!(published <= 6, "{published}");
    let a = worker(&cluster, "a").await;
    let before = database.number(QUERIES).await;
    let mut claims = Vec::new();
    loop {
        let more = a.claim(CLAIMED_AT_A_TIME).await.unwrap();
        if more.is_empty() {
            break;
        }
        claims.extend(more);
    }
    assert_eq!(claims.len(), UNITS);
    let claimed = database.number(QUERIES).await - before;
    assert_eq!(claimed, 21);
    let before = database.number(QUERIES).await;
    for (n, claim) in claims.iter().take(RELEASED).enumerate() {
        let end = match n % 2 {
            0 => RunEnd::unchecked(HOUR),
            _ => behind(&["1", "2", "3"]),
        };
        a.release(claim, &end).await.unwrap();
    }
    let released = database.number(QUERIES).await - before;
    assert_eq!(released, RELEASED as i64);
    let status = cluster.status().await.unwrap();
    assert_eq!(status.mirrors[0].units, UNITS as u64);
    assert_eq!(status.mirrors[0].held, (UNITS - RELEASED) as u64);
    assert_eq!(status.mirrors[0].behind, 3 * RELEASED as u64 / 2);
}
