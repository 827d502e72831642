//! Which alarms there are: the status of every mirror, the registries and the daemon, judged.

use std::{collections::HashMap, sync::Arc};

use bytesize::ByteSize;
use chrono_tz::Tz;

use crate::{
    alarms::{Alarm, AlarmSubject, outage},
    config::{Period, Topic},
    coordination::DatabaseOutage,
    locales::{Language, Localized},
    status::{
        ClusterImage, ClusterStatus, LivePulls, MirrorStatus, PullTroubleKind, Status, format,
        pull_troubles,
    },
    sync::Usage,
};

/// Failed runs in a row that raise an alarm.
const FAILURES: u64 = 3;
/// Space left for the store that raises an alarm, in bytes.
const DISK: u64 = 256 << 20;
/// Space that clears it, in bytes. The gap keeps one file more or less from raising it again.
const DISK_CLEAR: u64 = DISK / 4 * 5;
/// Images of a cluster that an alarm names.
const NAMED: usize = 3;
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
    /// Pulls through the gateway, as they are now.
    pub pulls: LivePulls,
    /// Why the database of the workers does not answer, and since when.
    pub outage: Option<DatabaseOutage>,
    /// Workers that are gone, and since when, in seconds since 1970.
    pub gone_workers: Vec<(Arc<str>, i64)>,
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
    let clusters = status.clusters.iter();
    let of_clusters = clusters.flat_map(|cluster| of_cluster(cluster, now));
    let found = found
        .chain(of_workers(inputs, now))
        .chain(of_registries(inputs, now))
        .chain(of_mirrors)
        .chain(of_clusters)
        .chain(of_pulls(inputs, now));
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
type FoundAlarm = (Topic, AlarmSubject, Localized<String>);

fn of_daemon(inputs: &AlarmInputs) -> Vec<FoundAlarm> {
    let mut found = Vec::new();
    let mut find = |topic, message| found.push((topic, AlarmSubject::Daemon, message));
    if let Some(error) = &inputs.config_error {
        let message = |language: Language| language.words().alarm.config(error);
        find(Topic::Config, Localized::new(message));
    }
    let limit = match inputs.is_announced(Topic::Disk, &AlarmSubject::Daemon) {
        true => DISK_CLEAR,
        false => DISK,
    };
    if let Some(left) = inputs.disk_available.filter(|left| *left < limit) {
        let message = |language: Language| language.words().alarm.disk(format::bytes(left));
        find(Topic::Disk, Localized::new(message));
    }
    if let Some(usage) = inputs.traffic.filter(|usage| usage.percent() >= TRAFFIC) {
        find(
            Topic::Traffic,
            Localized::new(|language| traffic(&usage, language)),
        );
    }
    for (channel, error) in &inputs.failed_channels {
        let message = |language: Language| language.words().alarm.channel(channel, error);
        let subject = AlarmSubject::Channel(channel.clone());
        found.push((Topic::Failing, subject, Localized::new(message)));
    }
    found
}

fn of_workers(inputs: &AlarmInputs, now: i64) -> Vec<FoundAlarm> {
    let outage = inputs.outage.iter().map(|outage| {
        let message = |language: Language| {
            let duration = language.duration(now - outage.since);
            let words = &language.words().alarm;
            words.workers_database(duration, &outage.error)
        };
        let subject = AlarmSubject::WorkersDatabase;
        (Topic::Cluster, subject, Localized::new(message))
    });
    let gone = inputs.gone_workers.iter().map(|(name, since)| {
        let message = |language: Language| {
            let duration = language.duration(now - since);
            language.words().alarm.worker_gone(name, duration)
        };
        let subject = AlarmSubject::Worker(name.clone());
        (Topic::Cluster, subject, Localized::new(message))
    });
    outage.chain(gone).collect()
}

fn of_registries(inputs: &AlarmInputs, now: i64) -> Vec<FoundAlarm> {
    let refusing = inputs.refusing.iter().map(|registry| {
        let message = |language: Language| language.words().alarm.refused(registry);
        let subject = AlarmSubject::Registry(registry.clone());
        (Topic::Auth, subject, Localized::new(message))
    });
    let paused = inputs.paused.iter().filter_map(|(registry, until)| {
        let subject = AlarmSubject::Registry(registry.clone());
        let left = match inputs.is_announced(Topic::Throttled, &subject) {
            true => -PAUSE,
            false => PAUSE,
        };
        let clock = format::clock(*until, inputs.zone);
        let message = |language: Language| language.words().alarm.pause(registry, &clock);
        let alarm = || (Topic::Throttled, subject, Localized::new(message));
        (until - now > left).then(alarm)
    });
    refusing.chain(paused).collect()
}

fn of_pulls(inputs: &AlarmInputs, now: i64) -> Vec<FoundAlarm> {
    let troubles = pull_troubles(&inputs.pulls, now).into_iter();
    let found = troubles.map(|trouble| {
        let subject = match trouble.about {
            PullTroubleKind::Upstream(registry) => AlarmSubject::Registry(registry),
            PullTroubleKind::Budget => AlarmSubject::PullBudget,
            PullTroubleKind::Refused => AlarmSubject::RefusedPulls,
        };
        (Topic::Gateway, subject, trouble.message)
    });
    found.collect()
}

/// The images that no entry mirrors or that run as another digest, and a list that is old.
fn of_cluster(cluster: &ClusterStatus, now: i64) -> Vec<FoundAlarm> {
    let mut found = Vec::new();
    let name = &cluster.cluster;
    let is_missing = cluster.not_mirrored().next().is_some();
    if is_missing || cluster.other_digest().next().is_some() {
        let message = |language: Language| uncovered(cluster, now, language);
        let subject = AlarmSubject::Cluster(name.clone());
        found.push((Topic::Coverage, subject, Localized::new(message)));
    }
    if cluster.is_stale(now) {
        let message = |language: Language| {
            let age = language.duration(now - cluster.received_at);
            language.words().alarm.cluster_silent(name, age)
        };
        let subject = AlarmSubject::ClusterList(name.clone());
        found.push((Topic::Coverage, subject, Localized::new(message)));
    }
    found
}

fn uncovered(cluster: &ClusterStatus, now: i64, language: Language) -> String {
    let words = &language.words().alarm;
    let name = &cluster.cluster;
    let mut parts = Vec::new();
    let since = cluster.not_mirrored().filter_map(|it| it.missing_since);
    if let Some(since) = since.min() {
        let (count, names) = named(cluster.not_mirrored());
        let images = words.images_not_mirrored(count);
        let duration = language.duration(now - since);
        parts.push(words.cluster_missing(name, images, duration, names));
    }
    let (count, names) = named(cluster.other_digest());
    if count > 0 {
        let images = words.images_other_digest(count);
        parts.push(words.cluster_other_digest(name, images, names));
    }
    parts.join("; ")
}

/// How many images there are, and the names of the first.
fn named<'c>(images: impl Iterator<Item = &'c ClusterImage>) -> (u64, String) {
    let mut names: Vec<&str> = images.map(|it| it.covered.found.image.as_str()).collect();
    let count = names.len() as u64;
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("…");
    }
    (count, names.join(", "))
}

fn traffic(usage: &Usage, language: Language) -> String {
    let words = &language.words().alarm;
    let per = match usage.budget.per {
        Period::Day => words.day,
        Period::Month => words.month,
    };
    let budget = ByteSize(usage.budget.bytes).display().si();
    let used = words.traffic(usage.percent(), budget, per);
    match usage.percent() {
        100.. => words.traffic_spent(used, usage.ends),
        90.. => {
            let small = format::bytes(usage.small_bytes());
            words.traffic_tight(used, small, usage.ends)
        }
        _ => words.traffic_ends(used, usage.ends),
    }
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
        (
            Topic::Lag,
            is_late.then(|| Localized::new(|language| lag(mirror, language))),
        ),
        (Topic::Stale, is_stale.then(|| stale(mirror, now)).flatten()),
        (Topic::Failing, failing(mirror)),
        (
            Topic::Digest,
            mirror
                .mismatched
                .as_ref()
                .map(|source| Localized::new(|language| language.words().alarm.digest(source))),
        ),
    ];
    let found = messages
        .into_iter()
        .filter_map(|(topic, message)| Some((topic, subject.clone(), message?)));
    found.collect()
}

fn lag(mirror: &MirrorStatus, language: Language) -> String {
    let words = &language.words().alarm;
    let duration = |seconds| language.duration(seconds);
    let (lag, most) = (
        duration(mirror.lag_seconds),
        duration(mirror.max_lag_seconds),
    );
    let text = words.lag(&mirror.name, lag, most);
    match mirror.error(language) {
        Some(reason) => words.because(text, reason),
        None => text,
    }
}

fn stale(mirror: &MirrorStatus, now: i64) -> Option<Localized<String>> {
    let unseen = now - mirror.last_checked?;
    Some(Localized::new(|language| {
        let words = &language.words().alarm;
        let text = words.stale(&mirror.name, language.duration(unseen));
        match mirror.last_attempt.filter(|_| mirror.is_under_way) {
            Some(at) => words.stale_running(text, language.duration(now - at)),
            None => text,
        }
    }))
}

fn failing(mirror: &MirrorStatus) -> Option<Localized<String>> {
    let targets = mirror.targets.iter();
    let failing = targets.filter(|target| target.consecutive_failures >= FAILURES);
    let failing: Vec<&str> = failing.map(|target| target.target.as_str()).collect();
    let targets = failing.join(", ");
    let message = |language: Language| {
        let words = &language.words().alarm;
        let error = mirror.error(language);
        let error = error.unwrap_or_else(|| words.no_error.to_owned());
        words.failing(&mirror.name, &targets, error)
    };
    (!failing.is_empty()).then(|| Localized::new(message))
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
