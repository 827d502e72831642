use super::*;

#[test]
fn listener_on_all_addresses_is_asked_on_loopback() {
    let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
    assert_eq!(reached("0.0.0.0:9618"), "127.0.0.1:9618");
    assert_eq!(reached("[::]:9618"), "[::1]:9618");
    assert_eq!(reached("10.0.0.5:9618"), "10.0.0.5:9618");
}
