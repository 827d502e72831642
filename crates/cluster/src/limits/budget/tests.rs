use super::*;

#[test]
fn grants_are_a_percent_of_small_budgets() {
    assert_eq!(grant_bytes(u64::MAX), 64 << 20);
    assert_eq!(grant_bytes(1_000_000_000), 10_000_000);
    assert_eq!(grant_bytes(0), 1);
}
