//! The addresses that no registry may send us to: this machine, its link, its cloud, and what is no
//! host at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a forbidden address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This machine or its link. A registry that is there itself may send us there.
    Near,
    /// A service that a cloud offers to its machines only, such as metadata with their logins.
    Cloud,
    /// No single host: a group, or addresses that are given to nobody.
    Nowhere,
}

use Place::{Cloud, Near, Nowhere};

/// Blocks of IPv4, by the
/// [IANA special-purpose registry](https://www.iana.org/assignments/iana-ipv4-special-registry/)
/// unless a row says otherwise.
///
/// Not here, although no public host has them: private networks (RFC 1918, and 100.64.0.0/10 of
/// RFC 6598), because stores of private registries are there, and 198.18.0.0/15 (RFC 2544), which
/// proxies such as Clash give out for every name.
const V4: [(Ipv4Addr, u32, Place); 11] = [
    // https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
    (Ipv4Addr::new(100, 100, 100, 200), 32, Cloud),
    // Volcengine: https://www.volcengine.com/docs/6396/110063
    (Ipv4Addr::new(100, 96, 0, 96), 32, Cloud),
    // https://learn.microsoft.com/en-us/azure/virtual-network/what-is-ip-address-168-63-129-16
    (Ipv4Addr::new(168, 63, 129, 16), 32, Cloud),
    // RFC 6890, IETF protocol assignments; Oracle Cloud Classic has its metadata at 192.0.0.192.
    (Ipv4Addr::new(192, 0, 0, 0), 24, Cloud),
    // RFC 3927, link-local: 169.254.169.254 and its like are the metadata of nearly all clouds.
    (Ipv4Addr::new(169, 254, 169, 0), 24, Cloud),
    // AWS: tasks of ECS (.2) and pods of EKS (.23),
    // https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
    (Ipv4Addr::new(169, 254, 170, 0), 24, Cloud),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Near),
    // RFC 1122, "this host on this network".
    (Ipv4Addr::new(0, 0, 0, 0), 8, Near),
    // RFC 1122, loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8, Near),
    // RFC 5771, multicast: https://www.iana.org/assignments/multicast-addresses/
    (Ipv4Addr::new(224, 0, 0, 0), 4, Nowhere),
    // RFC 1112, reserved, and RFC 919, broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4, Nowhere),
];

/// Blocks of IPv6, by the
/// [IANA special-purpose registry](https://www.iana.org/assignments/iana-ipv6-special-registry/)
/// unless a row says otherwise. Private networks (fc00::/7, RFC 4193) are not here, for the same
/// reason.
const V6: [(Ipv6Addr, u32, Place); 12] = [
    // AWS: metadata (::254), pods of EKS (::23), DNS (::253), time (::123),
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 48, Cloud),
    // Google Cloud: https://cloud.google.com/compute/docs/metadata/querying-metadata
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0), 48, Cloud),
    // Scaleway: https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0), 48, Cloud),
    // Oracle: https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0, 0), 48, Cloud),
    // Akamai (Linode): https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api
    (
        Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0),
        48,
        Cloud,
    ),
    // OpenStack: https://docs.openstack.org/nova/latest/user/metadata.html
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        128,
        Cloud,
    ),
    // RFC 4291, unspecified and loopback.
    (Ipv6Addr::UNSPECIFIED, 127, Near),
    // RFC 4291, link-local.
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Near),
    // RFC 3879, site-local, which is deprecated and reaches what a machine is attached to.
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Near),
    // RFC 6666 and RFC 9780, discarded.
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 48, Nowhere),
    // RFC 9602, identifiers of segment routing.
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, Nowhere),
    // RFC 4291, multicast: https://www.iana.org/assignments/ipv6-multicast-addresses/
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Nowhere),
];

/// Names that resolve to a forbidden address, for requests whose names a proxy resolves.
const NAMES: [(&str, Place); 8] = [
    // RFC 6761; the others are in the /etc/hosts of Linux distributions.
    ("localhost", Near),
    ("localhost.localdomain", Near),
    ("ip6-localhost", Near),
    ("ip6-loopback", Near),
    // Google Cloud, https://cloud.google.com/compute/docs/metadata/querying-metadata
    ("metadata.google.internal", Cloud),
    ("metadata.goog", Cloud),
    // AWS, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    ("instance-data.ec2.internal", Cloud),
    // Tencent, https://www.tencentcloud.com/document/product/213/4934
    ("metadata.tencentyun.com", Cloud),
];

/// What an address is, if it is forbidden.
pub(crate) fn place(address: IpAddr) -> Option<Place> {
    match address {
        IpAddr::V4(four) => place_of_v4(four),
        IpAddr::V6(six) => place_of_v6(six).or_else(|| {
            let mut inner = embedded(six).into_iter();
            // The forms of a local NAT64 prefix look alike, and an address of one form
            // is often reserved in another. So is the client of Teredo, if there is none.
            let is_vague = is_local_nat64(six) || six.segments()[..2] == [0x2001, 0];
            let is_meant = |place: &Place| !is_vague || *place != Nowhere;
            inner.find_map(|four| place_of_v4(four).filter(is_meant))
        }),
    }
}

/// What a name is, if it is forbidden.
pub(crate) fn place_of_name(name: &str) -> Option<Place> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.ends_with(".localhost") {
        return Some(Near);
    }
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map(|(_, place)| *place)
}

fn place_of_v4(address: Ipv4Addr) -> Option<Place> {
    let row = V4.iter().find(|(block, length, _)| {
        let mask = u32::MAX << (32 - length);
        address.to_bits() & mask == block.to_bits()
    });
    row.map(|(_, _, place)| *place)
}

fn place_of_v6(address: Ipv6Addr) -> Option<Place> {
    let row = V6
        .iter()
        .find(|(block, length, _)| is_in(address, *block, *length));
    row.map(|(_, _, place)| *place)
}

fn is_in(address: Ipv6Addr, block: Ipv6Addr, length: u32) -> bool {
    let mask = u128::MAX << (128 - length);
    address.to_bits() & mask == block.to_bits()
}

/// Prefixes of 96 bits before an IPv4 address.
const PREFIXES: [Ipv6Addr; 4] = [
    // IPv4-compatible, RFC 4291 section 2.5.5.1.
    Ipv6Addr::UNSPECIFIED,
    // IPv4-mapped, RFC 4291 section 2.5.5.2.
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
    // IPv4-translated, RFC 2765 section 2.1.
    Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0),
    // NAT64, RFC 6052 section 2.1.
    Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),
];

/// The IPv4 addresses that stand in an IPv6 address, in each form that routers and translators
/// know.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bits = address.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are meant")]
    let at = |first: u32| Ipv4Addr::from_bits((bits >> (96 - first)) as u32);
    let parts = address.segments();
    let mut found = Vec::new();
    if PREFIXES.iter().any(|prefix| is_in(address, *prefix, 96)) {
        found.push(at(96));
    }
    // 6to4, RFC 3056 section 2.
    if parts[0] == 0x2002 {
        found.push(at(16));
    }
    // Teredo, RFC 4380 section 4: the server, and the client with its bits inverted.
    if parts[..2] == [0x2001, 0] {
        found.extend([at(32), Ipv4Addr::from_bits(!at(96).to_bits())]);
    }
    // ISATAP, RFC 5214 section 6.1, under any prefix.
    if [0, 0x200].contains(&parts[4]) && parts[5] == 0x5efe {
        found.push(at(96));
    }
    if is_local_nat64(address) {
        found.extend(of_local_nat64(address));
    }
    found
}

/// NAT64 with a prefix of the operator's choice, RFC 8215.
fn is_local_nat64(address: Ipv6Addr) -> bool {
    is_in(address, Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48)
}

/// The addresses that may stand in it, by the length of the prefix: 48, 56, 64 or 96 bits, where
/// the octet of bits 64 to 71 is left out (RFC 6052 section 2.2). Those of 0.0.0.0/8 are other forms' zeros,
/// unless each is.
fn of_local_nat64(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let octets = address.octets();
    let four = |at: [usize; 4]| Ipv4Addr::from(at.map(|at| octets[at]));
    let all = [
        four([6, 7, 9, 10]),
        four([7, 9, 10, 11]),
        four([9, 10, 11, 12]),
        four([12, 13, 14, 15]),
    ];
    let meant = all.into_iter().filter(|four| four.octets()[0] != 0);
    let meant: Vec<_> = meant.collect();
    match meant.is_empty() {
        true => all.to_vec(),
        false => meant,
    }
}

#[cfg(test)]
mod tests;
