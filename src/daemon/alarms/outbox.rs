//! What is sent to channels, and what they missed of it: that is sent again while it stands.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use url::Url;

use crate::{
    alarms::{Alarm, AlarmChanges, AlarmSubject, Joined, raised, recovered},
    config::{Config, Topic},
    locales::Localized,
    notify::{Audience, Message},
    status::{Document, Line},
};

/// A message, and the alarms that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    pub(crate) message: Message,
    alarms: Vec<Alarm>,
}

/// Where the status page is, for links in messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusPages(Option<Url>);

/// Channels that did not take their last message.
#[derive(Debug, Default)]
pub(crate) struct Outbox(BTreeMap<Arc<str>, FailedChannel>);

/// Why a channel took no message, and what it missed.
#[derive(Debug, Default)]
struct FailedChannel {
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

impl StatusPages {
    /// The pages at `[http] external_url`.
    pub(crate) fn new(config: &Config) -> Self {
        Self(config.http.external_url.clone())
    }

    /// The page that shows more of these alarms: a mirror's own, or the overview.
    fn of(&self, alarms: &[Alarm]) -> Option<Url> {
        let mut url = self.0.clone()?;
        if let [
            Alarm {
                subject: AlarmSubject::Mirror(name),
                ..
            },
        ] = alarms
            && let Ok(mut path) = url.path_segments_mut()
        {
            path.pop_if_empty().push("mirrors").extend(name.split('/'));
        }
        Some(url)
    }
}

impl Notification {
    /// A daily report.
    pub(crate) fn report(message: Message) -> Self {
        Self {
            message,
            alarms: Vec::new(),
        }
    }

    /// One message for all new alarms of a kind, and one for all that are over.
    pub(crate) fn of(changes: &AlarmChanges, now: i64, pages: &StatusPages) -> Vec<Self> {
        let mut notifications = Vec::new();
        let mut topics: Vec<Topic> = changes.raised.iter().map(|alarm| alarm.topic).collect();
        topics.sort_by_key(|topic| topic.as_str());
        topics.dedup();
        for topic in topics {
            let of_topic = changes.raised.iter().filter(|alarm| alarm.topic == topic);
            let of_topic: Vec<Alarm> = of_topic.cloned().collect();
            let document = raised(&of_topic);
            notifications.push(Self::new(topic, of_topic, document, pages));
        }
        let of_outage = |joined: &&Joined| joined.alarm.topic == Topic::Unreachable;
        for joined in changes.joined.iter().filter(of_outage) {
            notifications.push(Self::joined(joined, pages));
        }
        if !changes.recovered.is_empty() {
            let over = changes.recovered.clone();
            let document = recovered(&over, now);
            notifications.push(Self::new(Topic::Recovered, over, document, pages));
        }
        notifications
    }

    /// Adds which worker sends it, where several do.
    pub(crate) fn signed(mut self, worker: &str) -> Self {
        let document = &self.message.document;
        let signed = Localized::new(|language| {
            let mut document = document.get(language).clone();
            let sender = language.words().notify.sent_by(worker);
            document.add_section().line(sender);
            document
        });
        self.message.document = signed;
        self.message.json["worker"] = worker.into();
        self
    }

    fn new(
        topic: Topic,
        alarms: Vec<Alarm>,
        mut document: Localized<Document>,
        pages: &StatusPages,
    ) -> Self {
        let event = match topic {
            Topic::Recovered => "recovered",
            _ => "alarm",
        };
        let mut json = json!({ "event": event, "alarms": alarms });
        if let Some(url) = pages.of(&alarms) {
            json["url"] = url.as_str().into();
            document = Localized::new(|language| {
                let mut document = document.get(language).clone();
                document.add_section().line(Line::default().link(&url));
                document
            });
        }
        let message = Message {
            topic,
            audience: audience(&alarms),
            json,
            document,
        };
        Self { message, alarms }
    }

    /// The alarm of a registry for the channels of the mirrors that joined it.
    fn joined(joined: &Joined, pages: &StatusPages) -> Self {
        let alarms = vec![joined.alarm.clone()];
        let document = raised(&alarms);
        let mut notification = Self::new(joined.alarm.topic, alarms, document, pages);
        notification.message.audience = Audience::Joined {
            mirrors: joined.alarm.mirrors.clone(),
            known: joined.known.clone(),
        };
        notification
    }
}

/// Who gets a message. What is about the daemon, a channel, or the login or the limits of a registry
/// concerns everybody.
fn audience(alarms: &[Alarm]) -> Audience {
    let mut mirrors = Vec::new();
    for alarm in alarms {
        match &alarm.subject {
            AlarmSubject::Mirror(name) => mirrors.push(name.clone()),
            AlarmSubject::Registry(_) if alarm.topic == Topic::Unreachable => {
                mirrors.extend(alarm.mirrors.iter().cloned());
            }
            _ => return Audience::Everyone,
        }
    }
    Audience::Mirrors(mirrors)
}

impl Outbox {
    /// The channels that failed, and the error of each.
    pub(crate) fn errors(&self) -> Vec<(Arc<str>, String)> {
        let channels = self.0.iter();
        channels
            .map(|(channel, failed)| (channel.clone(), failed.error.clone()))
            .collect()
    }

    /// A channel did not take a message.
    pub(crate) fn failed(&mut self, channel: Arc<str>, error: String, sent: &Notification) {
        let failed = self.0.entry(channel).or_default();
        failed.error = error;
        failed.missed.add(sent);
    }

    /// A channel took a message. Returns what it missed before.
    pub(crate) fn delivered(&mut self, channel: &str) -> Missed {
        self.0.remove(channel).unwrap_or_default().missed
    }

    /// Takes what channels missed. What they do not take now is added again.
    pub(crate) fn take_missed(&mut self) -> Vec<(Arc<str>, Missed)> {
        let channels = self.0.iter_mut();
        channels
            .map(|(channel, failed)| (channel.clone(), std::mem::take(&mut failed.missed)))
            .collect()
    }

    /// Forgets the channels of which `is_kept` does not hold.
    pub(crate) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.0.retain(|channel, _| is_kept(channel));
    }
}

impl Missed {
    fn add(&mut self, sent: &Notification) {
        let AlarmChanges {
            raised, recovered, ..
        } = &mut self.alarms;
        let take = |from: &mut Vec<Alarm>, alarm: &Alarm| {
            let before = from.len();
            from.retain(|known| !known.is_same(alarm));
            from.len() < before
        };
        for alarm in &sent.alarms {
            match sent.message.topic {
                // A channel that never got the alarm needs no recovery.
                Topic::Recovered if take(raised, alarm) => {}
                Topic::Recovered => recovered.push(alarm.clone()),
                // A channel that never got the recovery has the alarm already.
                _ if take(recovered, alarm) => {}
                _ => raised.push(alarm.clone()),
            }
        }
        if sent.message.topic == Topic::Report {
            self.report = Some(sent.message.clone());
        }
    }

    /// What of it is still to be sent, while these alarms stand.
    pub(crate) fn notifications(
        mut self,
        announced: &[Alarm],
        now: i64,
        pages: &StatusPages,
    ) -> Vec<Notification> {
        let stands = |alarm: &Alarm| announced.iter().any(|other| other.is_same(alarm));
        self.alarms.raised.retain(stands);
        self.alarms.recovered.retain(|alarm| !stands(alarm));
        let mut notifications = Notification::of(&self.alarms, now, pages);
        notifications.extend(self.report.map(Notification::report));
        notifications
    }
}

#[cfg(test)]
mod tests;
