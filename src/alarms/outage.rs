//! Groups alarms by registry and cause: mirrors that fail because of one registry are one alarm.

use crate::registry::ErrorClass;
use std::{collections::BTreeMap, sync::Arc};

use crate::{
    alarms::{Alarm, AlarmSubject},
    config::Topic,
    locales::{Language, Localized},
    status::{MirrorStatus, Status},
};

/// Mirrors that fail because of a registry before it is an alarm of its own.
const MIRRORS: usize = 2;

/// Why everything that is asked of a registry fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutageCause {
    /// No connection, or one that breaks or stalls.
    Unreachable,
    /// Server errors (5xx).
    ServerErrors,
    /// The login is refused.
    LoginRefused,
    /// It asks to slow down, or its quota is used up.
    RateLimited,
}

/// The mirrors that fail because of one registry.
#[derive(Debug, Default)]
struct Outage {
    /// The first cause that was found. Mirrors of one registry may see two of them in one outage.
    cause: Option<OutageCause>,
    mirrors: Vec<Arc<str>>,
}

/// Replaces the alarms of mirrors that fail because of one registry by one alarm of that registry,
/// which counts them. Registries that already have such an alarm get the count.
pub(crate) fn group(mut found: Vec<Alarm>, status: &Status) -> Vec<Alarm> {
    for ((registry, topic), outage) in outages(status) {
        let Some(cause) = outage.cause.filter(|_| outage.mirrors.len() >= MIRRORS) else {
            continue;
        };
        let count = outage.mirrors.len() as u64;
        let mut alarm = Alarm {
            topic,
            message: Localized::new(|language| {
                let words = language.words();
                let mirrors = words.overview.mirrors(count);
                words
                    .alarm
                    .outage(&registry, cause.words(language), mirrors)
            }),
            subject: AlarmSubject::Registry(registry),
            since: status.now,
            mirrors: outage.mirrors,
        };
        let explained = found.extract_if(.., |other| alarm.explains(other)).count();
        match found.iter_mut().find(|other| other.is_same(&alarm)) {
            Some(own) => {
                let text = own.message.clone();
                own.message = Localized::new(|language| {
                    let words = language.words();
                    let mirrors = words.overview.mirrors(count);
                    words.alarm.counted(text.get(language), mirrors)
                });
                own.mirrors = alarm.mirrors;
            }
            // Nothing has failed for long enough yet.
            None if explained == 0 => {}
            None => {
                alarm.mirrors.sort();
                found.push(alarm);
            }
        }
    }
    found
}

/// Mirrors by the registry that their last run failed at, and the topic of that registry's alarm.
fn outages(status: &Status) -> BTreeMap<(String, Topic), Outage> {
    let mut outages: BTreeMap<(String, Topic), Outage> = BTreeMap::new();
    for mirror in &status.mirrors {
        let Some((registry, cause)) = failure(mirror) else {
            continue;
        };
        let outage = outages.entry((registry.into(), cause.topic())).or_default();
        outage.cause.get_or_insert(cause);
        outage.mirrors.push(mirror.name.clone());
    }
    outages
}

/// The registry that the last run of a mirror failed at, and why, if the registry is the cause.
fn failure(mirror: &MirrorStatus) -> Option<(&str, OutageCause)> {
    let registry = mirror.last_error_registry.as_deref()?;
    let cause = OutageCause::of(mirror.last_error_class.as_deref()?.parse().ok()?)?;
    Some((registry, cause)).filter(|_| !registry.is_empty())
}

impl OutageCause {
    /// The cause behind a class of errors; none for those that are about one image.
    fn of(class: ErrorClass) -> Option<Self> {
        match class {
            ErrorClass::Network | ErrorClass::Stalled => Some(Self::Unreachable),
            ErrorClass::Server => Some(Self::ServerErrors),
            ErrorClass::Auth => Some(Self::LoginRefused),
            ErrorClass::Throttled | ErrorClass::Quota => Some(Self::RateLimited),
            _ => None,
        }
    }

    fn topic(self) -> Topic {
        match self {
            Self::Unreachable | Self::ServerErrors => Topic::Unreachable,
            Self::LoginRefused => Topic::Auth,
            Self::RateLimited => Topic::Throttled,
        }
    }

    fn words(self, language: Language) -> &'static str {
        let words = &language.words().alarm;
        match self {
            Self::Unreachable => words.unreachable,
            Self::ServerErrors => words.server_errors,
            Self::LoginRefused => words.login_refused,
            Self::RateLimited => words.rate_limited,
        }
    }
}

#[cfg(test)]
mod tests;
