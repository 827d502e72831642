//! Which alarms are not sent now: those of muted mirrors and registries, and in quiet hours all that
//! can wait.

use chrono::DateTime;
use chrono_tz::Tz;

use crate::{
    alarms::{Alarm, AlarmSubject},
    config::{Config, QuietHours},
    oci::RegistryName,
    status::{MirrorStatus, Status},
    store::{Mute, MuteKind},
};

/// What a name of `transship mute` and of the API stands for: a mirror, otherwise a registry.
pub fn find_muted(config: &Config, name: &str) -> Option<(MuteKind, String)> {
    if config.mirrors.iter().any(|mirror| *mirror.name == *name) {
        return Some((MuteKind::Mirror, name.into()));
    }
    find_muted_registry(config, name).map(|name| (MuteKind::Registry, name))
}

/// The registry of this name that a mirror reads or writes.
pub fn find_muted_registry(config: &Config, name: &str) -> Option<String> {
    // docker.io has several names.
    let registry = name.parse::<RegistryName>().ok()?;
    let mut used = config.mirrors.iter().flat_map(|mirror| mirror.registries());
    used.any(|used| used == registry.as_str())
        .then(|| registry.as_str().into())
}

/// What keeps alarms from being sent at the time of a status.
#[derive(Clone, Copy, Debug)]
pub struct Silence<'a> {
    /// The mutes that are not over.
    pub mutes: &'a [Mute],
    /// The quiet hours of the configuration.
    pub quiet: Option<&'a QuietHours>,
    /// How every mirror stands.
    pub status: &'a Status,
    /// The zone of quiet hours.
    pub zone: Tz,
}

impl Silence<'_> {
    /// Whether an alarm, or its recovery, is not sent now.
    pub fn holds(&self, alarm: &Alarm) -> bool {
        self.is_muted(alarm) || self.is_quiet(alarm)
    }

    fn is_quiet(&self, alarm: &Alarm) -> bool {
        let now = DateTime::from_timestamp(self.status.now, 0).unwrap_or_default();
        let now = now.with_timezone(&self.zone);
        let mut quiet = self.quiet.into_iter();
        quiet.any(|quiet| quiet.hold(alarm.topic, &now))
    }

    /// An alarm of a mirror is muted by the registry, too, that its last run failed at. An alarm of a
    /// registry is muted where all mirrors are that it is about.
    fn is_muted(&self, alarm: &Alarm) -> bool {
        match &alarm.subject {
            AlarmSubject::Mirror(name) => self.mutes_mirror(name),
            AlarmSubject::Registry(name) => {
                let mut mirrors = alarm.mirrors.iter();
                let are_all = !alarm.mirrors.is_empty() && mirrors.all(|m| self.mutes_mirror(m));
                self.has(MuteKind::Registry, name) || are_all
            }
            AlarmSubject::Daemon
            | AlarmSubject::Channel(_)
            | AlarmSubject::Cluster(_)
            | AlarmSubject::ClusterList(_)
            | AlarmSubject::PullBudget
            | AlarmSubject::RefusedPulls
            | AlarmSubject::WorkersDatabase
            | AlarmSubject::Worker(_) => false,
        }
    }

    fn mutes_mirror(&self, name: &str) -> bool {
        let mut mirrors = self.status.mirrors.iter();
        match mirrors.find(|mirror| *mirror.name == *name) {
            Some(mirror) => is_muted(mirror, self.mutes),
            None => self.has(MuteKind::Mirror, name),
        }
    }

    fn has(&self, kind: MuteKind, name: &str) -> bool {
        has(self.mutes, kind, name)
    }
}

/// Whether the alarms of a mirror are muted: its own, or those of the registry that its last run
/// failed at.
pub fn is_muted(mirror: &MirrorStatus, mutes: &[Mute]) -> bool {
    let failed_at = mirror.last_error_registry.as_deref();
    has(mutes, MuteKind::Mirror, &mirror.name)
        || failed_at.is_some_and(|registry| has(mutes, MuteKind::Registry, registry))
}

fn has(mutes: &[Mute], kind: MuteKind, name: &str) -> bool {
    let mut mutes = mutes.iter();
    mutes.any(|mute| mute.kind == kind && mute.name == name)
}

#[cfg(test)]
mod tests;
