//! Sends reports and alarms to channels.

pub(crate) mod channels;
mod chat;
mod error;
mod http;
mod rate;
mod redact;
mod sign;

use std::{collections::HashMap, sync::Arc};

use chrono::Utc;
use futures::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::Instant;

pub use error::Error;

use crate::{
    config::{Channel, Config, SecretUrl, Service, Topic},
    locales::Localized,
    metrics::Metrics,
    notify::channels::{
        dingtalk, email, feishu,
        healthchecks::{self, PingKind},
        slack, telegram, webhook, wecom,
    },
    status::Document,
};
use http::{Patience, Post};
use rate::SendQueue;
use redact::Redactor;

/// Deliveries at the same time.
const AT_A_TIME: usize = 16;

/// A report or an alarm.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// Who gets it, of the channels that have its topic.
    pub audience: Audience,
    /// What people read.
    pub document: Localized<Document>,
    /// What programs read.
    pub json: Value,
}

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every channel.
    Everyone,
    /// Channels of one of these mirrors.
    Mirrors(Vec<Arc<str>>),
    /// Channels of one of the mirrors that joined an alarm. Channels of a mirror for which it was
    /// announced already have it.
    Joined {
        /// The mirrors that joined.
        mirrors: Vec<Arc<str>>,
        /// The mirrors for which it was announced.
        known: Vec<Arc<str>>,
    },
}

/// The result of a delivery to one channel.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The channel's name.
    pub channel: Arc<str>,
    /// Whether it took the message, or why not.
    pub result: Result<(), Error>,
}

/// How a run ended, as a healthcheck sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of it went well.
    Succeeded,
    /// Some of it, or all, did not.
    Failed,
}

/// Sends messages to the channels of the configuration. A failed delivery is logged, counted and
/// returned. It never fails the caller.
#[derive(Debug)]
pub struct Notifier {
    channels: Vec<Channel>,
    report_to: Vec<Arc<str>>,
    client: reqwest::Client,
    patience: Patience,
    metrics: Arc<Metrics>,
    /// What waits for the rate limit of a channel, by its name.
    queues: HashMap<Arc<str>, Arc<SendQueue>>,
}

impl Notifier {
    /// Prepares the channels of the configuration. None is contacted yet.
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let names: Vec<&str> = config.channels.iter().map(|c| &*c.name).collect();
        metrics.set_channels(&names);
        Ok(Self {
            channels: config.channels.clone(),
            report_to: config.report.to.clone(),
            client: http::client()?,
            patience: Patience::default(),
            metrics,
            queues: queues(&config.channels, &HashMap::new()),
        })
    }

    /// Prepares the channels of a new configuration. What was sent to those that stay counts.
    pub fn replaced_by(&self, config: &Config) -> Result<Self, Error> {
        let mut new = Self::new(config, self.metrics.clone())?;
        new.queues = queues(&config.channels, &self.queues);
        Ok(new)
    }

    /// Sends a message to every channel that subscribes to it, all at the same time.
    pub async fn deliver(&self, message: &Message) -> Vec<Delivery> {
        let wants = |channel: &&Channel| self.wants(channel, message);
        self.send(self.channels.iter().filter(wants), message).await
    }

    /// Sends a message to the channels of these names, whatever they subscribe to.
    pub async fn deliver_to(&self, names: &[Arc<str>], message: &Message) -> Vec<Delivery> {
        let is_named = |channel: &&Channel| names.contains(&channel.name);
        self.send(self.channels.iter().filter(is_named), message)
            .await
    }

    /// Pings healthchecks at the start of a run.
    pub async fn run_started(&self, mirror: &str, run: i64) -> Vec<Delivery> {
        self.ping(mirror, run, PingKind::Start, "").await
    }

    /// Pings healthchecks at the end of a run. `text` has its counts and errors.
    pub async fn run_ended(
        &self,
        mirror: &str,
        run: i64,
        ending: Ending,
        text: &str,
    ) -> Vec<Delivery> {
        let signal = match ending {
            Ending::Succeeded => PingKind::Success,
            Ending::Failed => PingKind::Failure,
        };
        self.ping(mirror, run, signal, text).await
    }

    fn wants(&self, channel: &Channel, message: &Message) -> bool {
        if message.topic == Topic::Report {
            return self.report_to.contains(&channel.name);
        }
        let hears_any = |mirrors: &[Arc<str>]| mirrors.iter().any(|name| hears(channel, name));
        let is_addressed = match &message.audience {
            Audience::Everyone => true,
            Audience::Mirrors(mirrors) => hears_any(mirrors),
            Audience::Joined { mirrors, known } => hears_any(mirrors) && !hears_any(known),
        };
        let topics = subscriptions(message.topic);
        topics.iter().any(|topic| channel.topics.contains(topic)) && is_addressed
    }

    async fn send(
        &self,
        channels: impl Iterator<Item = &Channel>,
        message: &Message,
    ) -> Vec<Delivery> {
        let sent = channels.map(|channel| async move {
            let result = self.bring(channel, message).await;
            self.note(channel, result)
        });
        // A stream that holds the closure could not go to another thread.
        let sent: Vec<_> = sent.collect();
        stream::iter(sent).buffered(AT_A_TIME).collect().await
    }

    /// Brings a message to a channel, in its language.
    async fn bring(&self, channel: &Channel, message: &Message) -> Result<(), Error> {
        let (language, now) = (channel.language, Utc::now());
        let document = message.document.get(language);
        let deadline = self.patience.deadline();
        let posts = match &channel.service {
            Service::Wecom { url } => wecom::posts(url, document, language),
            Service::Dingtalk { url, secret } => {
                let millis = now.timestamp_millis();
                dingtalk::posts(url, secret.as_deref(), document, language, millis)
            }
            Service::Feishu { url, secret } => {
                let seconds = now.timestamp();
                feishu::posts(url, secret.as_deref(), document, language, seconds)
            }
            Service::Slack { url } => slack::posts(url, document, language),
            Service::Telegram { api, token, chat } => {
                telegram::posts(api, token, chat, document, language)?
            }
            Service::Email(email) => {
                return email::send(email, document, self.patience, deadline).await;
            }
            Service::Healthchecks { url } => {
                vec![healthchecks::message(url, message.topic, document)]
            }
            Service::Webhook(webhook) => webhook::posts(webhook, message, document, now)?,
        };
        self.post(&posts, deadline, Some((channel, message.topic)))
            .await
    }

    async fn ping(&self, mirror: &str, run: i64, signal: PingKind, text: &str) -> Vec<Delivery> {
        let pings = self.channels.iter().filter_map(|channel| {
            let url = checked(channel).filter(|_| hears(channel, mirror))?;
            let run = healthchecks::run_id(url, mirror, run);
            let post = healthchecks::post(url, signal, Some(&run), text);
            Some(async move {
                let deadline = self.patience.deadline();
                self.note(channel, self.post(&[post], deadline, None).await)
            })
        });
        let pings: Vec<_> = pings.collect();
        stream::iter(pings).buffered(AT_A_TIME).collect().await
    }

    /// Sends requests one after the other, up to the first that fails. Those of a message wait for
    /// the rate limit of their channel; that is no time in which the service is slow.
    async fn post(
        &self,
        posts: &[Post],
        mut deadline: Instant,
        limited: Option<(&Channel, Topic)>,
    ) -> Result<(), Error> {
        for post in posts {
            if let Some((channel, topic)) = limited
                && let Some(queue) = self.queues.get(&channel.name)
            {
                let asked = Instant::now();
                queue.turn(topic).await;
                deadline += asked.elapsed();
            }
            let attempt = || http::send(&self.client, post);
            self.patience.persist(deadline, attempt).await?;
        }
        Ok(())
    }

    /// Logs and counts the result of a delivery.
    fn note(&self, channel: &Channel, result: Result<(), Error>) -> Delivery {
        let redactor = Redactor::new(&channel.service);
        let result = result.map_err(|error| error.map_words(|words| redactor.clean(words)));
        let name = &channel.name;
        match &result {
            Ok(()) => self.metrics.notification(name, "ok"),
            Err(error) => {
                tracing::warn!(channel = %name, %error, "a notification was not delivered");
                self.metrics.notification(name, "failed");
            }
        }
        Delivery {
            channel: name.clone(),
            result,
        }
    }
}

/// The queue of each channel; those of before where their limits are the same.
fn queues(
    channels: &[Channel],
    before: &HashMap<Arc<str>, Arc<SendQueue>>,
) -> HashMap<Arc<str>, Arc<SendQueue>> {
    let queue = |channel: &Channel| {
        let limits = rate::limits(channel);
        let known = before.get(&channel.name);
        let known = known.filter(|queue| queue.limits() == limits);
        let queue = known.cloned();
        let queue = queue.unwrap_or_else(|| Arc::new(SendQueue::new(limits)));
        (channel.name.clone(), queue)
    };
    channels.iter().map(queue).collect()
}

/// The topics of which one is enough to get a message of this topic. The alarm of a registry stands
/// for those of the mirrors behind it.
fn subscriptions(topic: Topic) -> Vec<Topic> {
    match topic {
        Topic::Unreachable => vec![Topic::Unreachable, Topic::Failing, Topic::Stale, Topic::Lag],
        topic => vec![topic],
    }
}

/// Whether a channel gets what is about a mirror.
fn hears(channel: &Channel, mirror: &str) -> bool {
    let mirrors = channel.mirrors.as_ref();
    mirrors.is_none_or(|mirrors| mirrors.iter().any(|known| **known == *mirror))
}

/// The address of a check that gets the pings of runs.
fn checked(channel: &Channel) -> Option<&SecretUrl> {
    match &channel.service {
        Service::Healthchecks { url } if channel.topics.contains(&Topic::Runs) => Some(url),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
