//! Which alarms there are: the status of every mirror, the registries and the daemon, judged.

use std::{collections::HashMap, sync::Arc};

use chrono_tz::Tz;

use crate::{
    alarms::{Alarm, AlarmSubject, outage},
    config::Topic,
    status::{MirrorStatus, Status, format},
    sync::Usage,
};

/// Failed runs in a row that raise an alarm.
const FAILURES: u64 = 3;
/// Space left for the store that raises an alarm, in bytes.
const DISK: u64 = 256 << 20;
/// Space that clears it, in bytes. The gap keeps one file more or less from raising it again.
const DISK_CLEAR: u64 = DISK / 4 * 5;
/// Percent of the traffic budget that raise an alarm.
const TRAFFIC: u64 = 80;
/// Seconds of a registry's pause that raise an alarm, and seconds after its end that clear it: many
/// registries ask for the next pause at once.
const PAUSE: i64 = 300;

/// What alarms are made of, beside the status of the mirrors.
#[derive(Clone, Debug, Default)]
pub struct AlarmInputs {
    /// Why the edit of `mirror.toml` is not in force, in one line, if it is not.
    pub config_error: Option<String>,
    /// Registries that refuse the credentials.
    pub refusing: Vec<String>,
    /// Registries that asked for a pause, and until when, in seconds since 1970.
    pub paused: Vec<(String, i64)>,
    /// Channels that took no message, and why.
    pub failed_channels: Vec<(Arc<str>, String)>,
    /// Space left where the store is, in bytes.
    pub disk_available: Option<u64>,
    /// How much of the traffic budget is used.
    pub traffic: Option<Usage>,
    /// Mirrors whose missed runs are made up for, and since when.
    pub catching_up: HashMap<Arc<str>, i64>,
    /// Alarms that were announced and are not over.
    pub announced: Vec<Alarm>,
    /// The zone of the times in messages.
    pub zone: Tz,
}

/// Finds every alarm that is active at the time of the status, grouped by registry and cause.
pub fn find_alarms(status: &Status, inputs: &AlarmInputs) -> Vec<Alarm> {
    let now = status.now;
    let mirrors = status.mirrors.iter();
    let of_mirrors = mirrors.flat_map(|mirror| of_mirror(mirror, inputs, now));
    let found = of_daemon(inputs).into_iter();
    let found = found.chain(of_registries(inputs, now)).chain(of_mirrors);
    let alarms = found.map(|(topic, subject, message)| Alarm {
        topic,
        subject,
        since: now,
        message,
        mirrors: Vec::new(),
    });
    outage::group(alarms.collect(), status)
}

/// The topic, the subject and the message of an alarm.
type FoundAlarm = (Topic, AlarmSubject, String);

fn of_daemon(inputs: &AlarmInputs) -> Vec<FoundAlarm> {
    let mut found = Vec::new();
    let mut find = |topic, message| found.push((topic, AlarmSubject::Daemon, message));
    if let Some(error) = &inputs.config_error {
        let message =
            format!("the edited mirror.toml is invalid ({error}); the old one stays in force");
        find(Topic::Config, message);
    }
    let limit = match inputs.is_announced(Topic::Disk, &AlarmSubject::Daemon) {
        true => DISK_CLEAR,
        false => DISK,
    };
    if let Some(left) = inputs.disk_available.filter(|left| *left < limit) {
        let message = format!("{} left on the disk of the database", format::bytes(left));
        find(Topic::Disk, message);
    }
    if let Some(usage) = inputs.traffic.filter(|usage| usage.percent() >= TRAFFIC) {
        find(Topic::Traffic, traffic(&usage));
    }
    for (channel, error) in &inputs.failed_channels {
        let message = format!("channel {channel} takes no messages: {error}");
        let subject = AlarmSubject::Channel(channel.clone());
        found.push((Topic::Failing, subject, message));
    }
    found
}

fn of_registries(inputs: &AlarmInputs, now: i64) -> Vec<FoundAlarm> {
    let refusing = inputs.refusing.iter().map(|registry| {
        let message = format!("{registry} refuses the credentials");
        let subject = AlarmSubject::Registry(registry.clone());
        (Topic::Auth, subject, message)
    });
    let paused = inputs.paused.iter().filter_map(|(registry, until)| {
        let subject = AlarmSubject::Registry(registry.clone());
        let left = match inputs.is_announced(Topic::Throttled, &subject) {
            true => -PAUSE,
            false => PAUSE,
        };
        let clock = format::clock(*until, inputs.zone);
        let message = format!("{registry} asked for a pause until {clock}");
        (until - now > left).then_some((Topic::Throttled, subject, message))
    });
    refusing.chain(paused).collect()
}

fn traffic(usage: &Usage) -> String {
    let consequence = match usage.percent() {
        100.. => format!("; nothing more is copied before {}", usage.ends),
        90.. => format!(
            "; images that lack more than {} are not copied before {}",
            format::bytes(usage.small_bytes()),
            usage.ends
        ),
        _ => format!("; the period ends on {}", usage.ends),
    };
    usage.words() + &consequence
}

fn of_mirror(mirror: &MirrorStatus, inputs: &AlarmInputs, now: i64) -> Vec<FoundAlarm> {
    let subject = AlarmSubject::Mirror(mirror.name.clone());
    let catching_up_since = inputs.catching_up.get(&mirror.name);
    // A run that makes up for missed ones gets its time first.
    let is_excused = |topic, most| {
        !inputs.is_announced(topic, &subject)
            && catching_up_since.is_some_and(|since| now - since <= most)
    };
    let is_late = !mirror.is_within_objective() && !is_excused(Topic::Lag, mirror.max_lag_seconds);
    let is_stale = mirror.is_stale(now) && !is_excused(Topic::Stale, mirror.patience_seconds());
    let messages = [
        (Topic::Lag, is_late.then(|| lag(mirror))),
        (Topic::Stale, is_stale.then(|| stale(mirror, now)).flatten()),
        (Topic::Failing, failing(mirror)),
        (
            Topic::Digest,
            mirror
                .mismatched
                .as_ref()
                .map(|source| format!("{source} was served with wrong bytes, which were refused")),
        ),
    ];
    let found = messages
        .into_iter()
        .filter_map(|(topic, message)| Some((topic, subject.clone(), message?)));
    found.collect()
}

fn lag(mirror: &MirrorStatus) -> String {
    let error = mirror.last_error.as_ref();
    let reason = error.map_or(String::new(), |error| format!(": {error}"));
    format!(
        "{} lags {}, more than its max_lag of {}{reason}",
        mirror.name,
        format::duration(mirror.lag_seconds),
        format::duration(mirror.max_lag_seconds)
    )
}

fn stale(mirror: &MirrorStatus, now: i64) -> Option<String> {
    let unseen = format::duration(now - mirror.last_checked?);
    let run = match mirror.last_attempt.filter(|_| mirror.is_under_way) {
        Some(at) => format!("; its run started {} ago", format::duration(now - at)),
        None => String::new(),
    };
    let name = &mirror.name;
    Some(format!(
        "the source of {name} was not compared for {unseen}{run}"
    ))
}

fn failing(mirror: &MirrorStatus) -> Option<String> {
    let targets = mirror.targets.iter();
    let failing = targets.filter(|target| target.consecutive_failures >= FAILURES);
    let failing: Vec<&str> = failing.map(|target| target.target.as_str()).collect();
    let error = mirror
        .last_error
        .as_deref()
        .unwrap_or("no error was recorded");
    let (name, targets) = (&mirror.name, failing.join(", "));
    let message = || format!("{name} fails repeatedly at {targets}: {error}");
    (!failing.is_empty()).then(message)
}

impl AlarmInputs {
    /// Whether an alarm was announced and is not over.
    fn is_announced(&self, topic: Topic, subject: &AlarmSubject) -> bool {
        let mut announced = self.announced.iter();
        announced.any(|alarm| alarm.topic == topic && alarm.subject == *subject)
    }
}

#[cfg(test)]
mod tests;
