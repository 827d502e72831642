//! Looks for trouble, and has it told when it is new and when it is over.

use std::sync::Arc;

use crate::{
    alarms::{AlarmChanges, Surroundings, alarms},
    daemon::{
        Daemon,
        event_loop::{Event, has_channel},
        outbox::{Missed, Telling},
    },
    notify::Delivery,
    store::{StoreEvent, Upkeep},
};

impl Daemon {
    /// Compares the trouble that there is with what was told.
    pub(crate) async fn look(&mut self) {
        let config = self.config.load_full();
        let now = self.now();
        let status = self.board.status(&config, now);
        self.service.status(&status, config.timezone);
        let around = self.surroundings().await;
        let mut found = alarms(&status, &around);
        let changes = self.told.compare(&mut found, self.beats);
        self.alarms.set(found);
        self.write_down(&changes).await;
        for telling in Telling::of(&changes, now) {
            self.tell(telling);
        }
    }

    /// Has something told, beside everything else.
    pub(crate) fn tell(&mut self, telling: Telling) {
        let notifier = self.notifier.clone();
        self.work.spawn(async move {
            let deliveries = notifier.deliver(&telling.message).await;
            Event::AlarmState(telling, deliveries)
        });
    }

    /// Something was told, or not: a channel that fails is trouble, told by the others.
    pub(crate) fn delivered(&mut self, telling: &Telling, deliveries: Vec<Delivery>) {
        let config = self.config.load_full();
        for Delivery { channel, result } in deliveries {
            match result {
                Err(error) if has_channel(&config, &channel) => {
                    self.mute.failed(channel, error.to_string(), telling);
                }
                Err(_) => {}
                Ok(()) => {
                    let missed = self.mute.took(&channel);
                    self.tell_missed(channel, missed);
                }
            }
        }
    }

    /// Sends what still stands to the channels that did not take it.
    pub(crate) fn tell_again(&mut self) {
        for (channel, missed) in self.mute.take_missed() {
            // Nothing is left that it could take, and so show that it is well.
            if !self.tell_missed(channel.clone(), missed) {
                self.mute.took(&channel);
            }
        }
    }

    /// Sends what still stands of what a channel missed; whether anything does.
    fn tell_missed(&mut self, channel: Arc<str>, missed: Missed) -> bool {
        let tellings = missed.tellings(self.told.records(), self.now());
        let is_any = !tellings.is_empty();
        for telling in tellings {
            let (notifier, channel) = (self.notifier.clone(), [channel.clone()]);
            self.work.spawn(async move {
                let deliveries = notifier.deliver_to(&channel, &telling.message).await;
                Event::AlarmState(telling, deliveries)
            });
        }
        is_any
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
            mute: self.mute.errors(),
            making_up: self.making_up.clone(),
            told: self.told.records().to_vec(),
            disk_available,
            traffic,
            zone: config.timezone,
        }
    }

    async fn write_down(&self, changes: &AlarmChanges) {
        for alarm in &changes.raised {
            tracing::warn!(topic = alarm.topic.as_str(), "{}", alarm.message);
            let fact = StoreEvent::Upkeep(Upkeep::Raised(alarm.record()));
            self.recorder.note(fact);
        }
        for alarm in &changes.recovered {
            let (topic, subject) = (alarm.topic.as_str().to_owned(), alarm.subject.clone());
            tracing::info!(topic, "over: {}", alarm.message);
            let fact = StoreEvent::Upkeep(Upkeep::Cleared(topic, subject));
            self.recorder.note(fact);
        }
    }
}

/// Space left where the store is, for this user.
fn disk_available(state_path: &std::path::Path) -> Option<u64> {
    let folder = state_path.parent().filter(|folder| folder.exists());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}
