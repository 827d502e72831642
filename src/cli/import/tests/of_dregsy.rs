//! dregsy's files.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Tool::Dregsy, assert_losses, made};

fn auth(username: &str, password: &str) -> String {
    STANDARD.encode(format!(
        "{{\"username\": \"{username}\", \"password\": \"{password}\"}}\n"
    ))
}

fn file() -> String {
    let (hub, own) = (auth("alex", "hub-secret"), auth("robot", "own-secret"));
    format!(
        r#"
relay: skopeo
tasks:
  - name: hub
    interval: 3600
    verbose: true
    source: {{registry: registry.hub.docker.com, auth: {hub}}}
    target: {{registry: '127.0.0.1:5000', auth: {own}, skip-tls-verify: true}}
    mappings:
      - from: library/busybox
        to: archive/busybox
        tags: ['1.36', 'latest']
      - from: library/alpine
        tags: ['semver: >=3.1.0 <3.9.0', 'regex: 3\.1[0-9]', 'edge', 'keep: !.*-.*']
      - from: acme/app
        tags: ['regex: !v1.*']
        platform: linux/arm64
      - from: regex:acme/tools-.*
        to: tools
        platform: all
  - name: once
    source: {{registry: 123456789012.dkr.ecr.eu-central-1.amazonaws.com, auth-refresh: 10h}}
    target: {{registry: '127.0.0.1:5000'}}
    mappings:
      - from: myproject/webui
        to: regex:my(.+)/,from-ecr/your$1/
"#
    )
}

#[test]
fn mappings_are_carried_over_whole() {
    let made = made(Dregsy, &file());
    assert_losses(&made.written, &[]);
    let target = "127.0.0.1:5000";
    for (source, tag, to) in [
        ("busybox", "1.36", "archive/busybox"),
        ("busybox", "1.37", ""),
        ("alpine", "3.5.2", "library/alpine"),
        ("alpine", "3.9.0", ""),
        ("alpine", "3.15", "library/alpine"),
        ("alpine", "3.15.1", ""),
        ("alpine", "edge", "library/alpine"),
        ("alpine", "3.5.2-rc1", ""),
        ("acme/app", "v2", "acme/app"),
        ("acme/app", "v1.1", ""),
        ("acme/tools-a", "any", "tools/acme/tools-a"),
        ("acme/tools-a/b", "any", "tools/acme/tools-a/b"),
        ("acme/other", "any", ""),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/myproject/webui",
            "1",
            "from-ecr/yourproject/webui",
        ),
    ] {
        let expected = match to {
            "" => String::new(),
            to => format!("{target}/{to}:{tag}"),
        };
        assert_eq!(
            made.takes(source, tag).join(" "),
            expected,
            "{source}:{tag}"
        );
    }
}

#[test]
fn tasks_keep_their_names_and_intervals() {
    let made = made(Dregsy, &file());
    let mirrors = made.config.mirrors.iter();
    let told: Vec<(&str, bool)> = mirrors.map(|m| (&*m.name, m.is_paused)).collect();
    assert_eq!(told.first(), Some(&("hub", false)));
    assert!(told[1].0.starts_with("hub "), "{told:?}");
    // Without an interval a task is run by hand.
    assert_eq!(told.last(), Some(&("once", true)));
    assert_eq!(made.config.mirrors[0].schedule, "@hourly".parse().unwrap());
}

#[test]
fn one_platform_is_carried_over_and_all_need_no_key() {
    let made = made(Dregsy, &file());
    let mirrors = made.config.mirrors.iter();
    let platforms: Vec<String> = mirrors
        .flat_map(|mirror| mirror.platforms.iter().flat_map(|list| list.iter()))
        .map(ToString::to_string)
        .collect();
    assert_eq!(platforms, ["linux/arm64"]);
    let mut notes = made.written.remarks.iter();
    assert!(notes.any(|note| !note.is_loss && note.text.contains("an index stays one")));
}

#[test]
fn logins_come_from_variables_and_helpers() {
    let made = made(Dregsy, &file());
    let names: Vec<&str> = made
        .written
        .variables
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["DOCKER_IO_PASSWORD", "REGISTRY_127_0_0_1_5000_PASSWORD"]
    );
    assert!(
        made.written
            .text
            .contains("login = { helper = \"ecr-login\" }")
    );
}

#[test]
fn what_cannot_be_carried_over_is_told_twice_with_its_line() {
    let (one, other) = (auth("a", "1"), auth("a", "2"));
    let text = format!(
        r#"
tasks:
  - name: t
    interval: 7000
    source: {{registry: q.io, auth: {one}}}
    target: {{registry: r.io, auth: bm90IGpzb24=}}
    mappings:
      - from: a/a
        tags: ['regex: !v\d+']
      - from: regex:a/[a-m].*
      - from: regex:a/.*
        to: regex:a/,b/
      - from: a/b
        digests: ['sha256:{digest}']
      - from: a/c
        tags: ['semver: >=1.0.0']
      - from: a/d
        tags: ['semver: 1.x || broken']
  - name: u
    interval: 7200
    source: {{registry: q.io, auth: {other}}}
    target: {{registry: r.io}}
    mappings_file: /etc/more.yaml
    mappings:
      - from: a/e
"#,
        digest = "0".repeat(64)
    );
    let made = made(Dregsy, &text);
    assert_losses(
        &made.written,
        &[
            (3, "a schedule cannot say every 1h 56m 40s"),
            (6, "`auth` is not"),
            (8, "takes globs"),
            (10, "no pattern of `from` says"),
            (11, "cannot say the replacement"),
            (13, "never moves"),
            (15, "versions with a suffix"),
            (17, "`broken` is no version"),
            (21, "another login for q.io"),
            (23, "`mappings_file`"),
        ],
    );
    assert_eq!(
        made.routes(),
        ["q.io/a/c -> r.io/a/c", "q.io/a/e -> r.io/a/e"]
    );
}
