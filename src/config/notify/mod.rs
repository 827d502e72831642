//! `[report]` and `[notify.NAME]`: when the report is made, and where it and alarms go.

pub(crate) mod channel;
mod quiet;
pub(crate) mod report;
mod template;
#[cfg(test)]
mod tests;
mod topic;

use std::{fmt, num::NonZeroU32, ops::Deref, sync::Arc};

use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use url::Url;

use super::closest;
pub use crate::config::notify::{
    quiet::QuietHours, report::ReportConfig, template::BodyTemplate, topic::Topic,
};
use crate::{
    config::{
        FileContext,
        parse::{
            diagnostics::Problems,
            file::{Strings, read_secret},
            table_reader::TableReader,
        },
        registry::secret::SecretSource,
    },
    locales::Language,
};

/// One `[notify.NAME]`: a place that reports and alarms go to.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Unique in the file.
    pub name: Arc<str>,
    /// What is there.
    pub service: Service,
    /// The language of what it gets.
    pub language: Language,
    /// What it gets.
    pub topics: Vec<Topic>,
    /// The mirrors that it gets messages about. `None` for all.
    pub mirrors: Option<Vec<Arc<str>>>,
    /// Most messages a minute; the service's own limit if none is set.
    pub messages_per_minute: Option<NonZeroU32>,
}

/// What stands at the other end of a channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// A robot in a group of WeCom.
    Wecom {
        /// The robot's address.
        url: SecretUrl,
    },
    /// A robot in a group of DingTalk.
    Dingtalk {
        /// The robot's address.
        url: SecretUrl,
        /// What it wants messages signed with.
        secret: Option<SecretText>,
    },
    /// A robot in a group of Feishu or Lark.
    Feishu {
        /// The robot's address.
        url: SecretUrl,
        /// What it wants messages signed with.
        secret: Option<SecretText>,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// Its address.
        url: SecretUrl,
    },
    /// A bot of Telegram.
    Telegram {
        /// Where the Bot API is.
        api: Url,
        /// The bot's token.
        token: SecretText,
        /// Where it writes: a number, or `@name`.
        chat: String,
    },
    /// A mail server.
    Email(Box<Email>),
    /// A check of healthchecks.io, or of one's own healthchecks.
    Healthchecks {
        /// The check's address.
        url: SecretUrl,
    },
    /// Anything that takes JSON.
    Webhook(Webhook),
}

/// A receiver of JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its address.
    pub url: SecretUrl,
    /// What bodies are signed with, and what the template may put into them.
    pub secret: Option<SecretText>,
    /// What shapes the body; without one it is the report or the alarms as they are.
    pub template: Option<BodyTemplate>,
    /// What one request is about.
    pub grouping: Grouping,
}

/// What one request to a receiver of JSON is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// All alarms of a message.
    #[default]
    Message,
    /// One alarm.
    Alarm,
}

/// Mail: through what, from whom, to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Email {
    /// The server that takes it.
    pub relay: Relay,
    /// The name and the password for it.
    pub login: Option<(String, SecretText)>,
    /// The sender.
    pub from: Mailbox,
    /// The receivers; never empty.
    pub to: Vec<Mailbox>,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is kept private.
    pub security: Security,
}

/// How the way to a mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS; without it nothing is sent.
    StartTls,
    /// Not at all: the server is on this machine.
    Loopback,
}

/// A URL that lets whoever has it send messages, and so is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

/// A secret that can be compared: whether a reload changes it.
#[derive(Clone, Debug)]
pub struct SecretText(SecretString);

impl From<SecretString> for SecretText {
    fn from(secret: SecretString) -> Self {
        Self(secret)
    }
}

impl From<String> for SecretText {
    fn from(secret: String) -> Self {
        Self(secret.into())
    }
}

impl Deref for SecretText {
    type Target = SecretString;

    fn deref(&self) -> &SecretString {
        &self.0
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl SecretUrl {
    /// A URL as a secret.
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The URL, for a request to it and nothing else.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl")
    }
}

impl Service {
    /// The address that is a secret, if it has one.
    pub fn url(&self) -> Option<&SecretUrl> {
        match self {
            Self::Wecom { url }
            | Self::Dingtalk { url, .. }
            | Self::Feishu { url, .. }
            | Self::Slack { url }
            | Self::Healthchecks { url } => Some(url),
            Self::Webhook(webhook) => Some(&webhook.url),
            Self::Telegram { .. } | Self::Email(_) => None,
        }
    }

    /// Its other secrets.
    pub fn secrets(&self) -> Vec<&SecretString> {
        match self {
            Self::Dingtalk { secret, .. }
            | Self::Feishu { secret, .. }
            | Self::Webhook(Webhook { secret, .. }) => {
                secret.iter().map(|secret| &secret.0).collect()
            }
            Self::Telegram { token, .. } => vec![&token.0],
            Self::Email(email) => email
                .login
                .iter()
                .map(|(_, password)| &password.0)
                .collect(),
            Self::Wecom { .. } | Self::Slack { .. } | Self::Healthchecks { .. } => Vec::new(),
        }
    }
}

/// One `[notify.NAME]` as written: the keys of every kind.
#[derive(Debug)]
pub(crate) struct ChannelEntry {
    pub(crate) name: Spanned<String>,
    /// Whether every key in it could be read.
    pub(crate) is_whole: bool,
    pub(crate) kind: Option<Spanned<String>>,
    pub(crate) url: Option<Spanned<SecretSource>>,
    pub(crate) secret: Option<Spanned<SecretSource>>,
    pub(crate) token: Option<Spanned<SecretSource>>,
    pub(crate) chat: Option<Spanned<toml::Value>>,
    pub(crate) username: Option<Spanned<String>>,
    pub(crate) password: Option<Spanned<SecretSource>>,
    pub(crate) from: Option<Spanned<String>>,
    pub(crate) to: Option<Strings>,
    pub(crate) template: Option<Spanned<String>>,
    pub(crate) per_alarm: Option<Spanned<bool>>,
    messages_per_minute: Option<Spanned<NonZeroU32>>,
    on: Option<Strings>,
    mirrors: Option<Strings>,
    language: Option<Spanned<String>>,
}

/// Reads one `[notify.NAME]`.
pub(crate) fn read_channel(
    name: Spanned<String>,
    mut section: TableReader<'_, '_>,
) -> ChannelEntry {
    let entry = ChannelEntry {
        name,
        is_whole: false,
        kind: section.take("kind", "a kind such as \"slack\""),
        url: read_secret(&mut section, "url"),
        secret: read_secret(&mut section, "secret"),
        token: read_secret(&mut section, "token"),
        chat: section.take("chat", "a chat such as \"-1001234567890\" or \"@name\""),
        username: section.take("username", "a user's name as a string"),
        password: read_secret(&mut section, "password"),
        from: section.take("from", "a mail address as a string"),
        to: section.strings("to"),
        template: section.take("template", "a template as a string"),
        per_alarm: section.take("per_alarm", "true or false"),
        messages_per_minute: section.take("messages_per_minute", "a number above 0"),
        on: section.strings("on"),
        mirrors: section.strings("mirrors"),
        language: section.take("language", "\"en\" or \"zh\""),
    };
    ChannelEntry {
        is_whole: section.finish(),
        ..entry
    }
}

/// Validates both. `mirrors` are the names of all mirrors.
pub(crate) fn validate(
    entries: &[ChannelEntry],
    report: &report::ReportEntry,
    mirrors: &[Arc<str>],
    file: FileContext<'_>,
    problems: &mut Problems,
) -> (Vec<Channel>, ReportConfig) {
    let language = language(report.language.as_ref(), Language::English, problems);
    let mut channels = Vec::new();
    for entry in entries {
        let own = self::language(entry.language.as_ref(), language, problems);
        let service = channel::validate(entry, file, problems);
        let (topics, mirrors) = (topics(entry, problems), chosen(entry, mirrors, problems));
        channels.extend(service.map(|service| Channel {
            name: entry.name.get_ref().as_str().into(),
            service,
            language: own,
            topics,
            mirrors,
            messages_per_minute: entry.messages_per_minute.as_ref().map(|n| *n.get_ref()),
        }));
    }
    let report = report::validate((report, language), entries, &channels, problems);
    for entry in entries {
        warn_if_mute(entry, &channels, &report, problems);
    }
    (channels, report)
}

/// Validates `language`.
pub(crate) fn language(
    written: Option<&Spanned<String>>,
    default: Language,
    problems: &mut Problems,
) -> Language {
    let Some(written) = written else {
        return default;
    };
    Language::parse(written.get_ref()).unwrap_or_else(|| {
        let message = format!("there is no language `{}`", written.get_ref());
        let help = "write \"en\" for English, or \"zh\" for Chinese";
        problems.error(written.span(), message, help);
        default
    })
}

/// A channel that takes only the report, and does not get it, gets nothing.
fn warn_if_mute(
    entry: &ChannelEntry,
    channels: &[Channel],
    report: &ReportConfig,
    problems: &mut Problems,
) {
    let name = entry.name.get_ref().as_str();
    let channel = channels.iter().find(|channel| &*channel.name == name);
    let takes_only_reports = channel.is_some_and(|channel| channel.topics == [Topic::Report]);
    if let Some(on) = entry.on.as_ref().filter(|_| takes_only_reports)
        && !report.to.iter().any(|to| &**to == name)
    {
        let message = format!("[notify.{name}] gets nothing: the report goes to others");
        let help = "add it to `to` of [report], or more topics to its `on`";
        problems.warning(on.span(), message, help);
    }
}

fn topics(entry: &ChannelEntry, problems: &mut Problems) -> Vec<Topic> {
    let kind = entry.kind.as_ref().map(|kind| kind.get_ref().as_str());
    let takes_runs = kind == Some("healthchecks");
    let Some(on) = &entry.on else {
        return match takes_runs {
            true => vec![Topic::Runs],
            false => Topic::USUAL.into(),
        };
    };
    let known = || Topic::USUAL.into_iter().chain([Topic::Runs]);
    let names = || {
        let selectable = known().filter(|topic| takes_runs || *topic != Topic::Runs);
        selectable.map(Topic::as_str)
    };
    let mut topics = Vec::new();
    for written in on.get_ref() {
        let word = written.get_ref().as_str();
        match known().find(|topic| topic.as_str() == word) {
            Some(Topic::Runs) if !takes_runs && kind.is_some() => {
                let help = "take it out: only a channel of kind \"healthchecks\" gets them";
                problems.error(written.span(), "`runs` is for healthchecks only", help);
            }
            Some(topic) if topics.contains(&topic) => {}
            Some(topic) => topics.push(topic),
            None => {
                let help = match closest(word, names()) {
                    Some(topic) => format!("did you mean \"{topic}\"?"),
                    None => format!("the topics are: {}", list(names())),
                };
                problems.error(written.span(), format!("unknown topic `{word}`"), help);
            }
        }
    }
    topics
}

fn chosen(
    entry: &ChannelEntry,
    mirrors: &[Arc<str>],
    problems: &mut Problems,
) -> Option<Vec<Arc<str>>> {
    let mut chosen = Vec::new();
    for written in entry.mirrors.as_ref()?.get_ref() {
        let name = written.get_ref().as_str();
        match mirrors.iter().find(|mirror| &***mirror == name) {
            Some(mirror) => chosen.push(mirror.clone()),
            None => {
                let names = || mirrors.iter().map(|mirror| &**mirror);
                let help = match closest(name, names()) {
                    Some(mirror) => format!("did you mean \"{mirror}\"?"),
                    None => format!("the mirrors are: {}", list(names())),
                };
                problems.error(written.span(), format!("no mirror `{name}`"), help);
            }
        }
    }
    Some(chosen)
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}
