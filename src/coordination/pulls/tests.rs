use chrono::Utc;
use transship_cluster::ClusterStatus;

use super::sharers;
use crate::coordination::membership::tests::worker_status;

#[test]
fn login_is_shared_by_all_and_address_by_an_egress() {
    let worker = |name: &str, egress: &str, lease_left| {
        let mut worker = worker_status(name, 60, lease_left, false);
        worker.egress = egress.into();
        worker
    };
    let status = ClusterStatus {
        now: Utc::now(),
        newest_config: None,
        workers: vec![
            worker("a", "hk", 60),
            worker("b", "hk", 60),
            worker("c", "sg", 60),
            worker("gone", "hk", 0),
        ],
        mirrors: Vec::new(),
    };
    assert_eq!(sharers(&status, Some("acme"), "hk"), 3);
    assert_eq!(sharers(&status, None, "hk"), 2);
    assert_eq!(sharers(&status, None, "sg"), 1);
}
