use tokio::time::advance;

use super::{PeriodBudget, SPENT, TrafficGrants};

/// One percent of it is a grant.
const LIMIT: u64 = 100_000;
const GRANT: u64 = 1_000;

fn budget(period: &str) -> PeriodBudget {
    PeriodBudget {
        period: period.into(),
        limit_bytes: LIMIT,
    }
}

#[tokio::test(start_paused = true)]
async fn draws_when_a_grant_is_used_up() {
    let (mut grants, budget) = (TrafficGrants::default(), budget("2026-12"));
    assert_eq!(grants.used("2026-12"), None);
    assert_eq!(grants.use_up(&budget, 0), Some(GRANT));
    grants.granted(GRANT, 5_000);
    assert_eq!(grants.used("2026-12"), Some(4_000));
    assert_eq!(grants.use_up(&budget, 400), None);
    assert_eq!(grants.used("2026-12"), Some(4_400));
    assert_eq!(grants.use_up(&budget, 900), Some(300 + GRANT));
}

#[tokio::test(start_paused = true)]
async fn spent_budget_is_not_asked_for_each_image() {
    let (mut grants, budget) = (TrafficGrants::default(), budget("2026-12"));
    grants.use_up(&budget, 0);
    grants.granted(0, LIMIT);
    assert_eq!(grants.used("2026-12"), Some(LIMIT));
    assert_eq!(grants.use_up(&budget, 0), None);
    advance(SPENT).await;
    assert_eq!(grants.use_up(&budget, 0), Some(GRANT));
}

#[tokio::test(start_paused = true)]
async fn new_period_begins_with_nothing_drawn() {
    let mut grants = TrafficGrants::default();
    grants.use_up(&budget("2026-12"), 0);
    grants.granted(GRANT, GRANT);
    assert_eq!(grants.use_up(&budget("2027-01"), 0), Some(GRANT));
    assert_eq!(grants.used("2026-12"), None);
}
