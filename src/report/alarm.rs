//! Trouble that somebody is to be told of: what there is, and what became different.

use std::collections::HashSet;

use chrono_tz::Tz;
use serde::Serialize;

use super::{
    document::{Document, Line, Mood},
    status::{MirrorStatus, Status},
    words,
};
use crate::{config::Topic, store::AlarmRecord, sync::Usage};

/// Failed runs in succession that are trouble.
const FAILURES: u64 = 3;
/// Space for the store below which there is trouble, in bytes.
const DISK: u64 = 256 << 20;
/// Percent of the budget of traffic that are trouble.
const TRAFFIC: u64 = 80;
/// How long, in seconds, a registry may want to be left alone before that is trouble.
const PAUSE: i64 = 300;

/// One trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// Of which kind.
    pub topic: Topic,
    /// The mirror or registry that has it; empty for the daemon itself.
    pub subject: String,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// What is the matter, in a sentence.
    pub message: String,
}

/// What can be wrong with the daemon itself and with registries.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Why the edit of `mirror.toml` is not in force, if it is not.
    pub config_error: Option<String>,
    /// Registries that refuse the credentials.
    pub refusing: Vec<String>,
    /// Registries that want to be left alone, and until when.
    pub pausing: Vec<(String, i64)>,
    /// Channels that do not take messages, and why.
    pub mute: Vec<(String, String)>,
    /// Space left where the store is, in bytes.
    pub disk_available: Option<u64>,
    /// How much of the budget of traffic is used.
    pub traffic: Option<Usage>,
    /// The zone in which times are told.
    pub zone: Tz,
}

/// What became different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmChanges {
    /// Trouble that is new.
    pub raised: Vec<Alarm>,
    /// Trouble that is over.
    pub recovered: Vec<Alarm>,
}

/// All trouble that there is now.
pub fn alarms(status: &Status, around: &Surroundings) -> Vec<Alarm> {
    let now = status.now;
    let new = |topic, subject: &str, message| Alarm {
        topic,
        subject: subject.into(),
        since: now,
        message,
    };
    let mut alarms = Vec::new();
    if let Some(error) = &around.config_error {
        let first = error.lines().find_map(|line| line.trim().strip_prefix('×'));
        let first = first.map_or_else(String::new, |first| format!(" ({})", first.trim()));
        let message = format!(
            "mirror.toml was edited and has mistakes{first}; the config before it stays in force"
        );
        alarms.push(new(Topic::Config, "", message));
    }
    if let Some(left) = around.disk_available.filter(|left| *left < DISK) {
        let message = format!("only {} are left where the store is", words::bytes(left));
        alarms.push(new(Topic::Disk, "", message));
    }
    if let Some(usage) = around.traffic.filter(|usage| usage.percent() >= TRAFFIC) {
        alarms.push(new(Topic::Traffic, "", traffic(&usage)));
    }
    for registry in &around.refusing {
        let message = format!("{registry} refuses the credentials");
        alarms.push(new(Topic::Auth, registry, message));
    }
    for (registry, until) in around
        .pausing
        .iter()
        .filter(|(_, until)| until - now > PAUSE)
    {
        let until = words::clock(*until, around.zone);
        let message = format!("{registry} wants to be left alone until {until}");
        alarms.push(new(Topic::Throttled, registry, message));
    }
    for (channel, error) in &around.mute {
        let message = format!("the channel {channel} takes no messages: {error}");
        alarms.push(new(Topic::Failing, &format!("channel {channel}"), message));
    }
    for mirror in &status.mirrors {
        let found = of_mirror(mirror, now);
        alarms.extend(
            found
                .into_iter()
                .map(|(topic, text)| new(topic, &mirror.name, text)),
        );
    }
    alarms
}

fn traffic(usage: &Usage) -> String {
    let consequence = match usage.percent() {
        100.. => format!("; nothing more is copied before {}", usage.ends),
        90.. => format!(
            "; images that lack more than {} are not copied before {}",
            words::bytes(usage.small_bytes()),
            usage.ends
        ),
        _ => format!("; it is to last until {}", usage.ends),
    };
    usage.words() + &consequence
}

fn of_mirror(mirror: &MirrorStatus, now: i64) -> Vec<(Topic, String)> {
    let name = &mirror.name;
    let mut found = Vec::new();
    if !mirror.is_within_objective() {
        let (lag, most) = (
            words::duration(mirror.lag_seconds),
            words::duration(mirror.max_lag_seconds),
        );
        let reason = mirror
            .last_error
            .as_ref()
            .map_or(String::new(), |error| format!(": {error}"));
        found.push((
            Topic::Lag,
            format!("{name} lags {lag}, more than {most}{reason}"),
        ));
    }
    if let Some(unseen) = mirror.last_checked.filter(|_| mirror.is_stale(now)) {
        let unseen = words::duration(now - unseen);
        let text = format!("the source of {name} could not be compared for {unseen}");
        found.push((Topic::Stale, text));
    }
    let failing = mirror
        .targets
        .iter()
        .filter(|target| target.consecutive_failures >= FAILURES);
    let failing: Vec<&str> = failing.map(|target| target.target.as_str()).collect();
    if !failing.is_empty() {
        let error = mirror.last_error.as_deref().unwrap_or("no reason is known");
        let text = format!(
            "{name} fails again and again at {}: {error}",
            failing.join(", ")
        );
        found.push((Topic::Failing, text));
    }
    let is_mismatch = |class: &Option<String>| class.as_deref() == Some("digest_mismatch");
    if let Some(tag) = mirror.behind.iter().find(|tag| is_mismatch(&tag.class)) {
        let text = format!(
            "{} was served with wrong bytes, which were refused",
            tag.source
        );
        found.push((Topic::Digest, text));
    }
    found
}

/// Compares the trouble that was told with what there is. Trouble that goes on keeps its time.
pub fn compare(told: &[AlarmRecord], now: &mut [Alarm]) -> AlarmChanges {
    let key = |alarm: &Alarm| (alarm.topic.as_str().to_owned(), alarm.subject.clone());
    for alarm in now.iter_mut() {
        let same = |record: &&AlarmRecord| {
            record.topic == alarm.topic.as_str() && record.subject == alarm.subject
        };
        if let Some(record) = told.iter().find(same) {
            alarm.since = record.since;
        }
    }
    let known: HashSet<(&str, &str)> = told
        .iter()
        .map(|record| (record.topic.as_str(), record.subject.as_str()))
        .collect();
    let present: HashSet<(String, String)> = now.iter().map(key).collect();
    let is_new = |alarm: &&Alarm| !known.contains(&(alarm.topic.as_str(), &*alarm.subject));
    let is_over =
        |record: &&AlarmRecord| !present.contains(&(record.topic.clone(), record.subject.clone()));
    let over = told.iter().filter(is_over).filter_map(Alarm::from_record);
    AlarmChanges {
        raised: now.iter().filter(is_new).cloned().collect(),
        recovered: over.collect(),
    }
}

impl Alarm {
    /// Whether its subject is a mirror.
    pub fn is_of_a_mirror(&self) -> bool {
        let is_theirs = matches!(
            self.topic,
            Topic::Lag | Topic::Stale | Topic::Failing | Topic::Digest
        );
        is_theirs && !self.subject.starts_with("channel ")
    }

    /// An alarm as the store kept it; nothing if this version knows no such topic.
    pub fn from_record(record: &AlarmRecord) -> Option<Self> {
        Some(Self {
            topic: Topic::parse(&record.topic)?,
            subject: record.subject.clone(),
            since: record.since,
            message: record.message.clone(),
        })
    }

    /// The alarm as the store keeps it.
    pub fn record(&self) -> AlarmRecord {
        AlarmRecord {
            topic: self.topic.as_str().into(),
            subject: self.subject.clone(),
            since: self.since,
            message: self.message.clone(),
        }
    }
}

/// What is told of trouble of one kind that is new.
pub fn raised(alarms: &[Alarm]) -> Document {
    let mood = match alarms.iter().any(|alarm| alarm.topic == Topic::Throttled) {
        true => Mood::Warning,
        false => Mood::Bad,
    };
    listed(alarms, "transship", "troubles", mood)
}

/// What is told of trouble that is over.
pub fn recovered(alarms: &[Alarm], now: i64) -> Document {
    let mut document = Document::new(title(alarms, "recovered", "recoveries"), Mood::Good);
    let section = document.add_section();
    for alarm in alarms {
        let lasted = words::duration(now - alarm.since);
        section.line(Line::default().plain(format!("over after {lasted}: {}", alarm.message)));
    }
    document
}

fn listed(alarms: &[Alarm], one: &str, many: &str, mood: Mood) -> Document {
    let mut document = Document::new(title(alarms, one, many), mood);
    if alarms.len() > 1 {
        let section = document.add_section();
        for alarm in alarms {
            section.line(alarm.message.as_str());
        }
    }
    document
}

fn title(alarms: &[Alarm], one: &str, many: &str) -> String {
    match alarms {
        [alone] => format!("{one}: {}", alone.message),
        several => format!("transship: {} {many}", several.len()),
    }
}

#[cfg(test)]
#[path = "alarm_tests.rs"]
mod tests;
