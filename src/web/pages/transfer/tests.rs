use crate::web::pages::transfer::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn transfer(size: u64, sent: u64, rate: f64) -> TransferRow {
    let amount = Amount { size, sent, rate };
    amount.of(DIGEST, "m.example.com/a".into(), Language::English)
}

#[test]
fn progress_rate_and_what_is_left_are_told() {
    let transfer = transfer(100 << 20, 25 << 20, f64::from(1 << 20));
    assert_eq!(transfer.short, "e3b0c44298fc");
    assert_eq!(transfer.progress, "25% · 25.0 MiB / 100.0 MiB");
    assert_eq!(transfer.rate, "1.0 MiB/s");
    assert_eq!(transfer.left.as_deref(), Some("1m 15s"));
}

#[test]
fn odd_amounts_are_told_without_nonsense() {
    assert_eq!(transfer(0, 0, 0.0).progress, "0% · 0 B / 0 B");
    assert_eq!(transfer(10, 25, 5.0).progress, "100% · 10 B / 10 B");
    assert_eq!(transfer(10, 0, 0.0).left, None);
    assert_eq!(transfer(1 << 60, 1, 1.0).sent, 1);
}
