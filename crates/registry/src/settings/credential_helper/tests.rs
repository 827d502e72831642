use std::{fs, os::unix::fs::PermissionsExt as _};

use secrecy::ExposeSecret as _;

use crate::settings::credential_helper::*;

fn ask(script: &str, patience: Duration) -> Result<Credential, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("docker-credential-test");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // Another test's child may hold the script open for writing while it starts.
    for _ in 0..100 {
        match get(program.as_os_str(), "r.example.com", patience) {
            Err(Failure::Broken(text)) if text.contains("Text file busy") => {}
            other => return other,
        }
    }
    panic!("the script stays busy");
}

fn broken(script: &str) -> String {
    match ask(script, Duration::from_secs(20)) {
        Err(Failure::Broken(text)) => text,
        other => panic!("not broken but {other:?}"),
    }
}

#[test]
fn a_helper_is_told_the_server_and_its_answer_is_a_login() {
    let script =
        r#"read host; printf '{"ServerURL":"x","Username":"AWS","Secret":"%s-%s"}' "$1" "$host""#;
    match ask(script, Duration::from_secs(20)).unwrap() {
        Credential::Basic { username, password } => {
            assert_eq!(username, "AWS");
            assert_eq!(password.expose_secret(), "get-r.example.com");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_user_token_means_an_identity_token() {
    let script = r#"echo '{"Username":"<token>","Secret":"refresh"}'"#;
    match ask(script, Duration::from_secs(20)).unwrap() {
        Credential::IdentityToken(token) => assert_eq!(token.expose_secret(), "refresh"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_helper_without_a_login_is_no_broken_helper() {
    let script = "echo 'credentials not found in native keychain'; exit 1";
    let found = ask(script, Duration::from_secs(20));
    assert!(matches!(found, Err(Failure::NoLogin)), "{found:?}");
}

#[test]
fn a_broken_helper_is_told_without_what_it_printed() {
    assert_eq!(broken("echo s3cret; exit 4"), "failed with exit status: 4");
    assert!(broken("echo s3cret").starts_with("answered something else"));
}

#[test]
fn hanging_helper_is_given_up() {
    for script in ["exec sleep 600", "sleep 600 & exit 0"] {
        let found = ask(script, Duration::from_millis(300));
        assert!(
            matches!(&found, Err(Failure::Broken(text)) if text.contains("no answer in")),
            "{found:?}"
        );
    }
}

#[test]
fn a_helper_that_is_not_there_is_told_so() {
    let found = get(
        OsStr::new("docker-credential-nowhere"),
        "x",
        Duration::from_secs(1),
    );
    assert!(matches!(found, Err(Failure::NotInstalled)), "{found:?}");
}
