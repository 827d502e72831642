use super::*;

fn io(kind: io::ErrorKind, text: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(kind, text))
}

#[test]
fn refused_connections_are_transient() {
    let error = Error::of_connect(
        "db:5432/a",
        &io(io::ErrorKind::ConnectionRefused, "refused"),
    );
    assert!(error.is_transient());
    assert_eq!(error.remedy(), START_SERVER);
    assert!(error.to_string().contains(START_SERVER));
}

#[test]
fn recognizes_unknown_host_names() {
    let text = "failed to lookup address information: Name or service not known";
    let error = Error::of_connect("db:5432/a", &io(io::ErrorKind::Other, text));
    assert!(error.is_transient());
    assert_eq!(error.remedy(), CHECK_NAME);
}

#[test]
fn certificates_need_a_person() {
    let error = Error::of_connect(
        "db:5432/a",
        &io(io::ErrorKind::InvalidData, "UnknownIssuer"),
    );
    assert!(!error.is_transient());
    assert_eq!(error.remedy(), TRUST_CA);
}

#[test]
fn missing_tls_needs_a_person() {
    let cause = sqlx::Error::Tls("server does not support TLS".into());
    let error = Error::of_connect("db:5432/a", &cause);
    assert!(!error.is_transient());
    assert_eq!(error.remedy(), TURN_TLS_ON);
}

#[test]
fn broken_connections_are_transient() {
    for cause in [
        io(io::ErrorKind::BrokenPipe, "broken"),
        sqlx::Error::PoolTimedOut,
        sqlx::Error::BeginFailed,
    ] {
        assert!(Error::of_use("renew", "db:5432/a", &cause).is_transient());
    }
}

#[test]
fn errors_of_code_are_not_transient() {
    let error = Error::of_use("renew", "db:5432/a", &sqlx::Error::RowNotFound);
    assert!(!error.is_transient());
    assert_eq!(error.remedy(), SEE_LOG);
}

#[test]
fn every_error_has_a_remedy() {
    let server = || "db:5432/a".to_owned();
    let errors = [
        Error::Settings {
            reason: "empty".into(),
        },
        Error::NewerSchema {
            server: server(),
            found: 9,
            known: 2,
        },
        Error::ForeignSchema { server: server() },
        Error::of_timeout("renew", "db:5432/a", 10),
        Error::LeaseLost {
            name: "hk-1".into(),
        },
        Error::FenceLost {
            unit: "mirror/a".into(),
        },
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains(&format!("help: {}", error.remedy())),
            "{text}"
        );
    }
}
