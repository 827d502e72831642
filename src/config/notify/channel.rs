//! The kinds of `[notify.NAME]`: which keys each has, and what their values must be.

use std::{net::IpAddr, ops::Range};

use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};
use toml::Spanned;
use url::Url;

use crate::config::{
    FileContext, closest,
    notify::{
        BodyTemplate, ChannelEntry, Email, Grouping, Relay, SecretText, SecretUrl, Security,
        Service, Webhook,
    },
    parse::diagnostics::Problems,
    registry::secret::{self, SecretSource},
};

/// Where Telegram's Bot API is.
const TELEGRAM: &str = "https://api.telegram.org";

/// The services, as `kind` names them.
#[derive(Clone, Copy)]
enum ServiceName {
    Wecom,
    Dingtalk,
    Feishu,
    Slack,
    Telegram,
    Email,
    Healthchecks,
    Webhook,
}

/// A kind, the keys that it needs, and those that it may have.
struct ChannelKind {
    service: ServiceName,
    name: &'static str,
    needed: &'static [&'static str],
    allowed: &'static [&'static str],
}

/// The keys of every kind, beside `kind`.
const COMMON: [&str; 4] = ["on", "mirrors", "messages_per_minute", "language"];

const KINDS: [ChannelKind; 8] = [
    ChannelKind {
        service: ServiceName::Wecom,
        name: "wecom",
        needed: &["url"],
        allowed: &[],
    },
    ChannelKind {
        service: ServiceName::Dingtalk,
        name: "dingtalk",
        needed: &["url"],
        allowed: &["secret"],
    },
    ChannelKind {
        service: ServiceName::Feishu,
        name: "feishu",
        needed: &["url"],
        allowed: &["secret"],
    },
    ChannelKind {
        service: ServiceName::Slack,
        name: "slack",
        needed: &["url"],
        allowed: &[],
    },
    ChannelKind {
        service: ServiceName::Telegram,
        name: "telegram",
        needed: &["token", "chat"],
        allowed: &["url"],
    },
    ChannelKind {
        service: ServiceName::Email,
        name: "email",
        needed: &["url", "from", "to"],
        allowed: &["username", "password"],
    },
    ChannelKind {
        service: ServiceName::Healthchecks,
        name: "healthchecks",
        needed: &["url"],
        allowed: &[],
    },
    ChannelKind {
        service: ServiceName::Webhook,
        name: "webhook",
        needed: &["url"],
        allowed: &["secret", "template", "per_alarm"],
    },
];

impl Service {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Wecom { .. } => "wecom",
            Self::Dingtalk { .. } => "dingtalk",
            Self::Feishu { .. } => "feishu",
            Self::Slack { .. } => "slack",
            Self::Telegram { .. } => "telegram",
            Self::Email(_) => "email",
            Self::Healthchecks { .. } => "healthchecks",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// Makes a service of what was written, or notes why not.
pub(crate) fn validate(
    entry: &ChannelEntry,
    file: FileContext<'_>,
    problems: &mut Problems,
) -> Option<Service> {
    let kind = kind(entry, problems)?;
    let has_its_keys = check_keys(kind, entry, problems);
    let mut read = Reader { file, problems };
    let service = match kind.service {
        ServiceName::Telegram => read.telegram(entry),
        ServiceName::Email => read.email(entry),
        ServiceName::Wecom => {
            let url = read.url(entry.url.as_ref());
            url.map(|url| Service::Wecom { url })
        }
        ServiceName::Slack => {
            let url = read.url(entry.url.as_ref());
            url.map(|url| Service::Slack { url })
        }
        ServiceName::Healthchecks => {
            let url = read.url(entry.url.as_ref());
            url.map(|url| Service::Healthchecks { url })
        }
        ServiceName::Dingtalk => {
            let signed = read.signed(entry);
            signed.map(|(url, secret)| Service::Dingtalk { url, secret })
        }
        ServiceName::Feishu => {
            let signed = read.signed(entry);
            signed.map(|(url, secret)| Service::Feishu { url, secret })
        }
        ServiceName::Webhook => {
            let signed = read.signed(entry);
            let template = read.template(entry.template.as_ref());
            let grouping = match entry.per_alarm.as_ref().map(Spanned::get_ref) {
                Some(true) => Grouping::Alarm,
                _ => Grouping::Message,
            };
            signed.map(|(url, secret)| {
                Service::Webhook(Webhook {
                    url,
                    secret,
                    template,
                    grouping,
                })
            })
        }
    };
    service.filter(|_| has_its_keys)
}

fn kind(entry: &ChannelEntry, problems: &mut Problems) -> Option<&'static ChannelKind> {
    let names = || KINDS.iter().map(|kind| kind.name);
    let all = || names().collect::<Vec<_>>().join(", ");
    let Some(written) = &entry.kind else {
        if entry.is_whole {
            let message = format!("[notify.{}] has no `kind`", entry.name.get_ref());
            let help = format!("add `kind`, one of: {}", all());
            problems.error(entry.name.span(), message, help);
        }
        return None;
    };
    let found = KINDS.iter().find(|kind| kind.name == written.get_ref());
    if found.is_none() {
        let message = format!("unknown kind `{}`", written.get_ref());
        let help = match closest(written.get_ref(), names()) {
            Some(kind) => format!("did you mean \"{kind}\"?"),
            None => format!("the kinds are: {}", all()),
        };
        problems.error(written.span(), message, help);
    }
    found
}

/// Notes keys that are missing, and those of other kinds.
fn check_keys(kind: &ChannelKind, entry: &ChannelEntry, problems: &mut Problems) -> bool {
    let mut is_right = true;
    for (key, span) in written_keys(entry) {
        if kind.needed.contains(&key) || kind.allowed.contains(&key) {
            continue;
        }
        let keys = [&["kind"], kind.needed, kind.allowed, &COMMON].concat();
        let message = format!("`{key}` is no key of kind \"{}\"", kind.name);
        let help = format!("take it out; its keys are: {}", keys.join(", "));
        problems.error(span, message, help);
        is_right = false;
    }
    for key in kind.needed {
        if written_keys(entry).any(|(written, _)| written == *key) {
            continue;
        }
        is_right = false;
        // What is missing may be there, and not be readable.
        if entry.is_whole {
            let name = entry.name.get_ref();
            let message = format!("[notify.{name}] of kind \"{}\" has no `{key}`", kind.name);
            problems.error(entry.name.span(), message, how_to_add(kind.name, key));
        }
    }
    is_right
}

/// The keys of some kinds that were written, with their places.
fn written_keys(entry: &ChannelEntry) -> impl Iterator<Item = (&'static str, Range<usize>)> {
    let secret = |written: &Option<Spanned<SecretSource>>| written.as_ref().map(Spanned::span);
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(Spanned::span);
    [
        ("url", secret(&entry.url)),
        ("secret", secret(&entry.secret)),
        ("token", secret(&entry.token)),
        ("chat", entry.chat.as_ref().map(Spanned::span)),
        ("username", text(&entry.username)),
        ("password", secret(&entry.password)),
        ("from", text(&entry.from)),
        ("to", entry.to.as_ref().map(Spanned::span)),
        ("template", text(&entry.template)),
        ("per_alarm", entry.per_alarm.as_ref().map(Spanned::span)),
    ]
    .into_iter()
    .filter_map(|(key, span)| Some((key, span?)))
}

fn how_to_add(kind: &str, key: &str) -> &'static str {
    match (kind, key) {
        ("email", "url") => {
            "add `url = \"smtps://mail.example.com:465\"`, or \"smtp://mail.example.com:587\" \
             for STARTTLS"
        }
        ("healthchecks", "url") => {
            "add `url = { env = \"NAME\" }`, a file or a credential: the check's ping URL"
        }
        ("webhook", "url") => {
            "add `url = { env = \"NAME\" }`, a file or a credential: where the JSON is posted"
        }
        (_, "url") => {
            "add `url = { env = \"NAME\" }`, a file or a credential: the robot's whole webhook URL"
        }
        (_, "token") => {
            "add `token = { env = \"NAME\" }`, a file or a credential: what @BotFather gave"
        }
        (_, "chat") => "add `chat = \"-1001234567890\"`, or \"@name\" for a public channel",
        (_, "from") => "add `from = \"transship@example.com\"`",
        _ => "add `to = [\"ops@example.com\"]`",
    }
}

/// Reads values, and notes what is wrong with them.
struct Reader<'a> {
    file: FileContext<'a>,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    /// The address of a robot, and the secret that signs what it gets.
    fn signed(&mut self, entry: &ChannelEntry) -> Option<(SecretUrl, Option<SecretText>)> {
        let (url, secret) = (
            self.url(entry.url.as_ref()),
            self.secret(entry.secret.as_ref()),
        );
        url.map(|url| (url, secret))
    }

    fn secret(&mut self, written: Option<&Spanned<SecretSource>>) -> Option<SecretText> {
        let secret = secret::read(written?, "a secret", self.file, self.problems);
        secret.map(SecretText::from)
    }

    fn template(&mut self, written: Option<&Spanned<String>>) -> Option<BodyTemplate> {
        let written = written?;
        match BodyTemplate::parse(written.get_ref()) {
            Ok(template) => Some(template),
            Err(reason) => {
                let message = format!("`template` cannot be used: {reason}");
                let help = "write JSON with values such as {{ title }}, without quotes around \
                            them: they are added; the values are event, topic, severity, title, \
                            text, markdown, url, time, secret and alarms";
                self.problems.error(written.span(), message, help);
                None
            }
        }
    }

    /// A URL that is a secret.
    fn url(&mut self, written: Option<&Spanned<SecretSource>>) -> Option<SecretUrl> {
        let written = written?;
        let text = secret::read(written, "a URL that is a secret", self.file, self.problems)?;
        let help = "write the whole URL, as in \"https://host/path\"";
        self.parse(written, &text, &["https", "http"], help)
            .map(SecretUrl::new)
    }

    fn parse(
        &mut self,
        written: &Spanned<SecretSource>,
        text: &SecretString,
        schemes: &[&str],
        help: &str,
    ) -> Option<Url> {
        let wrong = match Url::parse(text.expose_secret()) {
            Err(error) => format!("`url` is no URL: {error}"),
            Ok(url) if !schemes.contains(&url.scheme()) => "`url` has an unknown scheme".to_owned(),
            Ok(url) if url.host_str().is_none_or(str::is_empty) => "`url` names no host".to_owned(),
            Ok(url) => return Some(url),
        };
        self.problems.error(written.span(), wrong, help);
        None
    }

    fn telegram(&mut self, entry: &ChannelEntry) -> Option<Service> {
        let api = match &entry.url {
            None => Url::parse(TELEGRAM).ok(),
            Some(written) => {
                let text = secret::read_open(written, self.file.options, self.problems);
                let help = "write where the Bot API is, as in \"https://telegram.example.com\"";
                text.and_then(|text| self.parse(written, &text, &["https", "http"], help))
            }
        };
        let token = entry
            .token
            .as_ref()
            .and_then(|written| self.telegram_token(written));
        let chat = entry.chat.as_ref().and_then(|written| self.chat(written));
        Some(Service::Telegram {
            api: api?,
            token: token?,
            chat: chat?,
        })
    }

    /// The token becomes a part of a path: what cannot be one must not get there.
    fn telegram_token(&mut self, written: &Spanned<SecretSource>) -> Option<SecretText> {
        let token = secret::read(written, "a token", self.file, self.problems)?;
        let is_legal = |text: &str| {
            let mut chars = text.chars();
            !text.is_empty() && chars.all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        let parts = token.expose_secret().split_once(':');
        if parts.is_some_and(|(id, key)| is_legal(id) && is_legal(key)) {
            return Some(token.into());
        }
        let help = "write it as @BotFather gave it, as in 123456:AbC-dEf";
        let message = "`token` is not a token of Telegram";
        self.problems.error(written.span(), message, help);
        None
    }

    fn chat(&mut self, written: &Spanned<toml::Value>) -> Option<String> {
        match written.get_ref() {
            toml::Value::String(chat) if !chat.is_empty() => Some(chat.clone()),
            toml::Value::Integer(chat) => Some(chat.to_string()),
            _ => {
                let help = "write the chat's number, or \"@name\" for a public channel";
                self.problems
                    .error(written.span(), "`chat` is no chat", help);
                None
            }
        }
    }

    fn email(&mut self, entry: &ChannelEntry) -> Option<Service> {
        let relay = entry.url.as_ref().and_then(|written| self.relay(written));
        let login = self.login(entry);
        let from = entry.from.as_ref();
        let from = from.and_then(|from| self.mailbox("from", from));
        let to = entry.to.as_ref().map(|to| {
            let to = to.get_ref().iter();
            to.map(|to| self.mailbox("to", to)).collect::<Vec<_>>()
        });
        Some(Service::Email(Box::new(Email {
            relay: relay?,
            login: login?,
            from: from?,
            to: to?.into_iter().collect::<Option<_>>()?,
        })))
    }

    fn relay(&mut self, written: &Spanned<SecretSource>) -> Option<Relay> {
        const HELP: &str = "write \"smtps://host:465\", or \"smtp://host:587\" for STARTTLS";
        let text = secret::read_open(written, self.file.options, self.problems)?;
        let url = self.parse(written, &text, &["smtps", "smtp"], HELP)?;
        if !url.username().is_empty() || url.password().is_some() {
            let help = "take it out of `url`; add `username` and `password`";
            let message = "`url` holds a login";
            self.problems.error(written.span(), message, help);
            return None;
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            let message = "`url` has more than a host and a port";
            self.problems.error(written.span(), message, HELP);
            return None;
        }
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost"
            || host
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback());
        let (default_port, security) = match url.scheme() {
            "smtps" => (465, Security::Tls),
            _ if is_here => (587, Security::Loopback),
            _ => (587, Security::StartTls),
        };
        Some(Relay {
            host,
            port: url.port().unwrap_or(default_port),
            security,
        })
    }

    /// The login; the outer `None` is for one that has mistakes.
    fn login(&mut self, entry: &ChannelEntry) -> Option<Option<(String, SecretText)>> {
        let (span, message, help) = match (&entry.username, &entry.password) {
            (None, None) => return Some(None),
            (Some(username), Some(password)) => {
                let password = secret::read(password, "a password", self.file, self.problems)?;
                return Some(Some((username.get_ref().clone(), password.into())));
            }
            (Some(username), None) => (
                username.span(),
                "`username` without a `password`",
                "add `password = { env = \"NAME\" }`, a file or a credential",
            ),
            (None, Some(password)) => (
                password.span(),
                "`password` without a `username`",
                "add `username`",
            ),
        };
        if entry.is_whole {
            self.problems.error(span, message, help);
        }
        None
    }

    fn mailbox(&mut self, key: &str, written: &Spanned<String>) -> Option<Mailbox> {
        match written.get_ref().parse() {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                let message = format!("`{key}` is no mail address: {error}");
                let help = "write it as in \"ops@example.com\" or \"Ops <ops@example.com>\"";
                self.problems.error(written.span(), message, help);
                None
            }
        }
    }
}
