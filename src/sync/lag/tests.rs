use super::*;

#[test]
fn in_sync_is_zero_however_long_ago_it_was_proved() {
    assert_eq!(
        Lag::at(1000, None, Some(400)),
        Lag {
            at_least: 0,
            at_most: Some(600)
        }
    );
}

#[test]
fn the_oldest_difference_counts() {
    assert_eq!(
        Lag::at(1000, Some(700), None),
        Lag {
            at_least: 300,
            at_most: None
        }
    );
}

#[test]
fn a_clock_set_back_is_no_negative_lag() {
    assert_eq!(
        Lag::at(1000, Some(1500), Some(1500)),
        Lag {
            at_least: 0,
            at_most: Some(0)
        }
    );
}
