use proptest::prelude::*;
use semver::VersionReq;

use super::*;

/// Each row from the oldest to the newest.
#[test]
fn orders_tags_as_people_number_them() {
    let rows = [
        "1.9 v1.10 1.10.1 2",
        "1.0.0-alpha 1.0.0-beta.2 1.0.0-beta.10 1.0.0-RC9 1.0.0-rc.10 1.0.0-alpine 1.0.0",
        "v2026-1-29 v2026-01-30 v2026-01-30-2 v2026-01-30-10 v2026-09-01 v2026-9-2 v2026-12-25",
        "2024-08 2024-09 2024-10 2024-10-01 2025-01",
        "2025-01-01-rc1 2025-01-01",
        "20240930 20240930-2 20240930-10 20241001 202410011230 20241002",
        "7.0.8-debian-11-r9 7.0.8-debian-11-r26 7.0.8-debian-12-r1 7.0.8",
        "v1.11.5-alpine-9 v1.11.5-alpine-12",
        "1.30.0-k3s2 1.30.0-k3s10 1.31.0-k3s1",
        "109.0.1_up1.0.2 109.0.1_up1.0.10 109.1.0_up1.0.3",
        "17.0.8_7-jre 17.0.8.1_1-jre 21.0.1_12-jre 21.0.2_9-jre 21.0.2_13-jre",
        "1.2.3 1.2.3.4 1.2.3.10 1.2.4",
        "1.2.3-rc.1_abc 1.2.3",
        "5.4.0-99-generic 5.4.0-100-generic",
    ];
    for row in rows {
        let tags: Vec<&str> = row.split(' ').collect();
        for pair in tags.windows(2) {
            let [a, b] = [0, 1].map(|at| TagVersion::parse(pair[at]).unwrap());
            assert!(a < b, "{} should be older than {}", pair[0], pair[1]);
        }
    }
}

#[test]
fn takes_equal_numbers_for_one_version() {
    for (a, b) in [
        ("v1.30", "1.30.0"),
        ("2024-8-1", "2024-08-01"),
        ("1-rc1", "1.0-RC.1"),
    ] {
        assert_eq!(TagVersion::parse(a), TagVersion::parse(b), "{a} {b}");
    }
}

#[test]
fn finds_no_version_in_names() {
    for tag in [
        "latest",
        "nightly-9",
        "v",
        "1.x",
        "1..2",
        "1.21rc2",
        "deadbeef",
        "99999999999999999999",
    ] {
        assert_eq!(TagVersion::parse(tag), None, "{tag}");
    }
}

#[test]
fn ranges_look_at_three_numbers_and_the_suffix() {
    let table = [
        (">=104", "109.0.1_up1.0.2", true),
        (">=104", "1.2.3-rc.1_abc", false),
        (">=21", "21.0.2_13-jre", true),
        (">=21", "17.0.8.1_1-jre", false),
        (">=21", "21-jre", false),
        ("1.2.3", "1.2.3.4", true),
        (">=1.0.0-rc9", "1.0.0-rc10", true),
        (">=1.0.0-rc10", "1.0.0-rc9", false),
        ("*", "2024-08", false),
        (">=20240101", "20240815", true),
    ];
    for (range, tag, expected) in table {
        let range: VersionReq = range.parse().unwrap();
        assert_eq!(is_in_range(&range, tag), expected, "{range} {tag}");
    }
}

#[test]
fn natural_order_ignores_leading_zeros() {
    assert_eq!(natural("a10", "a9"), Ordering::Greater);
    assert_eq!(natural("a010", "a10"), Ordering::Less);
    assert_eq!(natural("a", "a1"), Ordering::Less);
    assert_eq!(natural("1a", "1a"), Ordering::Equal);
}

const TAG: &str = "v?(20[0-9]{2}|[0-9]{1,3})(\\.[0-9]{1,2}){0,4}([-_.][a-z0-9]{1,3}){0,4}";

proptest! {
    #[test]
    fn version_order_is_total(a in TAG, b in TAG, c in TAG) {
        let [a, b, c] = [a, b, c].map(|tag| TagVersion::parse(&tag));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn ranges_take_any_tag(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,60}") {
        is_in_range(&VersionReq::STAR, &tag);
        TagVersion::parse(&tag);
    }

    #[test]
    fn natural_order_is_total(a in "[a0-9.]{0,6}", b in "[a0-9.]{0,6}", c in "[a0-9.]{0,6}") {
        prop_assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
        if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
            prop_assert!(natural(&a, &c).is_le());
        }
    }
}
