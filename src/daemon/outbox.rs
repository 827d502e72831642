//! What is told, and what channels missed of it: they are told again as long as it stands.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use crate::{
    alarms::{Alarm, AlarmChanges, raised, recovered},
    config::Topic,
    notify::Message,
    status::Document,
    store::AlarmRecord,
};

/// A message, and the trouble that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    pub(crate) message: Message,
    alarms: Vec<Alarm>,
}

/// Channels that did not take their last message.
#[derive(Debug, Default)]
pub(crate) struct Mute(BTreeMap<Arc<str>, Silence>);

/// Why a channel took no message, and what it missed.
#[derive(Debug, Default)]
struct Silence {
    error: String,
    missed: Missed,
}

/// What a channel missed.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    alarms: AlarmChanges,
    /// The last daily report.
    report: Option<Message>,
}

impl Telling {
    /// A daily report.
    pub(crate) fn report(message: Message) -> Self {
        Self {
            message,
            alarms: Vec::new(),
        }
    }

    /// What is told of trouble: one message for all that is new of a kind, and one for all that is
    /// over.
    pub(crate) fn of(changes: &AlarmChanges, now: i64) -> Vec<Self> {
        let mut tellings = Vec::new();
        let mut topics: Vec<Topic> = changes.raised.iter().map(|alarm| alarm.topic).collect();
        topics.sort_by_key(|topic| topic.as_str());
        topics.dedup();
        for topic in topics {
            let of_topic = changes.raised.iter().filter(|alarm| alarm.topic == topic);
            let of_topic: Vec<Alarm> = of_topic.cloned().collect();
            let document = raised(&of_topic);
            tellings.push(Self::new(topic, "alarm", of_topic, document));
        }
        if !changes.recovered.is_empty() {
            let over = changes.recovered.clone();
            let document = recovered(&over, now);
            tellings.push(Self::new(Topic::Recovered, "recovered", over, document));
        }
        tellings
    }

    fn new(topic: Topic, kind: &str, alarms: Vec<Alarm>, document: Document) -> Self {
        // What is about a registry or the daemon concerns every mirror.
        let is_of_mirrors = alarms.iter().all(Alarm::is_of_a_mirror);
        let subjects = alarms.iter().filter(|_| is_of_mirrors);
        let subjects = subjects.map(|alarm| alarm.subject.as_str());
        let message = Message {
            topic,
            mirrors: subjects
                .filter(|subject| !subject.is_empty())
                .map(Into::into)
                .collect(),
            json: json!({ "event": kind, "alarms": alarms }),
            document,
        };
        Self { message, alarms }
    }
}

impl Mute {
    /// The channels, and what each one said.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let channels = self.0.iter();
        channels
            .map(|(channel, silence)| (channel.to_string(), silence.error.clone()))
            .collect()
    }

    /// A channel did not take a message.
    pub(crate) fn failed(&mut self, channel: Arc<str>, error: String, telling: &Telling) {
        let silence = self.0.entry(channel).or_default();
        silence.error = error;
        silence.missed.add(telling);
    }

    /// A channel took a message; what it missed before.
    pub(crate) fn took(&mut self, channel: &str) -> Missed {
        self.0.remove(channel).unwrap_or_default().missed
    }

    /// What channels missed. What they do not take now is missed anew.
    pub(crate) fn take_missed(&mut self) -> Vec<(Arc<str>, Missed)> {
        let channels = self.0.iter_mut();
        channels
            .map(|(channel, silence)| (channel.clone(), std::mem::take(&mut silence.missed)))
            .collect()
    }

    /// Forgets the channels of which `is_kept` does not hold.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.0.retain(|channel, _| is_kept(channel));
    }
}

impl Missed {
    fn add(&mut self, telling: &Telling) {
        let AlarmChanges { raised, recovered } = &mut self.alarms;
        let is_same = |a: &Alarm, b: &Alarm| a.topic == b.topic && a.subject == b.subject;
        let take = |from: &mut Vec<Alarm>, alarm: &Alarm| {
            let before = from.len();
            from.retain(|known| !is_same(known, alarm));
            from.len() < before
        };
        for alarm in &telling.alarms {
            match telling.message.topic {
                // Whoever did not hear of it need not hear that it is over.
                Topic::Recovered if take(raised, alarm) => {}
                Topic::Recovered => recovered.push(alarm.clone()),
                // Whoever did not hear that it was over knows of it.
                _ if take(recovered, alarm) => {}
                _ => raised.push(alarm.clone()),
            }
        }
        if telling.message.topic == Topic::Report {
            self.report = Some(telling.message.clone());
        }
    }

    /// What of it is still to be told, where this trouble stands.
    pub(crate) fn tellings(mut self, standing: &[AlarmRecord], now: i64) -> Vec<Telling> {
        let stands = |alarm: &Alarm| standing.iter().any(|record| alarm.is_in(record));
        self.alarms.raised.retain(stands);
        self.alarms.recovered.retain(|alarm| !stands(alarm));
        let mut tellings = Telling::of(&self.alarms, now);
        tellings.extend(self.report.map(Telling::report));
        tellings
    }
}

#[cfg(test)]
mod tests;
