use super::*;

fn options(url: &str) -> Result<PgConnectOptions, Error> {
    Settings::new(url.to_owned().into()).options()
}

fn mode(url: &str) -> String {
    format!("{:?}", options(url).unwrap().get_ssl_mode())
}

#[test]
fn verifies_tls_by_default() {
    assert_eq!(mode("postgres://a:b@db.example.com/c"), "VerifyFull");
    assert_eq!(mode("postgres://a:b@192.0.2.1/c"), "VerifyFull");
    assert_eq!(
        mode("postgres://a:b@db.example.com/c?sslmode=require"),
        "Require"
    );
}

#[test]
fn trusts_this_machine() {
    assert_eq!(mode("postgres://a:b@localhost/c"), "Prefer");
    assert_eq!(mode("postgres://a:b@127.0.0.1/c"), "Prefer");
    assert_eq!(mode("postgres:///c?host=/run/postgresql"), "Prefer");
    assert_eq!(
        mode("postgres://a:b@localhost/c?sslmode=verify-full"),
        "VerifyFull"
    );
}

#[test]
fn labels_hide_user_and_password() {
    let label = |url: &str| super::label(&options(url).unwrap());
    assert_eq!(
        label("postgres://ann:secret@db.example.com:6432/ship"),
        "db.example.com:6432/ship"
    );
    assert_eq!(
        label("postgres://ann:secret@db.example.com"),
        "db.example.com:5432/ann"
    );
    assert_eq!(
        label("postgres:///ship?host=/run/postgresql"),
        "/run/postgresql/ship"
    );
}

#[test]
fn refuses_other_urls() {
    for url in [
        "",
        "db.example.com",
        "mysql://ann:secret@host/ship",
        "postgres://h/d?sslmode=odd",
    ] {
        let error = options(url).unwrap_err().to_string();
        assert!(
            error.starts_with("the URL of the cluster's database is not valid"),
            "{error}"
        );
        assert!(error.contains("help: write it as postgres://"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
