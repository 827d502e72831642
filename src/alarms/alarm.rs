//! Trouble that somebody is to be told of: what there is, and what became different.

use std::{collections::HashMap, sync::Arc};

use chrono_tz::Tz;
use serde::Serialize;

use crate::{
    config::Topic,
    status::{
        document::{Document, Line, Severity},
        format,
        mirror_status::{MirrorStatus, Status},
    },
    store::AlarmRecord,
    sync::Usage,
};

/// Failed runs in succession that are trouble.
const FAILURES: u64 = 3;
/// Space for the store below which there is trouble, in bytes.
const DISK: u64 = 256 << 20;
/// Space from which on that is over: not as soon as a file more or less is there.
const DISK_AGAIN: u64 = DISK / 4 * 5;
/// Percent of the budget of traffic that are trouble.
const TRAFFIC: u64 = 80;
/// How long, in seconds, a registry may want to be left alone before that is trouble, and how long after
/// the end of its pause that is over: it may want another one at once.
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
    /// Mirrors whose missed runs are being made up for, and since when.
    pub making_up: HashMap<Arc<str>, i64>,
    /// What was told and is not over.
    pub told: Vec<AlarmRecord>,
    /// The zone in which times are told.
    pub zone: Tz,
}

/// All trouble that there is now.
pub fn alarms(status: &Status, around: &Surroundings) -> Vec<Alarm> {
    let now = status.now;
    let of_mirrors = status
        .mirrors
        .iter()
        .flat_map(|mirror| of_mirror(mirror, around, now));
    let found = of_the_daemon(around).into_iter();
    let found = found.chain(of_registries(around, now)).chain(of_mirrors);
    let alarm = |(topic, subject, message)| Alarm {
        topic,
        subject,
        since: now,
        message,
    };
    found.map(alarm).collect()
}

/// A trouble: its kind, who has it, and what is the matter.
type Found = (Topic, String, String);

fn of_the_daemon(around: &Surroundings) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(error) = &around.config_error {
        let first = error.lines().find_map(|line| line.trim().strip_prefix('×'));
        let first = first.map_or_else(String::new, |first| format!(" ({})", first.trim()));
        let message = format!(
            "mirror.toml was edited and has mistakes{first}; the config before it stays in force"
        );
        found.push((Topic::Config, String::new(), message));
    }
    let enough = match around.is_told(Topic::Disk, "") {
        true => DISK_AGAIN,
        false => DISK,
    };
    if let Some(left) = around.disk_available.filter(|left| *left < enough) {
        let message = format!("only {} are left where the store is", format::bytes(left));
        found.push((Topic::Disk, String::new(), message));
    }
    if let Some(usage) = around.traffic.filter(|usage| usage.percent() >= TRAFFIC) {
        found.push((Topic::Traffic, String::new(), traffic(&usage)));
    }
    for (channel, error) in &around.mute {
        let message = format!("the channel {channel} takes no messages: {error}");
        found.push((Topic::Failing, format!("channel {channel}"), message));
    }
    found
}

fn of_registries(around: &Surroundings, now: i64) -> Vec<Found> {
    let refusing = around.refusing.iter().map(|registry| {
        let message = format!("{registry} refuses the credentials");
        (Topic::Auth, registry.clone(), message)
    });
    let pausing = around.pausing.iter().filter(|(registry, until)| {
        let left = match around.is_told(Topic::Throttled, registry) {
            true => -PAUSE,
            false => PAUSE,
        };
        until - now > left
    });
    let pausing = pausing.map(|(registry, until)| {
        let until = format::clock(*until, around.zone);
        let message = format!("{registry} wants to be left alone until {until}");
        (Topic::Throttled, registry.clone(), message)
    });
    refusing.chain(pausing).collect()
}

fn traffic(usage: &Usage) -> String {
    let consequence = match usage.percent() {
        100.. => format!("; nothing more is copied before {}", usage.ends),
        90.. => format!(
            "; images that lack more than {} are not copied before {}",
            format::bytes(usage.small_bytes()),
            usage.ends
        ),
        _ => format!("; it is to last until {}", usage.ends),
    };
    usage.words() + &consequence
}

fn of_mirror(mirror: &MirrorStatus, around: &Surroundings, now: i64) -> Vec<Found> {
    let name = &mirror.name;
    // Until the run that makes up for missed ones has ended, all it takes is to wait for it.
    let made_up_since = around.making_up.get(name);
    let is_excused = |topic, most| {
        !around.is_told(topic, name) && made_up_since.is_some_and(|since| now - since <= most)
    };
    let mut found = Vec::new();
    let mut find = |topic, text| found.push((topic, name.to_string(), text));
    if !mirror.is_within_objective() && !is_excused(Topic::Lag, mirror.max_lag_seconds) {
        let (lag, most) = (
            format::duration(mirror.lag_seconds),
            format::duration(mirror.max_lag_seconds),
        );
        let reason = mirror
            .last_error
            .as_ref()
            .map_or(String::new(), |error| format!(": {error}"));
        let text = format!("{name} lags {lag}, more than {most}{reason}");
        find(Topic::Lag, text);
    }
    let is_stale = mirror.is_stale(now) && !is_excused(Topic::Stale, mirror.patience_seconds());
    if let Some(unseen) = mirror.last_checked.filter(|_| is_stale) {
        let unseen = format::duration(now - unseen);
        let under_way = match mirror.last_attempt.filter(|_| mirror.is_under_way) {
            Some(at) => format!("; a run is under way for {}", format::duration(now - at)),
            None => String::new(),
        };
        let text = format!("the source of {name} was not compared for {unseen}{under_way}");
        find(Topic::Stale, text);
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
        find(Topic::Failing, text);
    }
    if let Some(source) = &mirror.mismatched {
        let text = format!("{source} was served with wrong bytes, which were refused");
        find(Topic::Digest, text);
    }
    found
}

impl Surroundings {
    /// Whether a trouble was told and is not over.
    fn is_told(&self, topic: Topic, subject: &str) -> bool {
        let is_it = |told: &AlarmRecord| told.topic == topic.as_str() && told.subject == subject;
        self.told.iter().any(is_it)
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

    /// Whether a record is of this trouble.
    pub fn is_in(&self, record: &AlarmRecord) -> bool {
        record.topic == self.topic.as_str() && record.subject == self.subject
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
        true => Severity::Warning,
        false => Severity::Bad,
    };
    listed(alarms, "transship", "troubles", mood)
}

/// What is told of trouble that is over.
pub fn recovered(alarms: &[Alarm], now: i64) -> Document {
    let mut document = Document::new(title(alarms, "recovered", "recoveries"), Severity::Good);
    let section = document.add_section();
    for alarm in alarms {
        let lasted = format::duration((now - alarm.since).max(0));
        section.line(Line::default().plain(format!("over after {lasted}: {}", alarm.message)));
    }
    document
}

fn listed(alarms: &[Alarm], one: &str, many: &str, mood: Severity) -> Document {
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
mod tests;
