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
    let server = Server::answering("{}").await;
    let (_, rest) = RECIPES.split_once(&format!("[notify.{name}]")).unwrap();
    let (table, _) = rest.split_once("```").unwrap();
    let start = table.find("{ credential").unwrap();
    let end = start + table[start..].find('}').unwrap() + 1;
    let url = format!("\"{}\"", server.url("/hook"));
    let table = format!("{}{url}{}", &table[..start], &table[end..]);
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
    let seen: Vec<Value> = server.seen().iter().map(|seen| seen.json()).collect();
    seen.try_into().unwrap()
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
    assert!(length(&report["message"]) <= 4000);
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
