//! Receivers of JSON.

use ring::hmac;

use super::{server::Server, *};

fn notifier_for(server: &Server, keys: &str) -> Notifier {
    let url = server.url("/hook");
    notifier(&format!(
        "[notify.own]\nkind = \"webhook\"\nurl = \"{url}\"\n{keys}\n"
    ))
}

#[tokio::test]
async fn webhook_posts_the_json() {
    let server = Server::answering("").await;
    assert_eq!(
        only(notifier_for(&server, "").deliver(&alarm()).await),
        Ok(())
    );
    let seen = server.only();
    assert_eq!(seen.json(), alarm().json);
    assert_eq!(seen.header("x-transship-topic"), "lag");
    assert_eq!(seen.header("x-transship-signature"), "");
    assert!(seen.header("user-agent").starts_with("transship/"));
}

#[tokio::test]
async fn webhook_signature_has_time_and_body() {
    let server = Server::answering("").await;
    let notifier = notifier_for(&server, "secret = \"s3cret\"");
    let before = Utc::now().timestamp();
    assert_eq!(only(notifier.deliver(&alarm()).await), Ok(()));
    let seen = server.only();
    let timestamp = seen.header("x-transship-timestamp");
    assert!((before..=Utc::now().timestamp()).contains(&timestamp.parse().unwrap()));
    let hex = seen
        .header("x-transship-signature")
        .strip_prefix("sha256=")
        .unwrap();
    let tag: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret");
    let verify = |message: String| hmac::verify(&key, message.as_bytes(), &tag);
    assert!(verify(format!("{timestamp}.{}", seen.body)).is_ok());
    assert!(verify(format!("{timestamp}.{} ", seen.body)).is_err());
    assert!(verify(format!("1.{}", seen.body)).is_err());
    let topic = seen.header("x-transship-topic");
    let tag = hmac::sign(
        &key,
        format!("{timestamp}.{topic}.{}", seen.body).as_bytes(),
    );
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        seen.header("x-transship-signature-v2"),
        format!("sha256={hex}")
    );
}

#[tokio::test]
async fn each_alarm_is_a_request_of_its_own() {
    let server = Server::answering("").await;
    let template =
        r#"{"key": {{ secret }}, "alarms": {{ alarms | map(attribute="subject") | list }}}"#;
    let keys = format!("secret = \"s3cret\"\nper_alarm = true\ntemplate = '{template}'");
    let notifier = notifier_for(&server, &keys);
    let mut lag = alarm();
    lag.json = json!({ "alarms": [{ "subject": "nginx" }, { "subject": "redis" }] });
    assert_eq!(only(notifier.deliver(&lag).await), Ok(()));
    let seen: Vec<_> = server.seen().iter().map(|seen| seen.json()).collect();
    let of = |alarms: &[&str]| json!({ "key": "s3cret", "alarms": alarms });
    assert_eq!(seen, [of(&["nginx"]), of(&["redis"])]);
    let report = message(Topic::Report, document());
    let names = ["own".into()];
    assert_eq!(only(notifier.deliver_to(&names, &report).await), Ok(()));
    assert_eq!(server.seen().last().unwrap().json(), of(&[]));
}
