use super::*;

fn network(text: &str) -> ClientNetwork {
    text.parse().unwrap()
}

#[test]
fn addresses_lie_in_networks() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::/0", "2001:db8::1", true),
    ];
    for (text, address, expected) in table {
        let contains = network(text).contains(address.parse().unwrap());
        assert_eq!(contains, expected, "{address} in {text}");
    }
}

#[test]
fn rejects_what_is_no_network() {
    for text in [
        "",
        "10.0.0.0/33",
        "10.0.0.0/",
        "::/129",
        "example.com",
        "10.0.0/8",
    ] {
        assert!(text.parse::<ClientNetwork>().is_err(), "{text}");
    }
}

#[test]
fn private_networks_hold_no_public_address() {
    let private = ClientNetwork::private();
    assert_eq!(private.len(), PRIVATE.len());
    let is_private = |text: &str| {
        let address = text.parse().unwrap();
        private.iter().any(|network| network.contains(address))
    };
    for address in [
        "127.0.0.1",
        "10.1.1.1",
        "172.31.0.1",
        "192.168.1.1",
        "::1",
        "fd00::1",
    ] {
        assert!(is_private(address), "{address}");
    }
    for address in ["8.8.8.8", "172.32.0.1", "2001:db8::1"] {
        assert!(!is_private(address), "{address}");
    }
}
