use super::super::{
    Config,
    tests::{TARGET, parse, report},
};
use super::*;
use chrono::{DateTime, Utc};

fn config(head: &str) -> Config {
    parse(&format!("{head}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"))
}

fn problem(head: &str) -> String {
    let report = report(&format!("{head}\n{TARGET}[[mirror]]\nfrom = \"a:1\"\n"));
    let records = report.records();
    let said = records
        .iter()
        .map(|record| format!("{}: {} | {}", record.line, record.message, record.remedy));
    said.collect::<Vec<_>>().join("\n")
}

fn rate(text: &str) -> u64 {
    parse_rate(text).map_or_else(|(wrong, _)| panic!("{wrong}"), NonZeroU64::get)
}

fn at(bandwidth: &Bandwidth, moment: &str) -> Option<u64> {
    let moment: DateTime<Utc> = moment.parse().unwrap();
    bandwidth.at(moment).map(NonZeroU64::get)
}

#[test]
fn rates_are_read_in_bytes_and_in_bits() {
    assert_eq!(rate("20 MiB/s"), 20 << 20);
    assert_eq!(rate("1 MB/s"), 1_000_000);
    assert_eq!(rate("1.5MB/s"), 1_500_000);
    assert_eq!(rate("200 Mbit/s"), 25_000_000);
    assert_eq!(rate("1 Gbit/s"), 125_000_000);
    assert_eq!(rate("8 Kibit/s"), 1024);
    assert_eq!(rate("512 B/s"), 512);
}

/// What stands below `[registries."quay.io"]`, and the beginning of what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "bandwidth = \"20 MiB\"",
        "2: `20 MiB` is not a rate | write a rate such as",
    ),
    (
        "bandwidth = \"20 Mb/s\"",
        "2: `20 Mb/s` may mean bits or bytes | write \"MB/s\"",
    ),
    ("bandwidth = \"fast/s\"", "2: `fast/s` is not a rate"),
    ("bandwidth = \"0 MB/s\"", "2: `0 MB/s` moves nothing"),
    (
        "bandwidth = 20",
        "2: bad value for `bandwidth`: this is of type integer | write a rate",
    ),
    ("bandwidth = []", "2: `bandwidth` is an empty list"),
    (
        "bandwidth = [\"1 MB/s\"]",
        "2: `bandwidth` is of type string, not a table",
    ),
    (
        "bandwidth = [{ from = \"8\", to = \"9:00\", rate = \"1 MB/s\" }]",
        "2: `8` is not a time",
    ),
    (
        "bandwidth = [{ from = \"08:00\", rate = \"1 MB/s\" }]",
        "2: one of `from` and `to` is",
    ),
    (
        "bandwidth = [{ from = \"08:00\", to = \"08:00\", rate = \"1 MB/s\" }]",
        "2: `from` and `to` are the same",
    ),
    (
        "bandwidth = [{ from = \"08:00\", to = \"09:00\" }]",
        "2: `bandwidth` has an entry without a",
    ),
    (
        "bandwidth = [{ rat = \"1 MB/s\" }]",
        "2: unknown key `rat` in `bandwidth` | did you mean `rate`?",
    ),
    (
        "bandwidth = [{ rate = \"1 MB/s\" }, { rate = \"2 MB/s\" }]",
        "2: this rate never holds",
    ),
    (
        "requests_per_second = 0",
        "2: `requests_per_second = 0` is out of range | write a number",
    ),
    (
        "requests_per_second = \"many\"",
        "2: bad value for `requests_per_second`",
    ),
    (
        "[limits]\nbandwith = \"1 MB/s\"",
        "3: unknown key `bandwith` in [limits] | did you mean `bandwidth`?",
    ),
    (
        "[limits]\ntraffic = \"1 TB\"",
        "3: [traffic] is of type string",
    ),
    (
        "[limits]\ntraffic = { per = \"month\" }",
        "3: `traffic` names no `bytes`",
    ),
    (
        "[limits]\ntraffic = { bytes = \"much\" }",
        "3: `much` is not a number of bytes",
    ),
    (
        "[limits]\ntraffic = { bytes = \"1 TB\", per = \"year\" }",
        "3: `per = \"year\"` is no period",
    ),
    (
        "[limits]\ntraffic = { bytes = \"1 TB\", counts = \"all\" }",
        "3: `counts = \"all\"` is unknown",
    ),
];

#[test]
fn limit_mistakes_have_line_and_remedy() {
    let registry = "[registries.\"quay.io\"]\n";
    for (keys, expected) in MISTAKES {
        let found = problem(&format!("{registry}{keys}"));
        assert!(found.starts_with(expected), "{keys}: {found}");
        assert_eq!(found.lines().count(), 1, "{keys}: {found}");
    }
}

#[test]
fn a_registry_and_all_of_them_have_limits() {
    let config = config(
        "[limits]\nbandwidth = \"20 MiB/s\"\ntraffic = { bytes = \"1 TB\" }\n\
         [registries.\"quay.io\"]\nrequests_per_second = 0.5\nbandwidth = \"1 MB/s\"",
    );
    let traffic = TrafficBudget {
        bytes: 1_000_000_000_000,
        per: Period::Month,
        counts: Counted::Both,
    };
    assert_eq!(config.limits.traffic, Some(traffic));
    let all = config.limits.bandwidth.as_ref().unwrap();
    assert_eq!(at(all, "2026-01-01T00:00:00Z"), Some(20 << 20));
    let quay = config.registry(&"quay.io".parse().unwrap());
    assert_eq!(quay.requests_per_second, Some(0.5));
    assert!(quay.bandwidth.is_some());
}

#[test]
fn the_first_window_that_holds_decides_also_past_midnight() {
    let text = "timezone = \"Asia/Shanghai\"\n[limits]\nbandwidth = [\
                { from = \"22:00\", to = \"06:00\", rate = \"20 MB/s\" }, \
                { from = \"05:00\", to = \"08:00\", rate = \"10 MB/s\" }]";
    let bandwidth = config(text).limits.bandwidth.unwrap();
    for (moment, expected) in [
        ("2026-01-01T13:59:59Z", None),
        ("2026-01-01T14:00:00Z", Some(20_000_000)),
        ("2026-01-01T16:00:00Z", Some(20_000_000)),
        ("2026-01-01T21:59:59Z", Some(20_000_000)),
        ("2026-01-01T22:00:00Z", Some(10_000_000)),
        ("2026-01-02T00:00:00Z", None),
    ] {
        assert_eq!(at(&bandwidth, moment), expected, "{moment}");
    }
}

#[test]
fn a_window_follows_the_clock_of_its_zone_when_that_is_set() {
    let text = "timezone = \"Europe/Berlin\"\n[limits]\nbandwidth = [\
                { from = \"02:30\", to = \"08:00\", rate = \"5 MB/s\" }, { rate = \"1 MB/s\" }]";
    let bandwidth = config(text).limits.bandwidth.unwrap();
    for (moment, expected) in [
        // In spring the clock goes from 02:00 to 03:00, which is in the window.
        ("2026-03-29T00:59:59Z", 1_000_000),
        ("2026-03-29T01:00:00Z", 5_000_000),
        ("2026-03-29T05:59:59Z", 5_000_000),
        ("2026-03-29T06:00:00Z", 1_000_000),
        // In autumn 02:30 comes twice, and so does the time before it.
        ("2026-10-25T00:30:00Z", 5_000_000),
        ("2026-10-25T01:00:00Z", 1_000_000),
        ("2026-10-25T01:30:00Z", 5_000_000),
    ] {
        assert_eq!(at(&bandwidth, moment), Some(expected), "{moment}");
    }
}

#[test]
fn periods_begin_and_end_with_the_calendar() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    assert_eq!(Period::Month.start(day("2026-02-28")), day("2026-02-01"));
    assert_eq!(Period::Month.end(day("2026-12-31")), day("2027-01-01"));
    assert_eq!(Period::Day.start(day("2026-02-28")), day("2026-02-28"));
    assert_eq!(Period::Day.end(day("2026-02-28")), day("2026-03-01"));
}

#[test]
fn configured_rate_replaces_known_vendor_limit() {
    let name = "public.ecr.aws".parse().unwrap();
    let limited = config("[registries.\"public.ecr.aws\"]\nrequests_per_second = 50");
    assert_eq!(
        limited.registry(&name).requests_per_second_of(&name),
        Some(50.0)
    );
    assert_eq!(
        config("").registry(&name).requests_per_second_of(&name),
        Some(5.0)
    );
}
