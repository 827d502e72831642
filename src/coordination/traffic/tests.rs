use tokio::time::advance;
use transship_cluster::Draw;

use super::{DATABASE_RETRY, PeriodBudget, SPENT, TrafficGrants, TrafficNeed};

/// One percent of it is a grant.
const LIMIT: u64 = 100_000;
const GRANT: u64 = 1_000;

fn budget(period: &str) -> PeriodBudget {
    PeriodBudget {
        period: period.into(),
        limit_bytes: LIMIT,
    }
}

fn draw(granted_bytes: u64, drawn_bytes: u64) -> Draw {
    Draw {
        granted_bytes,
        drawn_bytes,
    }
}

/// Grants that drew so much, and used nothing.
fn granted(bytes: u64) -> TrafficGrants {
    let mut grants = TrafficGrants::default();
    grants.use_up(&budget("2026-12"), 0);
    grants.granted(&budget("2026-12"), draw(bytes, bytes));
    grants
}

#[tokio::test(start_paused = true)]
async fn draws_when_a_grant_is_used_up() {
    let (mut grants, budget) = (TrafficGrants::default(), budget("2026-12"));
    assert_eq!(grants.used("2026-12"), None);
    assert_eq!(grants.use_up(&budget, 0), Some(0..=GRANT));
    grants.granted(&budget, draw(GRANT, 5_000));
    assert_eq!(grants.used("2026-12"), Some(4_000));
    assert_eq!(grants.use_up(&budget, 400), None);
    assert_eq!(grants.used("2026-12"), Some(4_400));
    assert_eq!(grants.use_up(&budget, 900), Some(0..=300 + GRANT));
}

#[tokio::test(start_paused = true)]
async fn draws_before_bytes_are_in_flight() {
    let (mut grants, budget) = (granted(GRANT), budget("2026-12"));
    assert_eq!(grants.need(&budget, GRANT), TrafficNeed::Nothing);
    let need = grants.need(&budget, 5_000);
    assert_eq!(need, TrafficNeed::Draw(4_000..=4_000 + GRANT));
}

#[tokio::test(start_paused = true)]
async fn gives_back_more_than_a_grant_beside_what_is_in_flight() {
    let (mut grants, budget) = (granted(10_000), budget("2026-12"));
    assert_eq!(grants.take_surplus(&budget, 8_000), None);
    assert_eq!(grants.take_surplus(&budget, 7_000), Some(2_000));
    assert_eq!(grants.take_surplus(&budget, 7_000), None);
    assert_eq!(grants.need(&budget, 8_000), TrafficNeed::Nothing);
    assert_eq!(grants.used("2026-12"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn spent_budget_is_not_asked_for_each_image() {
    let (mut grants, budget) = (TrafficGrants::default(), budget("2026-12"));
    grants.use_up(&budget, 0);
    grants.granted(&budget, draw(0, LIMIT));
    assert_eq!(grants.used("2026-12"), Some(LIMIT));
    assert_eq!(grants.use_up(&budget, 0), None);
    assert_eq!(grants.need(&budget, 1), TrafficNeed::Spent);
    advance(SPENT).await;
    assert_eq!(grants.use_up(&budget, 0), Some(0..=GRANT));
    // What is left is only too little for one blob.
    grants.granted(&budget, draw(0, LIMIT - 1));
    assert_eq!(grants.need(&budget, 1), TrafficNeed::Draw(1..=1 + GRANT));
}

#[tokio::test(start_paused = true)]
async fn database_that_does_not_answer_is_not_asked_for_each_blob() {
    let (mut grants, budget) = (granted(GRANT), budget("2026-12"));
    grants.failed();
    assert_eq!(grants.need(&budget, GRANT), TrafficNeed::Nothing);
    assert_eq!(grants.need(&budget, 2 * GRANT), TrafficNeed::Unknown);
    assert_eq!(grants.use_up(&budget, 2 * GRANT), None);
    advance(DATABASE_RETRY).await;
    assert_eq!(grants.use_up(&budget, 0), Some(0..=2 * GRANT));
}

#[tokio::test(start_paused = true)]
async fn new_period_begins_with_nothing_drawn() {
    let mut grants = granted(GRANT);
    assert_eq!(grants.use_up(&budget("2027-01"), 0), Some(0..=GRANT));
    assert_eq!(grants.used("2026-12"), None);
}
