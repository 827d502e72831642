use super::*;
use crate::config::{Grouping, Webhook};

#[test]
fn redacts_address_whole_and_in_parts() {
    let url = "https://h.example/hook/0123456789ab?key=s3cr-et"
        .parse()
        .unwrap();
    let redactor = Redactor::new(&Service::Webhook(Webhook {
        url: SecretUrl::new(url),
        secret: Some("hunter2".to_owned().into()),
        template: None,
        grouping: Grouping::Message,
    }));
    let clean = |text: &str| redactor.clean(text.into());
    assert_eq!(clean("Cannot POST /hook/0123456789ab"), "Cannot POST ***");
    assert_eq!(clean("no key s3cr-et of 0123456789ab"), "no key *** of ***");
    assert_eq!(
        clean("at https://h.example/hook/0123456789ab?key=s3cr-et: hunter2"),
        "at ***: ***"
    );
    assert_eq!(clean("invalid webhook url"), "invalid webhook url");
    let far = format!("{} 0123456789ab", "x".repeat(LONGEST - 5));
    assert!(!clean(&far).contains("01"));
    assert_eq!(clean(&far).len(), LONGEST - 1);
}
