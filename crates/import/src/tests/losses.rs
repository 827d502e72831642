//! What cannot be carried over is reported with its line, and stands in the output.

use super::{Tool::*, *};

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn of_regsync() {
    let text = format!(
        r#"
sync:
  - source: q.io/a
    target: r.io/a
    type: repository
    backup: "{{{{ .Ref.Registry }}}}/backup:{{{{ .Ref.Tag }}}}"
    ratelimit: {{min: 100}}
    hooks: {{pre: {{type: exec}}}}
    referrers: true
    referrerFilters: [{{annotations: {{a: b}}}}]
  - {{source: "q.io/b@{DIGEST}", target: r.io/b, type: image}}
  - {{source: q.io/c, target: r.io/c, type: repository, schedule: "CRON_TZ=Asia/Tokyo 1 2 * * *"}}
  - {{source: q.io/d, target: r.io/d, type: repository, targetTag: stable}}
  - {{source: q.io/e, target: r.io/e, type: repository, tags: {{semverRange: [">=1.0"]}}}}
  - {{source: q.io/f, target: r.io/f, type: repository, wat: 1, platform: linux/amd64}}
  - {{source: q.io, target: r.io, type: registry, repos: {{deny: ["[a-f].*"]}}}}
creds: [{{registry: q.io, tls: insecure, regcert: x, user: u}}]
"#
    );
    let rendered = rendered(Regsync, &text, "", None);
    let expected = [
        (6, "`backup`"),
        (7, "`ratelimit`"),
        (8, "`hooks`"),
        (10, "`referrerFilters`"),
        (11, "never moves"),
        (12, "Asia/Tokyo"),
        (13, "`targetTag`"),
        (14, "versions with a suffix"),
        (15, "`wat` has no equivalent"),
        (16, "`repos.deny`"),
        (17, "no login without each other"),
        (17, "`tls`"),
        (17, "`regcert`"),
    ];
    assert_losses(&rendered, &expected);
    // Entries without a schedule wait for a command where others have one.
    assert_eq!(
        rendered.toml.matches("paused = true").count(),
        3,
        "{}",
        rendered.toml
    );
}

#[test]
fn of_image_syncer() {
    let text = format!(
        "quay.io/a/a@{DIGEST}: r.io/a/a\nquay.io/a/b: r.io/a/b:1\nquay.io/a/d: $REGISTRY/a/d\n\
         quay.io/a/e: ''\nquay.io/a/f:/(/: r.io/a/f\nquay.io/a/ok:1: r.io/a/ok:stable\n"
    );
    let auth = "quay.io/coreos: {username: a, password: p1}\nghcr.io: {username: b, password: p2}\n\
                ghcr.io/acme: {username: c, password: p3}\nr.io: {username: robot$a, password: p}\n\
                q.io: {username: '${USER}', password: '${PW}'}\n";
    let rendered = rendered(ImageSyncer, &text, auth, None);
    let expected = [
        (3, "the login of ghcr.io/acme"),
        (4, "a variable in a longer text"),
        (1, "never moves"),
        (2, "the target has tags"),
        (3, "--set REGISTRY=…"),
        (4, "--target REGISTRY/NAMESPACE"),
        (5, "regular expression"),
    ];
    assert_losses(&rendered, &expected);
    for text in [
        "username = { env = \"USER\" }\npassword = { env = \"PW\" }",
        "from = \"quay.io/a/ok:1\"\ntag = \"stable\"",
        "# left out, auth.yml line 4: ",
    ] {
        assert!(rendered.toml.contains(text), "{}", rendered.toml);
    }
    let notes = rendered.remarks.iter().filter(|remark| !remark.is_loss);
    assert_eq!(
        notes
            .filter(|note| note.text.contains("all of quay.io"))
            .count(),
        1
    );
}

#[test]
fn of_skopeo() {
    let text = format!(
        "r1.io:\n  images:\n    a: ['1', '{DIGEST}']\n    b: ['{DIGEST}']\n  \
         images-by-tag-regex:\n    c: '('\n  images-by-semver:\n    d: newest\n    e: '>=1.0-0'\n  \
         cert-dir: /etc/certs\n  tls-verify: false\n"
    );
    let expected = [
        (3, "never moves"),
        (4, "never moves"),
        (6, "regular expression"),
        (8, "not a version"),
        (9, "versions with a suffix"),
        (10, "`cert-dir`"),
        (11, "`tls-verify`"),
    ];
    assert_losses(&rendered(Skopeo, &text, "r.io", None), &expected);
}

#[test]
fn of_dregsy() {
    let text = format!(
        r#"
tasks:
  - name: t
    interval: 7000
    source: {{registry: 1.dkr.ecr.us-east-1.amazonaws.com}}
    target: {{registry: r.io, auth: bm90IGpzb24=}}
    mappings_file: /etc/more.yaml
    mappings:
      - from: regex:a/[a-m].*
      - {{from: "regex:a/.*", to: "regex:a/,b/"}}
      - {{from: a/b, digests: ['{DIGEST}']}}
      - {{from: a/c, tags: ['semver: >=1.0.0']}}
      - {{from: a/d, tags: ['semver: 1.x || broken']}}
"#
    );
    let rendered = rendered(Dregsy, &text, "", None);
    let expected = [
        (6, "`auth` is not"),
        (7, "`mappings_file`"),
        (9, "no pattern of `from` says"),
        (10, "no replacements"),
        (11, "never moves"),
        (12, "versions with a suffix"),
        (13, "`broken` is not a version"),
    ];
    assert_losses(&rendered, &expected);
    for text in ["login = { helper = \"ecr-login\" }", "every = \"1h56m40s\""] {
        assert!(rendered.toml.contains(text), "{}", rendered.toml);
    }
}
