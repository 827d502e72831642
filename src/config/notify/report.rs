//! `[report]`: when the report is made, where it goes, and when alarms wait.

use std::{sync::Arc, time::Duration};

use chrono::NaiveTime;
use toml::Spanned;

use crate::{
    config::{
        closest,
        notify::{Channel, ChannelEntry, QuietHours, Topic, list, quiet},
        parse::{diagnostics::Problems, file::Strings, table_reader::TableReader},
    },
    locales::Language,
};

/// How long new alarms wait for others to join them: an outage strikes many mirrors within seconds.
const GROUP_WAIT: Duration = Duration::from_secs(30);

/// When the daily report is made, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportConfig {
    /// The time of day, in the config's timezone.
    pub at: NaiveTime,
    /// The channels that it goes to; empty where none takes it.
    pub to: Vec<Arc<str>>,
    /// How long new alarms are gathered before they are announced together.
    pub group_wait: Duration,
    /// The language of reports, and of alarms unless a channel has another one.
    pub language: Language,
    /// When only urgent alarms are sent.
    pub quiet: Option<QuietHours>,
}

/// `[report]` as written.
#[derive(Debug, Default)]
pub(crate) struct ReportEntry {
    at: Option<Spanned<String>>,
    to: Option<Strings>,
    group_wait: Option<Spanned<String>>,
    pub(crate) language: Option<Spanned<String>>,
    quiet: Option<Spanned<String>>,
    urgent: Option<Strings>,
}

/// Reads `[report]`.
pub(crate) fn read(mut section: TableReader<'_, '_>) -> ReportEntry {
    let entry = ReportEntry {
        at: section.take("at", "a time of day such as \"09:07\""),
        to: section.strings("to"),
        group_wait: section.take("group_wait", "a duration such as \"30s\""),
        language: section.take("language", "\"en\" or \"zh\""),
        quiet: section.take("quiet", "quiet hours such as \"22:00-07:00\""),
        urgent: section.strings("urgent"),
    };
    section.finish();
    entry
}

/// Validates `[report]`. Its language was validated before those of the channels.
pub(crate) fn validate(
    (entry, language): (&ReportEntry, Language),
    entries: &[ChannelEntry],
    channels: &[Channel],
    problems: &mut Problems,
) -> ReportConfig {
    ReportConfig {
        at: report_time(entry.at.as_ref(), problems),
        to: receivers(entry.to.as_ref(), entries, channels, problems),
        group_wait: group_wait(entry.group_wait.as_ref(), problems),
        language,
        quiet: quiet::validate(entry.quiet.as_ref(), entry.urgent.as_ref(), problems),
    }
}

/// Validates `[report] group_wait`.
fn group_wait(written: Option<&Spanned<String>>, problems: &mut Problems) -> Duration {
    let Some(written) = written else {
        return GROUP_WAIT;
    };
    humantime::parse_duration(written.get_ref()).unwrap_or_else(|_| {
        let message = format!("`{}` is not a duration", written.get_ref());
        let help = "write how long new alarms wait for others to join them, such as \"30s\"; \
                    \"0s\" for not at all";
        problems.error(written.span(), message, help);
        GROUP_WAIT
    })
}

fn report_time(written: Option<&Spanned<String>>, problems: &mut Problems) -> NaiveTime {
    // Some services refuse what comes at full and half hours, when everybody sends.
    let default = NaiveTime::from_hms_opt(9, 7, 0).unwrap_or_default();
    let Some(written) = written else {
        return default;
    };
    NaiveTime::parse_from_str(written.get_ref(), "%H:%M").unwrap_or_else(|_| {
        let message = format!("`{}` is no time of day", written.get_ref());
        let help = "write hours and minutes such as \"09:07\", in the file's timezone";
        problems.error(written.span(), message, help);
        default
    })
}

/// The channels that the report goes to: those named, or else all that take it.
fn receivers(
    to: Option<&Strings>,
    entries: &[ChannelEntry],
    channels: &[Channel],
    problems: &mut Problems,
) -> Vec<Arc<str>> {
    let takes_it = |channel: &&Channel| channel.topics.contains(&Topic::Report);
    let Some(to) = to else {
        let takers = channels.iter().filter(takes_it);
        return takers.map(|channel| channel.name.clone()).collect();
    };
    let mut receivers: Vec<Arc<str>> = Vec::new();
    for written in to.get_ref() {
        let name = written.get_ref().as_str();
        let names = || entries.iter().map(|entry| entry.name.get_ref().as_str());
        if !names().any(|known| known == name) {
            let help = match (closest(name, names()), entries.is_empty()) {
                (Some(channel), _) => format!("did you mean \"{channel}\"?"),
                (None, true) => format!("add [notify.{name}] with its `kind`"),
                (None, false) => format!("the channels are: {}", list(names())),
            };
            problems.error(written.span(), format!("no [notify.{name}]"), help);
            continue;
        }
        // One that is not among the channels has mistakes of its own.
        match channels.iter().find(|channel| &*channel.name == name) {
            Some(channel) if !takes_it(&channel) => {
                let message = format!("[notify.{name}] takes no report");
                let help = "add \"report\" to its `on`, or take it out here";
                problems.error(written.span(), message, help);
            }
            Some(channel) if !receivers.contains(&channel.name) => {
                receivers.push(channel.name.clone());
            }
            _ => {}
        }
    }
    receivers
}
