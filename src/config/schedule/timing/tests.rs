use chrono::DateTime;
use secrecy::ExposeSecret as _;

use crate::config::{
    tests::{TARGET, parse, report},
    *,
};

const MIRROR: &str = "[[mirror]]\nfrom = \"a:1\"\n";

/// The only mirror of a file with these keys.
fn mirror(keys: &str) -> Mirror {
    let mut config = parse(&format!("{TARGET}{MIRROR}{keys}"));
    config.mirrors.remove(0)
}

/// What is said of these keys of a mirror: line, message, remedy.
fn said(keys: &str) -> Vec<String> {
    problems(&format!("{TARGET}{MIRROR}{keys}"))
}

fn problems(text: &str) -> Vec<String> {
    let records = report(text).records();
    let errors = records.iter().filter(|record| record.severity == "error");
    errors
        .map(|r| format!("{}: {} | {}", r.line, r.message, r.remedy))
        .collect()
}

#[test]
fn a_mirror_runs_hourly_unless_it_says_otherwise() {
    let plain = mirror("");
    assert_eq!(plain.schedule.to_string(), "@hourly");
    assert_eq!(plain.jitter, Duration::from_secs(60));
    assert_eq!(plain.max_lag, Duration::from_secs(2 * 3600));
    assert!(!plain.is_paused);
    let often = mirror("schedule = \"*/5 * * * *\"\n");
    assert_eq!(often.jitter, Duration::from_secs(30));
    let working_days = mirror("schedule = \"0 9 * * MON-FRI\"\n");
    assert_eq!(working_days.max_lag, Duration::from_hours(6 * 24));
}

#[test]
fn the_defaults_hold_for_each_key_of_its_own() {
    let config = parse(
        "[defaults]\ntarget = \"m.example.com\"\nschedule = \"@daily\"\njitter = \"5m\"\nmax_lag = \"30h\"\npaused = true\n\
         [[mirror]]\nfrom = \"a:1\"\n\
         [[mirror]]\nfrom = \"b:1\"\nschedule = \"0 30 3 * * *\"\njitter = \"0s\"\npaused = false\n",
    );
    let [first, second] = &config.mirrors[..] else {
        panic!("{config:?}")
    };
    assert_eq!(first.schedule.with_seconds(), "0 0 0 * * *");
    assert_eq!((first.jitter.as_secs(), first.is_paused), (300, true));
    assert_eq!(second.schedule.to_string(), "0 30 3 * * *");
    assert_eq!((second.jitter.as_secs(), second.is_paused), (0, false));
    assert_eq!(second.max_lag, Duration::from_hours(30));
}

#[test]
fn every_form_of_a_schedule_is_read() {
    for text in [
        "17 */2 * * *",
        "0 17 */2 * * *",
        "*/15 8-18 * JAN,jul mon-fri",
        "0 0 L * *",
        "0 0 15W * ?",
        "0 0 ? * FRIL",
        "0 0 * * MON#1,5#3",
        "5/20 0 * * 7",
        "@Weekly",
        "@yearly",
    ] {
        assert_eq!(
            mirror(&format!("schedule = \"{text}\"\n"))
                .schedule
                .to_string(),
            text
        );
    }
}

/// Bad schedules, and how what is said of them starts.
const BAD: &[(&str, &str)] = &[
    ("", "it is empty | write minute, hour"),
    (
        "@reboot",
        "there is no `@reboot` | the names are @hourly, @daily",
    ),
    ("@dayly", "there is no `@dayly` | did you mean \"@daily\"?"),
    ("@every 2h", "there is no `@every 2h` | the names are"),
    (
        "every 2h",
        "it is an interval | write every = \"2h\" in place of `schedule`",
    ),
    ("hourly", "it has 1 field | write minute, hour"),
    (
        "* * * *",
        "it has 4 fields | write minute, hour, day of the month",
    ),
    ("0 0 0 * * * 2026", "it has 7 fields | write minute"),
    (
        "61 * * * *",
        "the minute cannot be `61` | the minute is 0 to 59",
    ),
    (
        "60 1 1 * * *",
        "the second cannot be `60` | the second is 0 to 59",
    ),
    (
        "0 24 * * *",
        "the hour cannot be `24` | the hour is 0 to 23",
    ),
    (
        "0 0 0 * *",
        "the day of the month cannot be `0` | the day of the month is 1 to 31",
    ),
    (
        "0 0 * 13 *",
        "the month cannot be `13` | the month is 1 to 12 or JAN to DEC",
    ),
    ("0 0 * MON *", "the month cannot be `MON`"),
    (
        "0 0 * * 8",
        "the day of the week cannot be `8` | the day of the week is 0 to 7",
    ),
    ("0 0 * * MONDAY", "the day of the week cannot be `MONDAY`"),
    ("0 0 * * JAN", "the day of the week cannot be `JAN`"),
    ("0 0 * * +MON", "the day of the week cannot be `+MON`"),
    ("0 0 * * FRI-MON", "the day of the week cannot be `FRI-MON`"),
    ("MON * * * *", "the minute cannot be `MON`"),
    ("*/0 * * * *", "the minute cannot be `*/0`"),
    ("*/90 * * * *", "the minute cannot be `*/90`"),
    ("5, * * * *", "the minute cannot be `5,`"),
    ("9-5 * * * *", "the minute cannot be `9-5`"),
    ("1.5 * * * *", "the minute cannot be `1.5`"),
    (
        "0 0 1 * MON",
        "it restricts both the day of the month and the day of the week | write `*`",
    ),
    (
        "0 0 30 2 *",
        "it never fires: no month that it names has such a day | write a day",
    ),
    ("0 0 31 4,6,9,11 *", "it never fires"),
    ("0 0 * * L", "it never fires"),
];

#[test]
fn a_bad_schedule_is_told_by_its_field() {
    for (text, expected) in BAD {
        let found = said(&format!("schedule = \"{text}\"\n"));
        let expected = format!("5: bad `schedule`: {expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_bad_duration_is_told_with_a_remedy() {
    for (keys, expected) in [
        (
            "jitter = \"soon\"",
            "5: `soon` is not a duration | write how late a run may start",
        ),
        ("jitter = 30", "5: bad value for `jitter`"),
        (
            "jitter = \"1h\"",
            "5: a `jitter` of 1h reaches the next tick | write less than 1h",
        ),
        (
            "schedule = \"*/5 * * * *\"\njitter = \"7m\"",
            "6: a `jitter` of 7m reaches",
        ),
        (
            "max_lag = \"0s\"",
            "5: `0s` is not a duration | write how far the mirror may lag",
        ),
        ("max_lag = \"long\"", "5: `long` is not a duration"),
        ("paused = \"yes\"", "5: bad value for `paused`"),
        (
            "schedul = \"@daily\"",
            "5: unknown key `schedul` in [[mirror]] | did you mean `schedule`?",
        ),
    ] {
        let found = said(&format!("{keys}\n"));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
    let found = said("schedule = \"bad\"\njitter = \"2h\"\n");
    assert_eq!(found.len(), 1, "a consequence is reported: {found:?}");
}

#[test]
fn a_bad_schedule_of_the_defaults_is_told_once() {
    let text = format!("{TARGET}schedule = \"@never\"\n{MIRROR}[[mirror]]\nfrom = \"b:1\"\n");
    let found = problems(&text);
    assert!(
        found.len() == 1 && found[0].starts_with("3: bad `schedule`"),
        "{found:?}"
    );
}

#[test]
fn next_run_uses_timezone_and_pause() {
    let shanghai = chrono_tz::Asia::Shanghai;
    let mut daily = mirror("schedule = \"7 9 * * *\"\n");
    let next = daily.next_run(shanghai, 1_767_225_600);
    assert_eq!(next, Some(1_767_225_600 + 67 * 60), "2026-01-01T01:07Z");
    assert_eq!(daily.interval_seconds(shanghai, 1_767_225_600), 86_400);
    daily.is_paused = true;
    assert_eq!(daily.next_run(shanghai, 1_767_225_600), None);
    let working_days = mirror("schedule = \"0 9 * * 1-5\"\n");
    assert_eq!(
        working_days.interval_seconds(shanghai, 1_767_225_600),
        3 * 86_400
    );
}

#[test]
fn daemon_defaults_to_loopback_read_only() {
    let config = parse(&format!("{TARGET}{MIRROR}"));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:9618");
    assert!(config.http.token.is_none());
    assert_eq!(config.drain, Duration::from_secs(60));
    let config = parse(&format!(
        "[http]\nlisten = \"[::]:0\"\ntoken = \"hunter2-a-long-token\"\n[state]\ndrain = \"0s\"\n{TARGET}{MIRROR}"
    ));
    assert_eq!(config.http.listen.to_string(), "[::]:0");
    assert_eq!(config.drain, Duration::ZERO);
    assert!(!format!("{config:?}").contains("hunter2"));
    let token = config.http.token.unwrap();
    assert_eq!(token.expose_secret(), "hunter2-a-long-token");
}

#[test]
fn what_the_daemon_cannot_use_is_refused() {
    for (section, expected) in [
        (
            "[http]\nlisten = \":9618\"",
            "2: `:9618` is not an address to listen on | write an IP",
        ),
        (
            "[http]\nlisten = \"localhost:9618\"",
            "2: `localhost:9618` is not an address",
        ),
        ("[http]\nlisten = 9618", "2: bad value for `listen`"),
        (
            "[http]\nhosts = [\"https://m.example\"]",
            "2: `https://m.example` is not the name of a host | write the name",
        ),
        (
            "[http]\ntoken = \"\"",
            "2: the `token` is empty, or no header can hold it | write ASCII",
        ),
        (
            "[http]\ntoken = \"a b\"",
            "2: the `token` is empty, or no header can hold it",
        ),
        (
            "[http]\ntoken = \"open-sesame\"",
            "2: the `token` has fewer than 16 letters | write ASCII",
        ),
        (
            "[http]\ntoken = \"0101010101010101\"",
            "2: the `token` has fewer than 6 different letters | write ASCII",
        ),
        (
            "[http]\ntoken = { env = \"UNSET_VARIABLE\" }",
            "2: the environment variable UNSET_VARIABLE",
        ),
        ("[http]\ntoken = { }", "2: `token` names no source"),
        (
            "[http]\ntokn = \"x\"",
            "2: unknown key `tokn` in [http] | did you mean `token`?",
        ),
        (
            "[state]\ndrain = \"a while\"",
            "2: `a while` is not a duration | write how long a shutdown",
        ),
        (
            "[state]\ndran = \"1s\"",
            "2: unknown key `dran` in [state] | did you mean `drain`?",
        ),
    ] {
        let found = problems(&format!("{section}\n{TARGET}{MIRROR}"));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
}

#[test]
fn a_token_in_the_file_is_never_shown() {
    for keys in [
        "token = \"hunter2\"\nlisten = \"x\"",
        "listen = \"x\"\ntoken = [\"hunter2\"]",
        "token = \"hunter2",
        "token = \"hunter 2 hunter2\"",
    ] {
        let shown = report(&format!("[http]\n{keys}\n{TARGET}{MIRROR}")).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_token_in_a_file_that_everybody_reads_is_a_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("[http]\ntoken = \"hunter2-a-long-token\"\n{TARGET}{MIRROR}");
    std::fs::write(file.path(), &text).unwrap();
    for (mode, warnings) in [(0o644, 1), (0o600, 0)] {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(file.path(), permissions).unwrap();
        let config = Config::load(Some(file.path())).unwrap();
        assert_eq!(config.warnings.records().len(), warnings);
        assert!(!config.warnings.to_string().contains("hunter2"));
    }
}

#[test]
fn every_is_a_fixed_interval_from_the_epoch() {
    let mirror = mirror("every = \"45m\"\n");
    assert_eq!(mirror.schedule.to_string(), "every 45m");
    assert_eq!(mirror.jitter, Duration::from_secs(60));
    assert_eq!(mirror.max_lag, Duration::from_mins(90));
    let shanghai = chrono_tz::Asia::Shanghai;
    assert_eq!(mirror.interval_seconds(shanghai, 0), 45 * 60);
    assert_eq!(mirror.next_run(shanghai, 0), Some(45 * 60));
    assert_eq!(mirror.next_run(shanghai, 45 * 60 - 1), Some(45 * 60));
    assert_eq!(mirror.next_run(shanghai, 45 * 60), Some(90 * 60));
    let at = |second| DateTime::from_timestamp(second, 0).unwrap();
    let last = |second| mirror.schedule.last_before(at(second), shanghai);
    assert_eq!(last(45 * 60), Some(at(45 * 60)));
    assert_eq!(last(45 * 60 + 1), Some(at(45 * 60)));
    assert_eq!(last(-1), Some(at(-45 * 60)));
}

#[test]
fn every_and_schedule_replace_the_defaults() {
    for (default, own, expected) in [
        ("schedule = \"@daily\"", "every = \"2h\"", "every 2h"),
        ("every = \"2h\"", "schedule = \"@daily\"", "@daily"),
        ("every = \"2h\"", "every = \"5m\"", "every 5m"),
        ("every = \"2h\"", "", "every 2h"),
    ] {
        let config = parse(&format!("{TARGET}{default}\n{MIRROR}{own}\n"));
        assert_eq!(config.mirrors[0].schedule.to_string(), expected);
    }
}

#[test]
fn refuses_a_bad_interval() {
    for (keys, expected) in [
        (
            "every = \"often\"",
            "5: `often` is not a duration | write the time between two runs",
        ),
        (
            "every = \"0s\"",
            "5: bad `every`: the interval is out of range | write whole seconds",
        ),
        ("every = \"1500ms\"", "5: bad `every`: the interval is out"),
        ("every = \"2y\"", "5: bad `every`: the interval is out"),
        ("every = 45", "5: bad value for `every`"),
        (
            "schedule = \"@daily\"\nevery = \"2h\"",
            "6: `every` beside `schedule` | keep one of them",
        ),
        (
            "every = \"5m\"\njitter = \"7m\"",
            "6: a `jitter` of 7m reaches the next tick | write less than 5m",
        ),
    ] {
        let found = said(&format!("{keys}\n"));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{found:?}"
        );
    }
}
