use super::*;

fn limits(rate: Option<f64>, concurrent: Option<usize>, bytes: Option<u64>) -> ClientLimits {
    ClientLimits {
        requests_per_second: rate,
        concurrent,
        bytes_per_day: bytes,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn each_limit_holds_for_each_client() {
    let table = ClientTable::default();
    let client = address("10.0.0.1");
    let slow = limits(Some(0.01), None, None);
    assert!(table.admit(client, slow).is_ok());
    assert_eq!(table.admit(client, slow).unwrap_err(), OverLimit::Rate);
    assert!(table.admit(address("10.0.0.2"), slow).is_ok());

    let one = limits(None, Some(1), None);
    let other = address("10.0.0.3");
    let held = table.admit(other, one).unwrap();
    assert_eq!(table.admit(other, one).unwrap_err(), OverLimit::Concurrent);
    drop(held);
    assert!(table.admit(other, one).is_ok());

    let few = limits(None, None, Some(10));
    let third = address("10.0.0.4");
    table.admit(third, few).unwrap().count(10);
    assert_eq!(table.admit(third, few).unwrap_err(), OverLimit::Bytes);
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    assert_eq!(
        network(address("2001:db8::1")),
        network(address("2001:db8::ffff"))
    );
    assert_ne!(
        network(address("2001:db8::1")),
        network(address("2001:db8:0:1::1"))
    );
    assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
}

#[test]
fn only_trusted_proxies_speak_for_others() {
    let trusted = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
    let table = [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
    ];
    for (peer, forwarded, expected) in table {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let client = client_of(address(peer), &headers, &trusted);
        assert_eq!(client, address(expected), "{peer} {forwarded}");
    }
}
