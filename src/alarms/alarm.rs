//! One alarm, and how the store keeps it.

use std::sync::Arc;

use serde::Serialize;

use crate::{alarms::AlarmSubject, config::Topic, locales::Localized, store::AlarmRecord};

/// Something that needs an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Its kind.
    pub topic: Topic,
    /// What it is about.
    pub subject: AlarmSubject,
    /// When it was found first, in seconds since 1970.
    pub since: i64,
    /// What is wrong, in one sentence.
    pub message: Localized<String>,
    /// The mirrors that fail because of a registry; empty for every other alarm.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Arc<str>>,
}

impl Alarm {
    /// Whether both are the same alarm, whatever their messages.
    pub fn is_same(&self, other: &Self) -> bool {
        self.topic == other.topic && self.subject == other.subject
    }

    /// Whether this alarm of a registry explains that one of a mirror.
    pub fn explains(&self, other: &Self) -> bool {
        let is_explained = matches!(other.topic, Topic::Lag | Topic::Stale | Topic::Failing);
        let mirror = other.subject.mirror().filter(|_| is_explained);
        mirror.is_some_and(|mirror| self.mirrors.contains(mirror))
    }

    /// The alarm that the store kept; none if this version has no such topic.
    pub fn from_record(record: &AlarmRecord) -> Option<Self> {
        let topic = Topic::parse(&record.topic)?;
        Some(Self {
            topic,
            subject: AlarmSubject::parse(topic, &record.subject),
            since: record.since,
            message: Localized::from_lines(&record.message),
            mirrors: Vec::new(),
        })
    }

    /// The alarm as the store keeps it.
    pub fn record(&self) -> AlarmRecord {
        AlarmRecord {
            topic: self.topic.as_str().into(),
            subject: self.subject.to_string(),
            since: self.since,
            message: self.message.to_lines(),
        }
    }
}

#[cfg(test)]
mod tests;
