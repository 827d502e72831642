//! One mistake at a time, of every kind and at every place, beside planted secrets.

use std::path::Path;

use crate::config::{tests::report, *};

/// What every planted secret holds.
const PLANTED: &str = "planted";

/// Tables with a secret of each kind. All values stand in one line.
const FILE: &str = r#"
timezone = "UTC"

[state]
path = "/var/lib/transship/state.db"
drain = "60s"

[http]
listen = "127.0.0.1:9618"
token = "planted-http-token"

[limits]
traffic = { bytes = "1 TB", per = "month" }

[registries."quay.io"]
username = "robot"
password = "planted-basic"
connections = 16
proxy = "http://robot:planted-proxy@127.0.0.1:3128"

[registries."docker.io"]
login = "anonymous"

[defaults]
target = "registry.example.com/mirror"
latest = 3

[report]
at = "09:07"
to = ["a", "b"]

[notify.a]
kind = "slack"
url = "https://hooks.slack.com/services/T0/B0/planted"
on = ["report", "lag"]

[notify.b]
kind = "dingtalk"
url = "https://oapi.dingtalk.com/robot/send?access_token=planted"
secret = "SECplanted"

[notify.c]
kind = "telegram"
token = "123456:planted"
chat = "-1001234567890"

[notify.d]
kind = "email"
url = "smtps://mail.example.com"
username = "me"
password = "planted-mail"
from = "transship@example.com"
to = ["ops@example.com"]

[[mirror]]
name = "kubernetes"
from = "registry.k8s.io/pause"
tags = ["v1", "v2"]
platforms = ["linux/amd64"]

[[mirror]]
from = "quay.io/coreos/etcd:v3"
"#;

/// Lines that are keys, by their number, each as key and value.
fn keys() -> Vec<(usize, &'static str, &'static str)> {
    let lines = FILE.lines().enumerate();
    lines
        .filter_map(|(at, line)| line.split_once(" = ").map(|(key, value)| (at, key, value)))
        .collect()
}

fn secrets() -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let is_secret = |(_, _, value): &(usize, &str, &str)| value.contains(PLANTED);
    keys().into_iter().filter(is_secret)
}

/// The file with other text in place of a line, or without the line where there is none.
fn with_line(at: usize, line: &str) -> String {
    let mut lines: Vec<&str> = FILE.lines().collect();
    lines[at] = line;
    lines.join("\n")
}

/// Every word that comes of one slip of the fingers.
fn misspelt(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, c) in word.char_indices() {
        let (before, after) = (&word[..at], &word[at + 1..]);
        found.push(format!("{before}{after}"));
        found.push(format!("{before}{c}{c}{after}"));
        found.push(format!("{before}z{after}"));
        let mut swapped: Vec<char> = word.chars().collect();
        if at > 0 {
            swapped.swap(at - 1, at);
            found.push(swapped.into_iter().collect());
        }
    }
    found.retain(|other| !other.is_empty() && other != word);
    found
}

/// Parses a file and looks through all that is said of it; tells whether it was accepted.
#[track_caller]
fn is_accepted_in_silence(text: &str) -> bool {
    let parsed = Config::parse(Path::new("absent.toml"), text);
    let (report, is_accepted) = match parsed {
        Ok(config) => (config.warnings, true),
        Err(Error::Invalid(report)) => (report, false),
        Err(error) => panic!("{error}"),
    };
    let said = format!("{report}{:?}", report.records());
    assert!(!said.contains(PLANTED), "{said}");
    is_accepted
}

#[track_caller]
fn assert_refused_in_silence(text: &str) {
    assert!(!is_accepted_in_silence(text), "{text}");
}

#[test]
fn a_file_full_of_secrets_is_valid() {
    assert!(is_accepted_in_silence(FILE));
    assert_eq!(secrets().count(), 8);
}

#[test]
fn no_secret_is_told_under_a_misspelt_key_or_beside_one() {
    for (at, key, value) in keys() {
        for wrong in misspelt(key) {
            assert_refused_in_silence(&with_line(at, &format!("{wrong} = {value}")));
        }
    }
}

#[test]
fn no_secret_is_told_under_a_key_of_another_name() {
    for (at, _, value) in secrets() {
        for other in [
            "pas",
            "pat",
            "pw",
            "auth",
            "apikey",
            "credentials",
            "webhook",
            "lo",
        ] {
            let text = with_line(at, &format!("{other} = {value}"));
            assert_refused_in_silence(&text);
            assert_refused_in_silence(&format!("{FILE}{other} = {value}"));
        }
    }
}

#[test]
fn no_secret_is_told_in_a_value_of_a_wrong_type() {
    for (at, key, value) in secrets() {
        for wrong in [
            format!("[{value}]"),
            format!("[[{value}]]"),
            format!("[{{ url = {value} }}]"),
            format!("[{{ other = {value} }}]"),
            format!("{{ envv = {value} }}"),
            format!("{{ other = {value} }}"),
            format!("{{ env = {value} }}"),
            format!("{{ env = [{value}] }}"),
            format!("{{ env = {value}, file = \"/x\" }}"),
            format!("{{ file = {{ other = {value} }} }}"),
        ] {
            assert_refused_in_silence(&with_line(at, &format!("{key} = {wrong}")));
        }
    }
    for (at, key, _) in keys() {
        let wrong = "{ username = \"u\", password = \"planted\", other = [\"planted\"] }";
        assert_refused_in_silence(&with_line(at, &format!("{key} = {wrong}")));
    }
}

#[test]
fn no_secret_is_told_in_a_table_where_it_does_not_belong() {
    let heads: Vec<usize> = (0..FILE.lines().count())
        .filter(|at| FILE.lines().nth(*at).unwrap().starts_with('['))
        .collect();
    for (_, key, value) in secrets() {
        let moved = format!("{key} = {value}");
        for head in &heads {
            let name = FILE.lines().nth(*head).unwrap();
            is_accepted_in_silence(&with_line(*head, &format!("{name}\n{moved}")));
        }
        assert_refused_in_silence(&format!("{moved}\n{FILE}"));
        for table in ["registries", "notify", "state", "limits", "login", "other"] {
            let mirror = "[[mirror]]\nfrom = \"a:1\"\ntarget = \"t.example\"";
            assert_refused_in_silence(&format!("[{table}]\n{moved}\n{mirror}"));
            assert_refused_in_silence(&format!("{table} = {{ {moved} }}\n{mirror}"));
            assert_refused_in_silence(&format!("{mirror}\n{table} = {{ {moved} }}"));
        }
        let login = format!("[registries.\"ghcr.io\"]\nlogin = {{ {moved} }}");
        assert_refused_in_silence(&format!("{FILE}\n{login}"));
    }
    for table in [
        "http",
        "state",
        "limits",
        "registries",
        "mirror",
        "notify",
        "other",
    ] {
        assert_refused_in_silence(&format!("{table} = \"planted\"\n"));
    }
    assert_refused_in_silence(&format!(
        "{FILE}\n[registries.\"x.io\"]\nlogin = \"planted\""
    ));
}

#[test]
fn no_secret_is_told_under_a_head_that_is_misspelt_or_gone() {
    for (at, line) in FILE.lines().enumerate() {
        let Some(name) = line.strip_prefix('[') else {
            continue;
        };
        for wrong in misspelt(name) {
            is_accepted_in_silence(&with_line(at, &format!("[{wrong}")));
        }
        is_accepted_in_silence(&with_line(at, ""));
    }
}

#[test]
fn what_looks_like_a_secret_is_told_under_no_key_at_all() {
    let key = "-----BEGIN PRIVATE KEY-----\\nplanted\\n-----END PRIVATE KEY-----";
    for (at, name, _) in keys() {
        for secret in [
            "https://hooks.slack.com/services/T0/B0/planted",
            "https://robot:planted@registry.example.com",
            "robot:planted@registry.example.com/a",
            "Ab3dEf6hIj9planted",
            "https://h.example/0123456789Abcplanted",
            key,
        ] {
            let is_address = ["from", "target", "path", "endpoint", "proxy"].contains(&name);
            // An address under a key for addresses is shown unless it opens something.
            if secret.ends_with("B0/planted") && is_address {
                continue;
            }
            for value in [format!("\"{secret}\""), format!("[\"{secret}\"]")] {
                is_accepted_in_silence(&with_line(at, &format!("{name} = {value}\nlatst = 1")));
            }
        }
    }
    for name in ["https://robot:planted@quay.io", "Ab3dEf6hIj9planted"] {
        for table in ["registries", "notify"] {
            let text = format!("{FILE}\n[{table}.\"{name}\"]\nlatst = 1\n");
            assert_refused_in_silence(&text);
        }
    }
}

#[test]
fn no_secret_is_told_in_a_file_that_is_no_toml() {
    for (at, key, value) in secrets() {
        let (open, bare) = (value.trim_end_matches('"'), value.trim_matches('"'));
        for wrong in [
            format!("{key} = {open}"),
            format!("{key} = {bare}"),
            format!("{key} {value}"),
            format!("{key} =\n{value}"),
            format!("{key} = {{\nenv = 1\nother = {value}\n}}"),
            format!("{key} = [\n{value}\n"),
            format!("{key} = \"\"\"\n{bare}\n\"\"\" oops"),
            format!("{key} = {value}\n{key} = {value}"),
            format!("# {key} = {value}\noops"),
        ] {
            assert_refused_in_silence(&with_line(at, &wrong));
        }
        for wrong in misspelt(key) {
            assert_refused_in_silence(&with_line(at, &format!("{wrong} = {value}\noops")));
        }
    }
}

#[test]
fn a_secret_in_a_comment_beside_a_mistake_is_not_told() {
    for (at, key, value) in secrets() {
        let comment = format!("# {key} = {value}");
        assert_refused_in_silence(&with_line(at, &format!("{comment}\nlatst = 1 {comment}")));
    }
}

#[test]
fn a_mistake_without_a_secret_is_shown_as_it_stands() {
    for (right, wrong, shown) in [
        ("latest = 3", "latst = 3", "latst = 3"),
        ("tags = [", "tgas = [", "tgas = [\"v1\", \"v2\"]"),
        ("latest = 3", "latest = \"3\"", "latest = \"3\""),
        (
            "\"anonymous\"",
            "\"docker-confg\"",
            "login = \"docker-confg\"",
        ),
        ("\"slack\"", "\"slak\"", "kind = \"slak\""),
        ("\"linux/amd64\"", "\"linux\"", "platforms = [\"linux\"]"),
        (
            "\"127.0.0.1:9618\"",
            "\"localhost\"",
            "listen = \"localhost\"",
        ),
        ("pause\"", "Pause\"", "from = \"registry.k8s.io/Pause\""),
        (
            "\"registry.k8s.io",
            "\"https://registry.k8s.io",
            "from = \"https://registry",
        ),
        ("\"ops@", "\"ops ops@", "to = [\"ops ops@example.com\"]"),
    ] {
        let reported = report(&FILE.replace(right, wrong)).to_string();
        assert!(reported.contains(shown), "{reported}");
    }
}
