//! Any receiver of JSON: posts the report or alarm as it is, signed if there is a secret.
//!
//! `X-Transship-Timestamp` has the time in seconds, `X-Transship-Topic` the topic. Two headers sign
//! them, each as `sha256=HEX` with the HMAC-SHA256 under the secret:
//!
//! - `X-Transship-Signature-V2` signs `TIMESTAMP.TOPIC.BODY`. New receivers check this one.
//! - `X-Transship-Signature` signs `TIMESTAMP.BODY`, for receivers that exist. It leaves the topic
//!   open: whoever records a message can send it again under another topic.
//!
//! A receiver computes the HMAC over the body as it came, and refuses timestamps that are minutes
//! old, so that a recorded message cannot be replayed later.

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    config::{Grouping, Topic, Webhook},
    notify::{
        Error, Message,
        http::{JSON, Post, ServiceResponse},
        sign,
    },
    status::{Document, Severity},
};

/// The requests that send a message: one, or one for each of its alarms.
pub(crate) fn posts(
    webhook: &Webhook,
    message: &Message,
    document: &Document,
    now: DateTime<Utc>,
) -> Result<Vec<Post>, Error> {
    let bodies = parts(webhook.grouping, &message.json).into_iter();
    bodies
        .map(|json| {
            let body = body(webhook, (message.topic, &json), document, now)?;
            Ok(post(webhook, message.topic, body, now))
        })
        .collect()
}

/// The JSON of each request. What has no alarms, such as a report, is one request.
fn parts(grouping: Grouping, json: &Value) -> Vec<Value> {
    let alarms = json["alarms"].as_array();
    let alarms = alarms.filter(|alarms| alarms.iter().all(Value::is_object));
    match (grouping, alarms) {
        (Grouping::Alarm, Some(alarms)) if !alarms.is_empty() => alarms
            .iter()
            .map(|alarm| {
                let mut json = json.clone();
                json["alarms"] = json!([alarm]);
                json
            })
            .collect(),
        _ => vec![json.clone()],
    }
}

/// The body of a request: its JSON, or what the template makes of it.
fn body(
    webhook: &Webhook,
    (topic, json): (Topic, &Value),
    document: &Document,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    let Some(template) = &webhook.template else {
        return Ok(json.to_string());
    };
    let failed = |reason| Error::Unusable(format!("its template: {reason}"));
    let mut values = values((topic, json), document, now);
    let secret = webhook.secret.as_ref();
    values["secret"] = secret.map_or("", |secret| secret.expose_secret()).into();
    template.render(&values).map_err(failed)
}

/// What a template can name, without the secret.
fn values((topic, json): (Topic, &Value), document: &Document, now: DateTime<Utc>) -> Value {
    let event = match topic {
        Topic::Report => "report",
        Topic::Recovered => "recovered",
        Topic::Test => "test",
        _ => "alarm",
    };
    let severity = match document.mood() {
        Severity::Good => "good",
        Severity::Warning => "warning",
        Severity::Bad => "bad",
    };
    // A report lists its alarms as texts.
    let alarms = json["alarms"].as_array();
    let alarms = alarms.filter(|_| event != "report").into_iter().flatten();
    json!({
        "event": event,
        "topic": topic.as_str(),
        "severity": severity,
        "title": document.title(),
        "text": document.to_text().trim_end(),
        "markdown": document.to_markdown().trim_end(),
        "url": json["url"].as_str().unwrap_or_default(),
        "time": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "alarms": alarms.map(alarm_values).collect::<Vec<_>>(),
    })
}

/// An alarm with every key that a template can name.
fn alarm_values(alarm: &Value) -> Value {
    let mut alarm = alarm.clone();
    let since = DateTime::from_timestamp(alarm["since"].as_i64().unwrap_or_default(), 0);
    let since = since.unwrap_or_default();
    alarm["starts_at"] = since.to_rfc3339_opts(SecondsFormat::Secs, true).into();
    if alarm["mirrors"].is_null() {
        alarm["mirrors"] = json!([]);
    }
    alarm
}

/// The request that brings a body.
fn post(webhook: &Webhook, topic: Topic, body: String, now: DateTime<Utc>) -> Post {
    let (topic, seconds) = (topic.as_str(), now.timestamp());
    let mut headers = vec![
        ("x-transship-topic", topic.to_owned()),
        ("x-transship-timestamp", seconds.to_string()),
    ];
    if let Some(secret) = &webhook.secret {
        let old = sign::webhook(secret, seconds, &body);
        let new = sign::webhook_with_topic(secret, seconds, topic, &body);
        headers.extend([
            ("x-transship-signature", format!("sha256={old}")),
            ("x-transship-signature-v2", format!("sha256={new}")),
        ]);
    }
    Post {
        url: webhook.url.expose().clone(),
        headers,
        content_type: JSON,
        body,
        judge,
    }
}

fn judge(answer: &ServiceResponse) -> Result<(), Error> {
    answer.check_status("check its `url` and `secret`, and the log of the receiver")
}
