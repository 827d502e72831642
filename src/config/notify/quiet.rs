//! Quiet hours: when only urgent alarms are sent.

use chrono::{DateTime, NaiveTime, TimeZone};
use toml::Spanned;

use crate::config::{
    closest,
    notify::Topic,
    parse::{diagnostics::Problems, file::Strings},
};

/// Alarms that do not wait for the morning, unless the file names others: more is lost every hour.
const URGENT: [Topic; 3] = [Topic::Auth, Topic::Disk, Topic::Digest];

/// When only urgent alarms are sent. Others wait for the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Their start, in the config's timezone.
    pub from: NaiveTime,
    /// Their end; before the start where they pass midnight.
    pub to: NaiveTime,
    /// What is sent at any time.
    pub urgent: Vec<Topic>,
}

impl QuietHours {
    /// Whether a message of this topic waits at a time.
    pub fn hold<Z: TimeZone>(&self, topic: Topic, at: &DateTime<Z>) -> bool {
        let time = at.naive_local().time();
        let is_within = match self.from <= self.to {
            true => self.from <= time && time < self.to,
            false => self.from <= time || time < self.to,
        };
        is_within && !self.urgent.contains(&topic)
    }
}

/// Validates `[report] quiet` and `urgent`.
pub(crate) fn validate(
    quiet: Option<&Spanned<String>>,
    urgent: Option<&Strings>,
    problems: &mut Problems,
) -> Option<QuietHours> {
    let urgent_topics = match urgent {
        Some(urgent) => urgent_topics(urgent, problems),
        None => URGENT.into(),
    };
    let Some(quiet) = quiet else {
        if let Some(urgent) = urgent {
            let help = "add `quiet = \"22:00-07:00\"`, or take `urgent` out";
            problems.error(urgent.span(), "`urgent` without `quiet`", help);
        }
        return None;
    };
    let parse = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let hours = quiet.get_ref().split_once('-');
    let hours = hours.and_then(|(from, to)| Some((parse(from)?, parse(to)?)));
    match hours.filter(|(from, to)| from != to) {
        Some((from, to)) => Some(QuietHours {
            from,
            to,
            urgent: urgent_topics,
        }),
        None => {
            let message = format!("`{}` is no span of quiet hours", quiet.get_ref());
            let help = "write start and end such as \"22:00-07:00\", in the file's timezone";
            problems.error(quiet.span(), message, help);
            None
        }
    }
}

fn urgent_topics(written: &Strings, problems: &mut Problems) -> Vec<Topic> {
    let alarms = || Topic::USUAL.into_iter().filter(|topic| topic.is_alarm());
    let names = || alarms().map(Topic::as_str);
    let mut topics = Vec::new();
    for written in written.get_ref() {
        let word = written.get_ref().as_str();
        match alarms().find(|topic| topic.as_str() == word) {
            Some(topic) => topics.push(topic),
            None => {
                let help = match closest(word, names()) {
                    Some(topic) => format!("did you mean \"{topic}\"?"),
                    None => format!(
                        "the topics of alarms are: {}",
                        names().collect::<Vec<_>>().join(", ")
                    ),
                };
                problems.error(
                    written.span(),
                    format!("`{word}` is no topic of alarms"),
                    help,
                );
            }
        }
    }
    topics
}

#[cfg(test)]
mod tests;
