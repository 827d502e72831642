use super::*;
use crate::cli::setup::doctor::finding::DoctorVerdict;

#[test]
fn clock_that_is_off_fails() {
    assert_eq!(skew("quay.io", 3).verdict, DoctorVerdict::Ok);
    let ahead = skew("quay.io", 3600);
    assert_eq!(ahead.verdict, DoctorVerdict::Failed);
    assert!(
        ahead.message.contains("3600 s ahead of quay.io"),
        "{ahead:?}"
    );
    assert!(skew("quay.io", -90).message.contains("90 s behind"));
}

#[test]
fn broken_ipv6_names_the_key() {
    let error = io::Error::other("no route to host");
    let finding = broken_six("quay.io", &error, true);
    assert_eq!(finding.verdict, DoctorVerdict::Warning);
    assert!(finding.remedy.unwrap().contains("ip = \"4\""));
    assert_eq!(
        broken_six("quay.io", &error, false).verdict,
        DoctorVerdict::Failed
    );
}

#[tokio::test]
async fn unknown_name_fails() {
    let registry = Direct {
        name: "registry.invalid".into(),
        host: "registry.invalid".into(),
        port: 443,
        family: IpFamily::Any,
        is_secure: true,
    };
    let findings = look_up(&registry).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].verdict, DoctorVerdict::Failed);
}

#[tokio::test]
async fn silent_proxy_is_named_without_its_password() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = format!("http://user:secret@{address}");
    assert!(silent_proxy(&proxy).await.is_none());
    drop(listener);
    let (place, _) = silent_proxy(&proxy).await.unwrap();
    assert_eq!(place, address.to_string());
}
