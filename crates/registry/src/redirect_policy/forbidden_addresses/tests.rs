use crate::redirect_policy::forbidden_addresses::*;

fn found(text: &str) -> Option<Place> {
    place(text.parse().unwrap())
}

#[test]
fn blocks_end_where_the_table_says() {
    for (first, last, beyond, expected) in [
        ("0.0.0.0", "0.255.255.255", "1.0.0.0", Near),
        ("127.0.0.0", "127.255.255.255", "128.0.0.0", Near),
        ("169.254.0.0", "169.254.168.255", "169.255.0.0", Near),
        ("169.254.169.0", "169.254.170.255", "169.253.0.1", Cloud),
        ("192.0.0.0", "192.0.0.255", "192.0.1.0", Cloud),
        ("224.0.0.0", "255.255.255.255", "223.255.255.255", Nowhere),
        ("::", "::1", "2000::1", Near),
        ("fe80::", "febf:ffff::1", "fe7f::1", Near),
        ("fec0::", "feff:ffff::1", "fdff::1", Near),
        ("fd00:ec2::", "fd00:ec2:0:ffff::1", "fd00:ec2:1::", Cloud),
        ("ff00::", "ffff::1", "2001:db8::1", Nowhere),
    ] {
        assert_eq!(found(first), Some(expected), "{first}");
        assert_eq!(found(last), Some(expected), "{last}");
        assert_eq!(found(beyond), None, "{beyond}");
    }
}

#[test]
fn metadata_services_are_of_the_cloud() {
    for text in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "100.96.0.96",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fd00:c1::a9fe:a9fe",
        "fd00:a9fe:a9fe::1",
        "fe80::a9fe:a9fe",
    ] {
        assert_eq!(found(text), Some(Cloud), "{text}");
    }
}

#[test]
fn finds_ipv4_in_every_form_of_ipv6() {
    let forms = |four: &str| {
        let octets = four.parse::<Ipv4Addr>().unwrap().octets();
        let [a, b, c, d] = octets;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        [
            format!("::{four}"),
            format!("::ffff:{four}"),
            format!("::ffff:0:{four}"),
            format!("64:ff9b::{four}"),
            format!("64:ff9b:1::{four}"),
            format!("64:ff9b:1:fffe::{four}"),
            format!("64:ff9b:1:{high:x}:{c:x}:{:x}::", u16::from(d) << 8),
            format!("64:ff9b:1:{a:x}:{b:x}:{low:x}::"),
            format!(
                "64:ff9b:1:0:{a:x}:{:x}:{:x}:0",
                u16::from_be_bytes([b, c]),
                u16::from(d) << 8
            ),
            format!("2002:{high:x}:{low:x}::1"),
            format!("2001:0:{high:x}:{low:x}::1"),
            format!("2001:0:cb00:7107:0:0:{:x}:{:x}", !high, !low),
            format!("2001:db8::5efe:{four}"),
            format!("2001:db8::200:5efe:{four}"),
        ]
    };
    for (four, expected) in [
        ("127.0.0.1", Near),
        ("169.254.169.254", Cloud),
        ("168.63.129.16", Cloud),
        ("100.100.100.200", Cloud),
    ] {
        for form in forms(four) {
            assert_eq!(found(&form), Some(expected), "{four} as {form}");
        }
    }
    for form in forms("203.0.113.7") {
        assert_eq!(found(&form), None, "{form}");
    }
}

#[test]
fn stores_on_private_networks_are_allowed() {
    for text in [
        "10.0.0.5",
        "172.16.0.1",
        "192.168.1.2",
        "100.64.0.1",
        "198.18.0.7",
        "fd12::1",
        "fc00::1",
        "2606:4700::1",
        "8.8.8.8",
    ] {
        assert_eq!(found(text), None, "{text}");
    }
}

#[test]
fn names_of_this_machine_and_its_cloud() {
    for (name, expected) in [
        ("localhost", Some(Near)),
        ("LOCALHOST.", Some(Near)),
        ("a.localhost", Some(Near)),
        ("Metadata.Google.Internal.", Some(Cloud)),
        ("localhost.example", None),
        ("cdn.example", None),
    ] {
        assert_eq!(place_of_name(name), expected, "{name}");
    }
}
