//! Files of `skopeo sync --src yaml`.

use super::{Tool::Skopeo, assert_losses, made_with};

const FILE: &str = "
registry.corp.example:
  images:
    base: []
    team/redis: ['7.2', '8.0']
  images-by-tag-regex:
    team/app: ^v1\\.[0-9]+-slim$
    team/loose: rc
  images-by-semver:
    team/db: '>= 3.12, != 3.13.1 || ~2.4'
  credentials: {username: john, password: swordfish}
127.0.0.1:5000:
  tls-verify: false
  images:
    library/nginx: [latest]
";

#[test]
fn names_expressions_and_ranges_are_carried_over_whole() {
    let made = made_with(Skopeo, FILE, Some("r.io/mirror"), "");
    assert_losses(&made.written, &[]);
    let host = "registry.corp.example";
    for (source, tag, target) in [
        ("base", "any", "r.io/mirror/base:any"),
        ("team/redis", "8.0", "r.io/mirror/redis:8.0"),
        ("team/redis", "9.0", ""),
        ("team/app", "v1.4-slim", "r.io/mirror/app:v1.4-slim"),
        ("team/app", "v1.4-slim2", ""),
        ("team/loose", "1-rc2", "r.io/mirror/loose:1-rc2"),
        ("team/loose", "1", ""),
        ("team/db", "3.12.0", "r.io/mirror/db:3.12.0"),
        ("team/db", "v3.13.1", ""),
        ("team/db", "3.13.1", ""),
        ("team/db", "3.13.2", "r.io/mirror/db:3.13.2"),
        ("team/db", "2.4.9", "r.io/mirror/db:2.4.9"),
        ("team/db", "2.5.0", ""),
        ("team/db", "3.14.0-alpine", ""),
    ] {
        let taken = made.takes(&format!("{host}/{source}"), tag).join(" ");
        assert_eq!(taken, target, "{source}:{tag}");
    }
    let local = "127.0.0.1:5000";
    assert_eq!(
        made.takes(&format!("{local}/library/nginx"), "latest"),
        ["r.io/mirror/nginx:latest"]
    );
    assert!(made.config.registry(&local.parse().unwrap()).plain_http);
}

#[test]
fn scoped_keeps_the_whole_name() {
    let made = made_with(Skopeo, FILE, Some("scoped:r.io"), "");
    assert_eq!(
        made.takes("registry.corp.example/team/redis", "8.0"),
        ["r.io/registry.corp.example/team/redis:8.0"]
    );
}

#[test]
fn what_cannot_be_carried_over_is_told_twice_with_its_line() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let text = format!(
        "r1.io:\n  images:\n    a: ['1', '{digest}']\n    b: ['{digest}']\n  \
         images-by-tag-regex:\n    c: '('\n  images-by-semver:\n    d: newest\n    e: '>=1.0-0'\n  \
         cert-dir: /etc/certs\n  tls-verify: false\nr2.io:\n  images:\n    x/a: ['1']\n"
    );
    let made = made_with(Skopeo, &text, Some("r.io"), "");
    assert_losses(
        &made.written,
        &[
            (3, "never moves"),
            (4, "never moves"),
            (6, "regular expression"),
            (8, "no version"),
            (9, "versions with a suffix"),
            (10, "`cert-dir`"),
            (11, "`tls-verify`"),
            // skopeo would write both to r.io/a:1, one over the other.
            (14, "would be written to r.io/a"),
        ],
    );
    assert_eq!(made.routes(), ["r1.io/a:1 -> r.io/a", "r1.io/e -> r.io/e"]);
}
