use crate::web::pages::rows::transfer::*;

fn transfer(size: u64, sent: u64, rate: f64) -> TransferRow {
    let amount = Amount { size, sent, rate };
    amount.of("nginx:1", "m.example.com".into(), Language::English)
}

#[test]
fn transfer_has_progress_rate_and_time_left() {
    let transfer = transfer(100 << 20, 25 << 20, f64::from(1 << 20));
    assert_eq!(transfer.progress, "25% · 25.0 MiB / 100.0 MiB");
    assert_eq!(transfer.rate, "1.0 MiB/s");
    assert_eq!(transfer.left.as_deref(), Some("1m 15s"));
}

#[test]
fn transfer_bounds_odd_amounts() {
    assert_eq!(transfer(0, 0, 0.0).progress, "0% · 0 B / 0 B");
    assert_eq!(transfer(10, 25, 5.0).progress, "100% · 10 B / 10 B");
    assert_eq!(transfer(10, 0, 0.0).left, None);
    assert_eq!(transfer(1 << 60, 1, 1.0).sent, 1);
}
