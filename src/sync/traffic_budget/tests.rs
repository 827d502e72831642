use crate::registry::ErrorClass;
use crate::{config::Counted, sync::traffic_budget::*};

fn usage(bytes: u64, used_bytes: u64) -> Usage {
    Usage {
        budget: TrafficBudget {
            bytes,
            per: Period::Month,
            counts: Counted::Both,
        },
        used_bytes,
        ends: NaiveDate::MAX,
    }
}

#[test]
fn budget_end_admits_small_images_then_none() {
    let at = |used| usage(1000, used).allowance();
    assert_eq!(at(0), Some(Allowance::All));
    assert_eq!(at(899), Some(Allowance::All));
    assert_eq!(at(900), Some(Allowance::Small(usage(1000, 900))));
    assert_eq!(at(999), Some(Allowance::Small(usage(1000, 999))));
    assert_eq!(at(1000), None);
    assert_eq!(at(u64::MAX), None);
}

#[test]
fn small_image_is_a_hundredth_of_the_budget() {
    assert_eq!(usage(5_000_000, 0).small_bytes(), 50_000);
    assert_eq!(usage(1_000_000_000_000, 0).small_bytes(), SMALL);
}

#[test]
fn deferred_copy_names_date_and_key() {
    let usage = Usage {
        ends: "2026-12-01".parse().unwrap(),
        ..usage(1_000_000_000_000, 930_000_000_000)
    };
    let target = "t.example".parse().unwrap();
    let said = too_large(usage, &target).to_string();
    for part in [
        "93% of the traffic budget of 1.0 TB per month",
        "100.0 MB",
        "from 2026-12-01",
        "`traffic` of [limits]",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(spent(usage, &target).class(), ErrorClass::Budget);
}
