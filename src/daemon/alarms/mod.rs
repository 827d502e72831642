//! Checks for alarms, announces those that are new or over, and keeps them in the store.

pub(crate) mod outbox;
pub(crate) mod pauses;
mod shared;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use crate::{
    alarms::{
        ActiveAlarms, Alarm, AlarmChanges, AlarmInputs, AlarmState, AlarmSubject, CheckTime,
        Silence, find_alarms,
    },
    config::{Config, Topic},
    daemon::{
        Tasks,
        alarms::outbox::{Missed, Notification, Outbox, StatusPages},
        alarms::pauses::RegistryPauses,
        alarms::shared::first_told,
        event_loop::Event,
        services::{Services, now},
    },
    notify::Delivery,
    registry::RegistryHealth,
    status::Status,
    store::{StoreEvent, Upkeep},
};

/// The alarms of the daemon.
pub(crate) struct Alarms {
    /// Those that are active, for pages and the API.
    pub(crate) active: Arc<ActiveAlarms>,
    /// Those that were announced.
    pub(crate) state: AlarmState,
    /// Channels that did not take their last message.
    pub(crate) outbox: Outbox,
    /// Pauses that registries asked for.
    pub(crate) pauses: RegistryPauses,
}

/// When alarms are checked, and what excuses a mirror.
pub(crate) struct CheckContext<'a> {
    pub(crate) status: &'a Status,
    pub(crate) tick: u64,
    /// Mirrors whose missed runs are made up for, and since when.
    pub(crate) catching_up: &'a HashMap<Arc<str>, i64>,
}

impl Alarms {
    /// Finds the alarms that are active now, and announces what changed.
    pub(crate) async fn check(
        &mut self,
        context: CheckContext<'_>,
        services: &Services,
        work: &mut Tasks,
    ) {
        let config = services.config();
        let mut inputs = inputs(&config, services).await;
        let health = registry_health(&config, services);
        inputs.refusing = refusing(&health);
        inputs.paused = self.pauses.update(&health);
        inputs.failed_channels = self.outbox.errors();
        inputs.catching_up = context.catching_up.clone();
        inputs.announced = self.state.announced().to_vec();
        let mut found = find_alarms(context.status, &inputs);
        let at = CheckTime {
            tick: context.tick,
            now: context.status.now,
        };
        match services.store.mutes(at.now).await {
            Ok(mutes) => self.active.set_mutes(mutes),
            Err(error) => tracing::warn!(%error, "mutes are as they were read last"),
        }
        let mutes = self.active.mutes(at.now);
        let silence = Silence {
            mutes: &mutes,
            quiet: config.report.quiet.as_ref(),
            status: context.status,
            zone: config.timezone,
        };
        let group_wait = config.report.group_wait;
        let is_held = |alarm: &Alarm| silence.holds(alarm);
        let changes = self.state.compare(&mut found, at, group_wait, is_held);
        self.active.set(found);
        record(&changes, services);
        match services.coordination.membership() {
            None => announce(&changes, services, work),
            // Others may have announced some of it.
            Some(membership) if !changes.is_empty() => {
                let membership = membership.clone();
                work.spawn(async move { Event::Announced(first_told(changes, &membership).await) });
            }
            Some(_) => {}
        }
    }

    /// Takes note of deliveries: a channel that fails is an alarm, sent to the others.
    pub(crate) fn delivered(
        &mut self,
        notification: &Notification,
        deliveries: Vec<Delivery>,
        services: &Services,
        work: &mut Tasks,
    ) {
        let config = services.config();
        for Delivery { channel, result } in deliveries {
            match result {
                Err(error) if has_channel(&config, &channel) => {
                    self.outbox.failed(channel, error.to_string(), notification);
                }
                Err(_) => {}
                Ok(()) => {
                    let missed = self.outbox.delivered(&channel);
                    self.send_missed(channel, missed, services, work);
                }
            }
        }
    }

    /// Sends what still stands to the channels that did not take it.
    pub(crate) fn retry(&mut self, services: &Services, work: &mut Tasks) {
        for (channel, missed) in self.outbox.take_missed() {
            // Nothing is left that the channel could take to show that it works again.
            if !self.send_missed(channel.clone(), missed, services, work) {
                self.outbox.delivered(&channel);
            }
        }
    }

    /// Sends what still stands of what a channel missed. Returns whether anything does.
    fn send_missed(
        &self,
        channel: Arc<str>,
        missed: Missed,
        services: &Services,
        work: &mut Tasks,
    ) -> bool {
        let pages = StatusPages::new(&services.config());
        let notifications = missed.notifications(self.state.announced(), now(), &pages);
        let is_any = !notifications.is_empty();
        for notification in notifications {
            let notification = signed(notification, services);
            let (notifier, channel) = (services.notifier.clone(), [channel.clone()]);
            work.spawn(async move {
                let deliveries = notifier.deliver_to(&channel, &notification.message).await;
                Event::Delivered(notification, deliveries)
            });
        }
        is_any
    }
}

/// Sends what changed.
pub(crate) fn announce(changes: &AlarmChanges, services: &Services, work: &mut Tasks) {
    let pages = StatusPages::new(&services.config());
    for notification in Notification::of(changes, now(), &pages) {
        send(notification, services, work);
    }
}

/// Sends a notification, beside everything else.
pub(crate) fn send(notification: Notification, services: &Services, work: &mut Tasks) {
    let notification = signed(notification, services);
    let notifier = services.notifier.clone();
    work.spawn(async move {
        let deliveries = notifier.deliver(&notification.message).await;
        Event::Delivered(notification, deliveries)
    });
}

/// A message with the name of the worker that sends it, where there are several.
fn signed(notification: Notification, services: &Services) -> Notification {
    match services.coordination.membership() {
        Some(membership) => notification.signed(&membership.settings().name),
        None => notification,
    }
}

/// Whether a configuration has a channel of this name.
pub(crate) fn has_channel(config: &Config, name: &str) -> bool {
    config.channels.iter().any(|channel| *channel.name == *name)
}

/// What the alarms are made of, as far as the services know it.
async fn inputs(config: &Config, services: &Services) -> AlarmInputs {
    let traffic = services.sync.usage(config).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the used traffic budget is unknown");
        None
    });
    let disk_available = disk_available(&config.state_path);
    if let Some(bytes) = disk_available {
        services.metrics.disk_available(bytes);
    }
    let rejected = services.status.rejected_config();
    AlarmInputs {
        config_error: rejected.map(|rejected| rejected.summary),
        disk_available,
        traffic,
        pulls: services.pulls.live(now()),
        outage: services.outage(),
        gone_workers: services.gone_workers(),
        zone: config.timezone,
        ..AlarmInputs::default()
    }
}

/// The health of every registry that the configuration names.
fn registry_health(config: &Config, services: &Services) -> BTreeMap<String, RegistryHealth> {
    let registries = config.mirrors.iter().flat_map(|mirror| mirror.registries());
    let health = registries.filter_map(|registry| {
        let name = registry.parse().ok()?;
        Some((registry, services.sync.registries().health(&name)))
    });
    health.collect()
}

/// Registries that refuse the login.
fn refusing(health: &BTreeMap<String, RegistryHealth>) -> Vec<String> {
    let refusing = health.iter().filter(|(_, health)| health.login_refused);
    refusing.map(|(registry, _)| registry.clone()).collect()
}

/// Logs what changed, and keeps it in the store.
fn record(changes: &AlarmChanges, services: &Services) {
    for alarm in &changes.raised {
        tracing::warn!(topic = alarm.topic.as_str(), "alarm: {}", alarm.message);
        let event = StoreEvent::Upkeep(Upkeep::Raised(alarm.record()));
        services.writer.note(event);
    }
    for alarm in &changes.recovered {
        tracing::info!(topic = alarm.topic.as_str(), "recovered: {}", alarm.message);
    }
    for alarm in changes.recovered.iter().chain(&changes.absorbed) {
        let (topic, subject) = (alarm.topic.as_str().to_owned(), alarm.subject.to_string());
        let event = StoreEvent::Upkeep(Upkeep::Cleared(topic, subject));
        services.writer.note(event);
    }
}

/// Space left where the store is, for this user.
fn disk_available(state_path: &Path) -> Option<u64> {
    let folder = state_path.parent().filter(|folder| folder.exists());
    let folder = folder.unwrap_or(Path::new("."));
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// The alarms of an earlier process that stay. Pauses of registries, pulls and failing channels belong to
/// one process: another one starts without them, and announces no recovery.
pub(crate) async fn announced_before(
    services: &Services,
) -> Result<AlarmState, crate::store::Error> {
    let mut kept = Vec::new();
    for record in services.store.alarms().await? {
        match Alarm::from_record(&record).filter(|alarm| !is_of_process(alarm)) {
            Some(alarm) => kept.push(alarm),
            None => {
                let cleared = Upkeep::Cleared(record.topic, record.subject);
                services.writer.note(StoreEvent::Upkeep(cleared));
            }
        }
    }
    Ok(AlarmState::new(kept))
}

fn is_of_process(alarm: &Alarm) -> bool {
    let is_channel = matches!(alarm.subject, AlarmSubject::Channel(_));
    is_channel
        || matches!(
            alarm.topic,
            Topic::Throttled | Topic::Gateway | Topic::Cluster
        )
}
