use secrecy::ExposeSecret as _;

use crate::config::{
    tests::{TARGET, parse, report},
    *,
};

const MIRRORS: &str = "[[mirror]]\nname = \"kubernetes\"\nfrom = \"a:1\"\n";

fn with(tables: &str) -> Config {
    parse(&format!("{tables}\n{TARGET}{MIRRORS}"))
}

fn mistakes(tables: &str) -> Vec<String> {
    let report = report(&format!("{tables}\n{TARGET}{MIRRORS}"));
    let records = report.records();
    let reported = records
        .iter()
        .filter(|r| r.severity == "error")
        .map(|r| format!("{}: {} | {}", r.line, r.message, r.remedy));
    reported.collect()
}

#[track_caller]
fn assert_mistake(tables: &str, expected: &[&str]) {
    let found = mistakes(tables);
    let is_as_expected =
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(is_as_expected, "{found:#?}");
}

/// One channel of each kind.
const CHANNELS: &str = r#"
[notify.a]
kind = "wecom"
url = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=K"
[notify.b]
kind = "dingtalk"
url = "https://oapi.dingtalk.com/robot/send?access_token=T"
secret = "SECtest"
[notify.c]
kind = "feishu"
url = "https://open.feishu.cn/open-apis/bot/v2/hook/ID"
[notify.d]
kind = "slack"
url = "https://hooks.slack.com/services/T/B/X"
[notify.e]
kind = "telegram"
token = "123456:AbC-dEf"
chat = -1001234567890
[notify.f]
kind = "email"
url = "smtps://mail.example.com"
username = "me"
password = "hunter2"
from = "transship <transship@example.com>"
to = "ops@example.com"
[notify.g]
kind = "healthchecks"
url = "https://hc-ping.com/5cc0d6ff-2b1a-4d3a-9f0e-1f5c9a3b7d11"
[notify.h]
kind = "webhook"
url = "http://127.0.0.1:8080/hook"
secret = "s3cret"
on = ["lag", "recovered", "lag"]
mirrors = ["kubernetes"]
"#;

#[test]
fn every_kind_of_channel_is_read() {
    let config = with(CHANNELS);
    let kinds = config.channels.iter().map(|c| c.service.kind());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            "wecom",
            "dingtalk",
            "feishu",
            "slack",
            "telegram",
            "email",
            "healthchecks",
            "webhook"
        ]
    );
    match &config.channels[4].service {
        Service::Telegram { api, token, chat } => {
            assert_eq!(api.as_str(), "https://api.telegram.org/");
            assert_eq!(token.expose_secret(), "123456:AbC-dEf");
            assert_eq!(chat, "-1001234567890");
        }
        other => panic!("{other:?}"),
    }
    let own = &config.channels[7];
    assert_eq!(own.topics, [Topic::Lag, Topic::Recovered]);
    assert_eq!(own.mirrors.as_deref(), Some(&["kubernetes".into()][..]));
    assert_eq!(config.channels[6].topics, [Topic::Runs]);
    assert_eq!(config.channels[0].topics.len(), 15);
}

#[test]
fn a_channel_for_reports_alone_that_gets_none_is_a_warning() {
    let warnings = |to: &str, on: &str| {
        let config = with(&format!(
            "[report]\n{to}\n[notify.a]\nkind = \"slack\"\nurl = \"https://h/a\"\n{on}\n\
             [notify.b]\nkind = \"slack\"\nurl = \"https://h/b\"\n"
        ));
        let records = config.warnings.records();
        let reported = records.iter().map(|r| format!("{}: {}", r.line, r.message));
        reported
            .filter(|said| said.contains("gets nothing"))
            .collect::<Vec<_>>()
    };
    let (to, on) = ("to = [\"b\"]", "on = [\"report\"]");
    let expected = "6: [notify.a] gets nothing: the report goes to others";
    assert_eq!(warnings(to, on), [expected]);
    assert!(warnings("", on).is_empty());
    assert!(warnings("to = [\"a\", \"b\"]", on).is_empty());
    assert!(warnings(to, "on = [\"report\", \"lag\"]").is_empty());
    assert!(warnings(to, "").is_empty());
}

#[test]
fn report_goes_to_its_channels_or_all() {
    let channels = "[notify.a]\nkind = \"slack\"\nurl = \"https://h/a\"\n\
                    [notify.b]\nkind = \"slack\"\nurl = \"https://h/b\"\non = \"lag\"\n\
                    [notify.c]\nkind = \"slack\"\nurl = \"https://h/c\"\n";
    let to = |report: &str| {
        let config = with(&format!("{report}{channels}"));
        config.report.to.iter().map(ToString::to_string).collect()
    };
    let all: Vec<String> = to("");
    assert_eq!(all, ["a", "c"]);
    let named: Vec<String> = to("[report]\nto = \"c\"\n");
    assert_eq!(named, ["c"]);
    assert!(parse(&format!("{TARGET}{MIRRORS}")).report.to.is_empty());
    assert_mistake(
        &format!("[report]\nto = [\"d\", \"b\", \"nowhere\"]\n{channels}"),
        &[
            "2: no [notify.d] | did you mean \"",
            "2: [notify.b] takes no report | add \"report\"",
            "2: no [notify.nowhere] | the channels are: a, b, c",
        ],
    );
    assert_mistake(
        "[report]\nto = \"ops\"\n",
        &["2: no [notify.ops] | add [notify.ops] with its `kind`"],
    );
}

#[test]
fn the_report_has_a_time_of_day() {
    let at = |text: &str| with(text).report.at.format("%H:%M").to_string();
    assert_eq!(at(""), "09:07");
    assert_eq!(at("[report]\nat = \"18:30\"\n"), "18:30");
    assert_mistake(
        "[report]\nat = \"9 o'clock\"\n",
        &["2: `9 o'clock` is no time of day | write hours and minutes"],
    );
    assert_mistake("[report]\nat = \"24:00\"\n", &["2: `24:00` is no time"]);
}

#[test]
fn a_channel_has_the_keys_of_its_kind_and_no_others() {
    for (keys, expected) in [
        (
            "kind = \"wecom\"",
            &["1: [notify.x] of kind \"wecom\" has no `url` | add `url = { env"][..],
        ),
        (
            "url = \"https://h/a\"",
            &["1: [notify.x] has no `kind` | add"],
        ),
        (
            "kind = \"slak\"\nurl = \"https://h/a\"",
            &["2: unknown kind `slak` | did you mean \"slack\"?"],
        ),
        (
            "kind = \"pager\"",
            &["2: unknown kind `pager` | the kinds are: wecom, "],
        ),
        (
            "kind = \"slack\"\nurl = \"https://h/a\"\nsecret = \"s\"\nchat = \"c\"",
            &[
                "4: `secret` is no key of kind \"slack\" | take it out; its keys are: kind, url, on",
                "5: `chat` is no key of kind \"slack\"",
            ],
        ),
        (
            "kind = \"telegram\"",
            &[
                "1: [notify.x] of kind \"telegram\" has no `chat` | add `chat",
                "1: [notify.x] of kind \"telegram\" has no `token` | add `token",
            ],
        ),
    ] {
        assert_mistake(&format!("[notify.x]\n{keys}\n"), expected);
    }
}

#[test]
fn the_values_of_a_channel_s_keys_are_what_they_must_be() {
    for (keys, expected) in [
        (
            "kind = \"telegram\"\ntoken = \"bot/../x\"\nchat = true",
            &[
                "3: `token` is not a token of Telegram | write it as @BotFather",
                "4: `chat` is no chat | write the chat's number",
            ][..],
        ),
        (
            "kind = \"email\"\nurl = \"smtp://h/x\"\nfrom = \"nobody\"\nto = [\"a@b.example\", \"c\"]\nusername = \"u\"",
            &[
                "3: `url` has more than a host and a port | write \"smtps",
                "4: `from` is no mail address: ",
                "5: `to` is no mail address: ",
                "6: `username` without a `password` | add `password",
            ],
        ),
        (
            "kind = \"email\"\nurl = \"smtps://u:p@h\"\nfrom = \"a@b.example\"\nto = \"a@b.example\"",
            &["3: `url` holds a login | take it out"],
        ),
        (
            "kind = \"webhook\"\nurl = \"host/path\"",
            &["3: `url` is no URL: relative URL without a base | write the whole URL"],
        ),
        (
            "kind = \"webhook\"\nurl = \"ftp://host/path\"",
            &["3: `url` has an unknown scheme"],
        ),
        (
            "kind = \"webhook\"\nurl = { env = \"UNSET_VARIABLE\" }",
            &["3: the environment variable UNSET_VARIABLE is not set | set UNSET_VARIABLE"],
        ),
        (
            "kind = \"slack\"\nulr = \"https://h/a\"",
            &["3: unknown key `ulr` in [notify.\"x\"] | did you mean `url`?"],
        ),
    ] {
        assert_mistake(&format!("[notify.x]\n{keys}\n"), expected);
    }
}

#[test]
fn topics_and_mirrors_are_known_by_name() {
    let channel = |kind: &str, keys: &str| {
        format!("[notify.x]\nkind = \"{kind}\"\nurl = \"https://h/a\"\n{keys}\n")
    };
    assert_mistake(
        &channel("slack", "on = [\"lagg\", \"weather\", \"runs\"]"),
        &[
            "4: unknown topic `lagg` | did you mean \"lag\"?",
            "4: unknown topic `weather` | the topics are: report, lag, stale, ",
            "4: `runs` is for healthchecks only | take it out",
        ],
    );
    assert_mistake(
        &channel("slack", "mirrors = [\"kubernets\", \"z\"]"),
        &[
            "4: no mirror `kubernets` | did you mean \"kubernetes\"?",
            "4: no mirror `z` | the mirrors are: kubernetes",
        ],
    );
    let config = with(&channel("healthchecks", "on = [\"runs\", \"report\"]"));
    assert_eq!(config.channels[0].topics, [Topic::Runs, Topic::Report]);
}

#[test]
fn mail_is_private_on_its_way_unless_the_server_is_here() {
    let relay = |url: &str| {
        let config = with(&format!(
            "[notify.x]\nkind = \"email\"\nurl = \"{url}\"\nfrom = \"a@b.example\"\nto = \"a@b.example\"\n"
        ));
        match &config.channels[0].service {
            Service::Email(email) => email.relay.clone(),
            other => panic!("{other:?}"),
        }
    };
    let expected = |host: &str, port, security| Relay {
        host: host.into(),
        port,
        security,
    };
    for (url, wanted) in [
        (
            "smtps://m.example",
            expected("m.example", 465, Security::Tls),
        ),
        (
            "smtps://localhost:1",
            expected("localhost", 1, Security::Tls),
        ),
        (
            "smtp://m.example",
            expected("m.example", 587, Security::StartTls),
        ),
        (
            "smtp://10.0.0.1:25",
            expected("10.0.0.1", 25, Security::StartTls),
        ),
        (
            "smtp://127.0.0.1:25",
            expected("127.0.0.1", 25, Security::Loopback),
        ),
        ("smtp://[::1]:25", expected("::1", 25, Security::Loopback)),
        (
            "smtp://localhost",
            expected("localhost", 587, Security::Loopback),
        ),
    ] {
        assert_eq!(relay(url), wanted, "{url}");
    }
}

#[test]
fn no_secret_of_a_channel_is_printed() {
    for keys in [
        "kind = \"slack\"\nurl = \"https://h/hunter2\"\nsecret = \"hunter2\"",
        "kind = \"slak\"\nurl = \"https://h/hunter2\"",
        "kind = \"slack\"\nulr = \"https://h/hunter2\"",
        "kind = \"slack\"\nurl = \"hunter2\"",
        "kind = \"slack\"\nurl = [\"https://h/hunter2\"]",
        "kind = \"telegram\"\ntoken = \"hunter2\"\nchat = 1.5",
        "kind = \"email\"\nurl = \"smtp://a:hunter2@h\"\nfrom = 1",
        "kind = \"webhook\nsecret = \"hunter2\"\nurl = \"https://h/hunter2\"\ntoken = \"hunter2\"",
    ] {
        let text = format!("[notify.x]\n{keys}\n{TARGET}{MIRRORS}");
        let shown = report(&text);
        let reported = format!("{shown} {:?}", shown.records());
        assert!(!reported.contains("hunter2"), "{reported}");
    }
    let config = with(
        "[notify.x]\nkind = \"webhook\"\nurl = \"https://h/hunter2?key=hunter2\"\nsecret = \"hunter2\"\n\
         [notify.y]\nkind = \"telegram\"\ntoken = \"1:hunter2\"\nchat = 1\n",
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn inline_secret_in_open_file_warns() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "[notify.x]\nkind = \"slack\"\nurl = \"https://h/hunter2\"\n\
         [notify.y]\nkind = \"email\"\nurl = \"smtps://h\"\nfrom = \"a@b.example\"\nto = \"a@b.example\"\n\
         {TARGET}{MIRRORS}"
    );
    std::fs::write(file.path(), &text).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), open).unwrap();
    let config = Config::load(Some(file.path())).unwrap();
    let records = config.warnings.records();
    assert_eq!((records.len(), records[0].line), (1, 3), "{records:#?}");
    assert!(
        records[0]
            .message
            .starts_with("a URL that is a secret in a file")
    );
    assert!(!config.warnings.to_string().contains("hunter2"));
}

/// The example with the commented part about channels taken at its word.
#[test]
fn the_channels_of_the_example_are_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mirror.toml");
    let example = std::fs::read_to_string(path).unwrap();
    let (before, channels) = example.split_once("# [report]").unwrap();
    let mut text = before.to_owned();
    for line in format!("# [report]{channels}").lines() {
        text.push_str(line.strip_prefix("# ").unwrap_or(line));
        text.push('\n');
    }
    for (secret, value) in [
        ("feishu-url", "https://h/a"),
        ("feishu-secret", "s"),
        ("mail-password", "p"),
        ("telegram-token", "1:a"),
        ("healthchecks-url", "https://h/a"),
        ("webhook-url", "https://h/a"),
        ("webhook-secret", "s"),
    ] {
        let written = format!("{{ credential = \"{secret}\" }}");
        assert!(text.contains(&written), "{secret}");
        text = text.replace(&written, &format!("\"{value}\""));
    }
    let config = parse(&text);
    assert_eq!(config.channels.len(), 5);
    assert_eq!(config.report.to, ["ops-feishu".into()]);
}

#[test]
fn quiet_hours_and_their_topics_are_checked() {
    let config = with("[report]\nquiet = \"22:00-07:00\"\nurgent = [\"disk\", \"unreachable\"]");
    let quiet = config.report.quiet.clone().unwrap();
    let time = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    assert_eq!((quiet.from, quiet.to), (time(22), time(7)));
    assert_eq!(quiet.urgent, [Topic::Disk, Topic::Unreachable]);
    for (line, message) in [
        ("quiet = \"22-7\"", "`22-7` is no span of quiet hours"),
        ("quiet = \"22:00-22:00\"", "is no span of quiet hours"),
        (
            "quiet = \"22:00-07:00\"\nurgent = [\"report\"]",
            "`report` is no topic of alarms",
        ),
        (
            "quiet = \"22:00-07:00\"\nurgent = [\"dsik\"]",
            "did you mean \"disk\"?",
        ),
        ("urgent = [\"disk\"]", "`urgent` without `quiet`"),
    ] {
        let mistakes = mistakes(&format!("[report]\n{line}"));
        assert!(
            mistakes.len() == 1 && mistakes[0].contains(message),
            "{line}: {mistakes:?}"
        );
    }
}

#[test]
fn templates_are_for_webhooks_and_are_tried() {
    let hook = |keys: &str| format!("[notify.a]\nurl = \"https://h.example/a\"\n{keys}");
    let fine = with(&hook(
        "kind = \"webhook\"\ntemplate = '{\"text\": {{ text }}}'",
    ));
    let Service::Webhook(webhook) = &fine.channels[0].service else {
        panic!("{fine:?}");
    };
    assert!(webhook.template.is_some());
    assert_eq!(webhook.grouping, Grouping::Message);
    for (keys, message) in [
        (
            "kind = \"webhook\"\ntemplate = '{\"text\": {{ txet }}}'",
            "`template` cannot be used",
        ),
        (
            "kind = \"slack\"\ntemplate = '{}'",
            "`template` is no key of kind \"slack\"",
        ),
        (
            "kind = \"slack\"\nper_alarm = true",
            "`per_alarm` is no key of kind \"slack\"",
        ),
        (
            "kind = \"slack\"\nmessages_per_minute = 0",
            "messages_per_minute",
        ),
    ] {
        let mistakes = mistakes(&hook(keys));
        assert!(
            mistakes.len() == 1 && mistakes[0].contains(message),
            "{keys}: {mistakes:?}"
        );
    }
}

#[test]
fn unknown_language_is_named_with_place_and_values() {
    let slack = "[notify.a]\nkind = \"slack\"\nurl = \"https://h.example/a\"\n";
    for (file, line) in [
        (format!("{slack}language = \"cn\""), "4: "),
        ("[report]\nlanguage = \"cn\"".to_owned(), "2: "),
    ] {
        let mistakes = mistakes(&file);
        let [mistake] = &mistakes[..] else {
            panic!("{mistakes:?}");
        };
        assert!(mistake.starts_with(line), "{mistake}");
        for part in ["there is no language `cn`", "\"en\"", "\"zh\""] {
            assert!(mistake.contains(part), "{part}: {mistake}");
        }
    }
}
