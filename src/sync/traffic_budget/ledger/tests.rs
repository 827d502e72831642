use std::sync::Arc;

use chrono::NaiveDate;

use crate::{
    config::{Counted, Period, TrafficBudget},
    sync::traffic_budget::ledger::{BudgetPeriod, Fit, Ledger, Reservation},
};

const LIMIT: u64 = 1000;

fn period(counts: Counted) -> BudgetPeriod {
    BudgetPeriod {
        budget: TrafficBudget {
            bytes: LIMIT,
            per: Period::Month,
            counts,
        },
        start: NaiveDate::MIN,
    }
}

/// A ledger of which so much is used.
fn used(bytes: u64) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    ledger.read(period(Counted::Sent), bytes);
    ledger
}

fn reserved(ledger: &Arc<Ledger>, bytes: u64) -> Reservation {
    match ledger.reserve(LIMIT, bytes) {
        Fit::Reserved(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn transfers_in_flight_fit_into_what_is_left() {
    let ledger = used(400);
    let first = reserved(&ledger, 500);
    let _second = reserved(&ledger, 100);
    assert!(matches!(ledger.reserve(LIMIT, 1), Fit::Busy));
    ledger.add(500);
    drop(first);
    assert!(matches!(ledger.reserve(LIMIT, 1), Fit::Busy));
    assert!(matches!(ledger.reserve(LIMIT, 101), Fit::Spent));
    assert_eq!(ledger.in_flight(), 100);
}

#[tokio::test]
async fn who_waits_learns_of_each_end() {
    let ledger = used(0);
    let first = reserved(&ledger, 1);
    let freed = ledger.freed();
    drop(first);
    freed.await;
}

#[test]
fn count_is_not_lowered_by_a_store_that_lags() {
    let ledger = used(10);
    ledger.add(90);
    assert_eq!(ledger.read(period(Counted::Sent), 50), 100);
    // Another process wrote.
    assert_eq!(ledger.read(period(Counted::Sent), 300), 300);
}

#[test]
fn another_period_or_count_begins_with_what_is_stored() {
    let ledger = used(500);
    assert_eq!(ledger.read(period(Counted::Received), 20), 20);
    let next = BudgetPeriod {
        start: NaiveDate::MAX,
        ..period(Counted::Received)
    };
    assert!(!ledger.knows(next));
    assert_eq!(ledger.read(next, 0), 0);
    assert!(ledger.knows(next));
}
