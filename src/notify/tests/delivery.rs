//! Who gets what, and what becomes of it when something is in the way.

use std::io;

use parking_lot::Mutex;
use tracing::instrument::WithSubscriber as _;

use super::{server::Server, *};

/// Nobody listens on this port.
const NOWHERE: &str = "http://127.0.0.1:1/hook/hunter2-hunter2?key=hunter2";

fn webhook(name: &str, url: &str, keys: &str) -> String {
    format!("[notify.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\n{keys}\n")
}

fn names(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|d| &*d.channel).collect()
}

fn count(notifier: &Notifier, channel: &str, result: &str) -> u64 {
    let text = String::from_utf8(notifier.metrics.encode().unwrap()).unwrap();
    let line =
        format!("transship_notifications_total{{channel=\"{channel}\",result=\"{result}\"}} ");
    let value = text.lines().find_map(|found| found.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test]
async fn channel_gets_its_topics_and_mirrors() {
    let server = Server::answering("").await;
    let url = server.url("/");
    let notifier = notifier(
        &[
            "[report]\nto = \"all\"\n".to_owned(),
            webhook("all", &url, ""),
            webhook("few", &url, "on = [\"lag\", \"report\"]"),
            webhook("redis", &url, "mirrors = \"redis\""),
        ]
        .concat(),
    );
    let about = |topic, mirrors: &[&str]| Message {
        audience: match mirrors {
            [] => Audience::Everyone,
            mirrors => Audience::Mirrors(mirrors.iter().map(|name| Arc::from(*name)).collect()),
        },
        ..message(topic, document())
    };
    for (message, expected) in [
        (about(Topic::Lag, &["nginx"]), &["all", "few"][..]),
        (
            about(Topic::Lag, &["nginx", "redis"]),
            &["all", "few", "redis"],
        ),
        (about(Topic::Auth, &["redis"]), &["all", "redis"]),
        (about(Topic::Disk, &[]), &["all", "redis"]),
        (about(Topic::Report, &[]), &["all"]),
        (about(Topic::Runs, &["nginx"]), &[]),
    ] {
        let deliveries = notifier.deliver(&message).await;
        assert_eq!(names(&deliveries), expected, "{message:?}");
    }
    let named = ["redis".into(), "few".into()];
    let deliveries = notifier.deliver_to(&named, &about(Topic::Test, &[])).await;
    assert_eq!(names(&deliveries), ["few", "redis"]);
}

#[tokio::test]
async fn failed_channel_holds_no_other_back() {
    let server = Server::answering("").await;
    let notifier = notifier(
        &[
            webhook("dead", NOWHERE, ""),
            webhook("well", &server.url("/"), ""),
        ]
        .concat(),
    );
    for (channel, result) in [("dead", "ok"), ("dead", "failed"), ("well", "failed")] {
        assert_eq!(count(&notifier, channel, result), 0);
    }
    let deliveries = notifier.deliver(&alarm()).await;
    assert_eq!(names(&deliveries), ["dead", "well"]);
    assert!(matches!(deliveries[0].result, Err(Error::Unreachable(_))));
    assert_eq!(deliveries[1].result, Ok(()));
    assert_eq!(count(&notifier, "dead", "failed"), 1);
    assert_eq!(count(&notifier, "dead", "ok"), 0);
    assert_eq!(count(&notifier, "well", "ok"), 1);
}

#[tokio::test]
async fn retries_transient_errors() {
    for status in [408, 429, 500, 502, 503] {
        let server = Server::answering("").await.then(status, "");
        let notifier = notifier(&webhook("own", &server.url("/"), ""));
        assert_eq!(only(notifier.deliver(&alarm()).await), Ok(()), "{status}");
        assert_eq!(server.seen().len(), 2);
    }
    let always = Server::answering("").await;
    let always = always.then(500, "").then(502, "").then(503, "busy");
    let notifier = notifier(&webhook("own", &always.url("/"), ""));
    let error = only(notifier.deliver(&alarm()).await).unwrap_err();
    assert_eq!(error, Error::Failed("status 503: busy".into()));
    assert_eq!(always.seen().len(), 3);
}

#[tokio::test]
async fn skips_waits_beyond_deadline() {
    let server = Server::answering("").await;
    let server = server.then_with(429, &[("retry-after", "3600")], "slow down");
    let notifier = notifier(&webhook("own", &server.url("/"), ""));
    let error = only(notifier.deliver(&alarm()).await).unwrap_err();
    let expected = Error::Throttled {
        said: "status 429: slow down".into(),
        retry_after: Some(Duration::from_secs(3600)),
    };
    assert_eq!(error, expected);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn follows_no_redirect() {
    let other = Server::answering("").await;
    let location = other.url("/elsewhere");
    let server = Server::answering("").await;
    let server = server.then_with(307, &[("location", &location)], "");
    let notifier = notifier(&webhook("own", &server.url("/"), ""));
    let error = only(notifier.deliver(&alarm()).await).unwrap_err();
    assert_eq!(error.to_string(), "it refused the message: status 307");
    assert!(error.remedy().contains("redirects"));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn reads_endless_answer_in_bounds() {
    let words = futures::stream::repeat(Ok::<_, std::convert::Infallible>("no ".repeat(1_000)));
    let answer = move || async move {
        let body = axum::body::Body::from_stream(words.clone());
        (axum::http::StatusCode::BAD_REQUEST, body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer);
    let serve = tokio::spawn(async move { axum::serve(listener, app).await });
    let error = only(notifier(&webhook("own", &url, "")).deliver(&alarm()).await).unwrap_err();
    serve.abort();
    let reported = error.to_string();
    assert!(reported.contains("status 400: no no no"), "{reported}");
    assert!(reported.len() < 300, "{reported}");
}

#[tokio::test]
async fn stops_at_first_failed_part() {
    let good = r#"{"errcode":0}"#;
    let server = Server::answering(good).await;
    let server = server
        .then(200, good)
        .then(200, r#"{"errcode":40058,"errmsg":"no"}"#);
    let notifier = notifier(&format!(
        "[notify.ops]\nkind = \"wecom\"\nurl = \"{}\"\n",
        server.url("/")
    ));
    let message = message(Topic::Report, long(300));
    assert!(only(notifier.deliver(&message).await).is_err());
    assert_eq!(server.seen().len(), 2);
}

/// Log lines, gathered.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock();
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_stay_out_of_errors_and_logs() {
    let server = Server::answering("").await;
    let echo = "Cannot POST /hook/hunter2-hunter2?key=hunter2 with hunter2-secret";
    let server = server.then(404, echo);
    let url = server.url("/hook/hunter2-hunter2?key=hunter2");
    let api = Server::answering("")
        .await
        .then(404, "no bot 1:hunter2-token");
    let notifier = notifier(&[
        webhook("answers", &url, "secret = \"hunter2-secret\""),
        webhook("dead", NOWHERE, "secret = \"hunter2-secret\""),
        format!(
            "[notify.bot]\nkind = \"telegram\"\nurl = \"{}\"\ntoken = \"1:hunter2-token\"\nchat = 1\n",
            api.url("")
        ),
    ]
    .concat());
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let deliveries = notifier.deliver(&alarm()).with_subscriber(lines).await;
    assert!(deliveries.iter().all(|delivery| delivery.result.is_err()));
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert_eq!(
        log.matches("a notification was not delivered").count(),
        3,
        "{log}"
    );
    assert!(log.contains("Cannot POST ***"), "{log}");
    for reported in [log, format!("{deliveries:?}"), format!("{notifier:?}")] {
        assert!(!reported.contains("hunter2"), "{reported}");
    }
    for delivery in deliveries {
        let error = delivery.result.unwrap_err();
        assert!(!format!("{error} {}", error.remedy()).contains("hunter2"));
    }
}

#[tokio::test]
async fn channel_gets_its_language() {
    let server = Server::answering("ok").await;
    let channel = |name: &str, keys: &str| {
        let url = server.url(&format!("/{name}"));
        format!("[notify.{name}]\nkind = \"slack\"\nurl = \"{url}\"\n{keys}\n")
    };
    let notifier = notifier(
        &[
            "[report]\nlanguage = \"zh\"\n".to_owned(),
            channel("home", ""),
            channel("abroad", "language = \"en\""),
        ]
        .concat(),
    );
    let message = Message {
        document: Localized::new(|language| {
            let title = match language {
                Language::English => "all is well",
                Language::Chinese => "一切正常",
            };
            Document::new(title, Severity::Good)
        }),
        ..alarm()
    };
    assert_eq!(notifier.deliver(&message).await.len(), 2);
    for (target, text) in [("/home", "一切正常"), ("/abroad", "all is well")] {
        let seen = server.seen();
        let seen = seen.iter().find(|seen| seen.target == target).unwrap();
        assert!(seen.json().to_string().contains(text), "{target}");
    }
}
