//! The recipes of the documents, each against a server.

use serde_json::Value;

use super::{server::Server, *};

const RECIPES: &str = include_str!("../../../docs/webhook-recipes.md");

/// A message about two alarms of which one has texts that JSON has to escape.
fn alarms(topic: Topic) -> Message {
    let alarm = |subject: &str, message: &str| json!({ "topic": "lag", "subject": subject, "since": 1_700_000_000, "message": message });
    let mut message = message(topic, document());
    message.json = json!({
        "event": "alarm",
        "url": "https://mirrors.example.com/",
        "alarms": [alarm("nginx", "a \"b\"\n\\c"), alarm("redis", "redis lags")],
    });
    message
}

/// What each kind of message becomes by the recipe of a channel.
async fn bodies(name: &str) -> [Value; 4] {
    all_bodies(name).await.try_into().unwrap()
}

/// The body of each request.
async fn all_bodies(name: &str) -> Vec<Value> {
    let server = Server::answering("{}").await;
    let (_, rest) = RECIPES.split_once(&format!("[notify.{name}]")).unwrap();
    let (table, _) = rest.split_once("```").unwrap();
    let url = format!("url = \"{}\"", server.url("/hook"));
    let lines = table.lines().map(|line| match line.split_once(" = ") {
        Some(("url", _)) => &url,
        Some(("secret", _)) => "secret = \"0123456789abcdef0123456789abcdef\"",
        _ => line,
    });
    let table = lines.collect::<Vec<_>>().join("\n");
    let notifier = notifier(&format!("[notify.{name}]{table}"));
    let names = [name.into()];
    for message in [
        alarms(Topic::Lag),
        alarms(Topic::Recovered),
        message(Topic::Report, long(2000)),
        message(Topic::Test, document()),
    ] {
        assert_eq!(only(notifier.deliver_to(&names, &message).await), Ok(()));
    }
    server.seen().iter().map(|seen| seen.json()).collect()
}

#[track_caller]
fn length(text: &Value) -> usize {
    text.as_str().unwrap().chars().count()
}

#[tokio::test]
async fn ntfy_recipe() {
    let [alarm, recovered, report, _] = bodies("ntfy").await;
    assert_eq!(alarm["topic"], "transship-alarms");
    assert_eq!(alarm["title"], document().title());
    assert_eq!(alarm["click"], "https://mirrors.example.com/");
    assert_eq!(recovered["priority"], 3);
    // A longer one becomes an attachment.
    assert!(report["message"].as_str().unwrap().len() <= 4096);
    assert_eq!(report["click"], Value::Null);
}

#[tokio::test]
async fn discord_recipe() {
    let [alarm, _, report, _] = bodies("discord").await;
    assert_eq!(alarm["allowed_mentions"]["parse"], json!([]));
    assert_eq!(alarm["embeds"][0]["color"], 16_761_095);
    assert_eq!(report["embeds"][0]["color"], 15_158_332);
    assert!(length(&report["embeds"][0]["description"]) <= 4096);
}

#[tokio::test]
async fn teams_recipe() {
    let [alarm, _, report, _] = bodies("teams").await;
    let card = &alarm["attachments"][0]["content"];
    assert_eq!(card["type"], "AdaptiveCard");
    assert_eq!(card["body"][0]["text"], document().title());
    assert_eq!(card["actions"][0]["url"], "https://mirrors.example.com/");
    assert_eq!(report["attachments"][0]["content"]["actions"], Value::Null);
    assert!(report.to_string().len() <= 28 << 10);
}

#[tokio::test]
async fn bark_recipe() {
    let [alarm, _, report, _] = bodies("bark").await;
    assert_eq!(alarm["group"], "transship");
    assert_eq!(alarm["level"], "active");
    assert_eq!(report["level"], "timeSensitive");
    assert!(length(&report["body"]) <= 1000);
}

#[tokio::test]
async fn alertmanager_recipe() {
    let [alarm, recovered, _, test] = bodies("alertmanager").await;
    assert_eq!(alarm[0]["labels"], recovered[0]["labels"]);
    assert_eq!(alarm[0]["annotations"]["summary"], "a \"b\"\n\\c");
    assert_eq!(alarm[1]["labels"]["subject"], "redis");
    assert_eq!(alarm[0]["startsAt"], "2023-11-14T22:13:20Z");
    let ends = |alerts: &Value| {
        let time = alerts[0]["endsAt"].as_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&time)
            .unwrap()
            .to_utc()
    };
    assert!(ends(&alarm) > Utc::now());
    assert!(ends(&recovered) <= Utc::now());
    assert_eq!(test, json!([]));
}

/// Checks an event against the parameters of the Events API v2.
fn assert_event(event: &Value) {
    assert_eq!(length(&event["routing_key"]), 32);
    assert!(length(&event["dedup_key"]) <= 255);
    assert!((1..=1024).contains(&length(&event["payload"]["summary"])));
    assert!(length(&event["payload"]["source"]) > 0);
    let severity = event["payload"]["severity"].as_str().unwrap();
    assert!(["critical", "error", "warning", "info"].contains(&severity));
    let known = [
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "client",
        "client_url",
    ];
    let keys = event.as_object().unwrap().keys();
    assert_eq!(keys.filter(|key| !known.contains(&key.as_str())).count(), 0);
}

#[tokio::test]
async fn pagerduty_recipe() {
    let events = all_bodies("pagerduty").await;
    events.iter().for_each(assert_event);
    // Two alarms, their recoveries, a report and a trial message.
    let actions = events.iter().map(|event| event["event_action"].as_str());
    let actions: Vec<_> = actions.flatten().collect();
    let trigger = "trigger";
    assert_eq!(
        actions,
        [trigger, trigger, "resolve", "resolve", trigger, trigger]
    );
    assert_eq!(events[0]["dedup_key"], "transship/lag/nginx");
    assert_eq!(events[0]["dedup_key"], events[2]["dedup_key"]);
    assert_eq!(events[1]["dedup_key"], events[3]["dedup_key"]);
    assert_eq!(events[0]["payload"]["summary"], "a \"b\"\n\\c");
    assert_eq!(events[0]["payload"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(events[5]["dedup_key"], "transship/test/transship");
}
