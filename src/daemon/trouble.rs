//! Looks for trouble, and has it told when it is new and when it is over.

use serde_json::json;

use super::{Daemon, events::Event};
use crate::{
    config::Topic,
    notify::Message,
    report::{Alarm, AlarmChanges, Surroundings, alarms, compare, raised, recovered},
    store::{Fact, Upkeep},
};

impl Daemon {
    /// Compares the trouble that there is with what was told.
    pub(super) async fn look(&mut self) {
        let config = self.config.load_full();
        let now = self.now();
        let status = self.board.status(&config, now);
        self.service.status(&status, config.timezone);
        let around = self.surroundings().await;
        let mut found = alarms(&status, &around);
        let changes = compare(&self.told, &mut found);
        self.told = found.iter().map(Alarm::record).collect();
        self.board.set_alarms(found);
        self.write_down(&changes).await;
        for message in messages(&changes, now) {
            self.tell(message);
        }
    }

    /// Has a message delivered, beside everything else.
    pub(super) fn tell(&mut self, message: Message) {
        let notifier = self.notifier.clone();
        self.work
            .spawn(async move { Event::Told(notifier.deliver(&message).await) });
    }

    async fn surroundings(&self) -> Surroundings {
        let config = self.config.load_full();
        let traffic = self.sync.usage(&config).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "how much of the traffic budget is used is not known");
            None
        });
        let disk_available = disk_available(&config.state_path);
        if let Some(bytes) = disk_available {
            self.metrics.disk_available(bytes);
        }
        let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
        let mut registries: Vec<String> = registries.collect();
        registries.sort();
        registries.dedup();
        let refuses = |name: &&String| self.metrics.is_refused(name);
        let pause = |name: &String| (name.clone(), self.metrics.backoff_until(name));
        Surroundings {
            config_error: self.board.config_error(),
            refusing: registries.iter().filter(refuses).cloned().collect(),
            pausing: registries.iter().map(pause).collect(),
            mute: self
                .mute
                .iter()
                .map(|(channel, error)| (channel.to_string(), error.clone()))
                .collect(),
            disk_available,
            traffic,
            zone: config.timezone,
        }
    }

    async fn write_down(&self, changes: &AlarmChanges) {
        for alarm in &changes.raised {
            tracing::warn!(topic = alarm.topic.as_str(), "{}", alarm.message);
            let fact = Fact::Upkeep(Upkeep::Raised(alarm.record()));
            self.recorder.note(fact);
        }
        for alarm in &changes.recovered {
            let (topic, subject) = (alarm.topic.as_str().to_owned(), alarm.subject.clone());
            tracing::info!(topic, "over: {}", alarm.message);
            let fact = Fact::Upkeep(Upkeep::Cleared(topic, subject));
            self.recorder.note(fact);
        }
    }
}

/// What is told: one message for all new trouble of a kind, and one for all that is over.
fn messages(changes: &AlarmChanges, now: i64) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut topics: Vec<Topic> = changes.raised.iter().map(|alarm| alarm.topic).collect();
    topics.sort_by_key(|topic| topic.as_str());
    topics.dedup();
    for topic in topics {
        let of_topic = changes.raised.iter().filter(|alarm| alarm.topic == topic);
        let of_topic: Vec<Alarm> = of_topic.cloned().collect();
        messages.push(message(topic, "alarm", &of_topic, raised(&of_topic)));
    }
    if !changes.recovered.is_empty() {
        let over = &changes.recovered;
        messages.push(message(
            Topic::Recovered,
            "recovered",
            over,
            recovered(over, now),
        ));
    }
    messages
}

fn message(
    topic: Topic,
    kind: &str,
    alarms: &[Alarm],
    document: crate::report::Document,
) -> Message {
    // What is about a registry or the daemon concerns every mirror.
    let is_of_mirrors = alarms.iter().all(|alarm| alarm.is_of_a_mirror());
    let subjects = alarms.iter().filter(|_| is_of_mirrors);
    let subjects = subjects.map(|alarm| alarm.subject.as_str());
    Message {
        topic,
        mirrors: subjects
            .filter(|subject| !subject.is_empty())
            .map(Into::into)
            .collect(),
        json: json!({ "event": kind, "alarms": alarms }),
        document,
    }
}

/// Space left where the store is, for this user.
fn disk_available(state_path: &std::path::Path) -> Option<u64> {
    let folder = state_path.parent().filter(|folder| folder.exists());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}
