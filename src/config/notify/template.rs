//! The template of a webhook's body: a Jinja template whose output is JSON.
//!
//! minijinja serves here: receivers need loops over alarms and conditions, and it escapes every value
//! as JSON by itself, so that no text of an error can break out of a string.

use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Value, json};

/// The name of the template in its environment.
const NAME: &str = "template";

/// A template that renders every kind of message to JSON.
#[derive(Clone, Debug)]
pub struct BodyTemplate {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
}

impl PartialEq for BodyTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl BodyTemplate {
    /// Parses a template, and tries it with a message of each kind. Fails with what is wrong.
    pub(crate) fn parse(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| words(&error))?;
        let template = Self {
            source: source.into(),
            environment: Arc::new(environment),
        };
        for sample in samples() {
            template.render(&sample)?;
        }
        Ok(template)
    }

    /// Renders a message. Fails with what is wrong.
    pub fn render(&self, message: &Value) -> Result<String, String> {
        let template = self.environment.get_template(NAME);
        let rendered =
            template.and_then(|template| template.render(minijinja::value::Serde(message)));
        let rendered = rendered.map_err(|error| words(&error))?;
        match serde_json::from_str::<Value>(&rendered) {
            Ok(_) => Ok(rendered),
            Err(error) => {
                let event = message["event"].as_str().unwrap_or_default();
                let line = rendered.lines().nth(error.line().saturating_sub(1));
                let line = line.unwrap_or_default().trim();
                Err(format!("for {event} it renders no JSON: {error}: {line}"))
            }
        }
    }
}

fn words(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!("line {line}: "));
    let mut said = format!("{}{}", line.unwrap_or_default(), error.kind());
    if let Some(detail) = error.detail() {
        said.push_str(&format!(": {detail}"));
    }
    said
}

/// A message of each kind, with texts that JSON has to escape.
fn samples() -> Vec<Value> {
    let alarm = |subject: &str| {
        json!({
            "topic": "lag",
            "subject": subject,
            "message": "\"quoted\"\nlines",
            "since": 0,
            "starts_at": "1970-01-01T00:00:00Z",
            "mirrors": [],
        })
    };
    let message = |event: &str, alarms: Vec<Value>| {
        json!({
            "event": event,
            "topic": event,
            "severity": "bad",
            "title": "a \"quoted\" title",
            "text": "two\nlines",
            "markdown": "**two**\nlines",
            "url": "https://mirrors.example.com/",
            "time": "1970-01-01T00:00:00Z",
            "secret": "\"s3cret\"",
            "alarms": alarms,
        })
    };
    vec![
        message("alarm", vec![alarm("nginx")]),
        message("alarm", vec![alarm("nginx"), alarm("redis")]),
        message("recovered", vec![alarm("nginx")]),
        message("report", Vec::new()),
        message("test", Vec::new()),
    ]
}

#[cfg(test)]
mod tests;
