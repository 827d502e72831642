//! How often a service takes messages: those above its limit wait, urgent ones first.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::config::{Channel, Service, Topic};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Messages that a service takes in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    messages: usize,
    within: Duration,
}

/// The messages of one channel, in the order in which they may be sent.
#[derive(Debug)]
pub(crate) struct SendQueue {
    limits: Vec<Limit>,
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    /// When the last messages were sent, oldest first.
    sent: VecDeque<Instant>,
    waiting: BTreeSet<Place>,
    arrivals: u64,
}

/// The place of a message in the queue: urgent ones first, then the first that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    urgency: Urgency,
    arrival: u64,
}

/// How long a message can wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Alarm,
    Recovery,
    Report,
}

/// Leaves the queue when it is dropped: whoever waits may be cancelled.
struct Waiting<'a> {
    queue: &'a SendQueue,
    place: Place,
}

/// What services document.
///
/// - DingTalk: 20 messages a minute for each robot, otherwise ten minutes of silence
///   (<https://open.dingtalk.com/document/group/custom-robot-access>, "消息发送频率限制").
/// - WeCom: 20 messages a minute for each robot
///   (<https://developer.work.weixin.qq.com/document/path/91770>, "消息发送频率限制").
/// - Feishu: 100 a minute and 5 a second for each robot of a tenant, and none at full and half hours
///   (<https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>, "Precautions").
/// - Slack: one a second for each webhook, with short bursts
///   (<https://docs.slack.dev/apis/web-api/rate-limits>, "Incoming webhooks").
/// - Telegram: one a second for each chat, and 20 a minute for a group
///   (<https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>).
///
/// The recipes of `docs/webhook-recipes.md` set `messages_per_minute` themselves.
pub(crate) fn limits(channel: &Channel) -> Vec<Limit> {
    if let Some(messages) = channel.messages_per_minute {
        let messages = usize::try_from(messages.get()).unwrap_or(usize::MAX);
        let within = MINUTE;
        return vec![Limit { messages, within }];
    }
    let limits: &[(usize, Duration)] = match &channel.service {
        Service::Dingtalk { .. } | Service::Wecom { .. } => &[(20, MINUTE)],
        Service::Feishu { .. } => &[(5, SECOND), (100, MINUTE)],
        Service::Slack { .. } => &[(1, SECOND)],
        Service::Telegram { .. } => &[(1, SECOND), (20, MINUTE)],
        Service::Email(_) | Service::Healthchecks { .. } | Service::Webhook(_) => &[],
    };
    let limits = limits.iter();
    limits
        .map(|&(messages, within)| Limit { messages, within })
        .collect()
}

impl Urgency {
    fn of(topic: Topic) -> Self {
        match topic {
            Topic::Report | Topic::Runs => Self::Report,
            Topic::Recovered => Self::Recovery,
            _ => Self::Alarm,
        }
    }
}

impl SendQueue {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Waits until a message of this topic may be sent.
    pub(crate) async fn turn(&self, topic: Topic) {
        if self.limits.is_empty() {
            return;
        }
        let waiting = self.wait(Urgency::of(topic));
        loop {
            // Registered before the look, so that no change in between is missed.
            let changed = self.changed.notified();
            match self.look(waiting.place) {
                Next::Now => return,
                Next::At(time) => {
                    tokio::select! {
                        () = sleep_until(time) => {}
                        () = changed => {}
                    }
                }
                Next::AfterOthers => changed.await,
            }
        }
    }

    fn wait(&self, urgency: Urgency) -> Waiting<'_> {
        let mut state = self.lock();
        state.arrivals += 1;
        let place = Place {
            urgency,
            arrival: state.arrivals,
        };
        state.waiting.insert(place);
        drop(state);
        // Whoever slept until the next message may have to let this one pass.
        self.changed.notify_waiters();
        Waiting { queue: self, place }
    }

    /// Whether the message at a place may be sent; if so, it counts as sent.
    fn look(&self, place: Place) -> Next {
        let mut state = self.lock();
        if state.waiting.first() != Some(&place) {
            return Next::AfterOthers;
        }
        let now = Instant::now();
        let longest = self.limits.iter().map(|limit| limit.within).max();
        let is_old = |sent: &Instant| longest.is_none_or(|span| *sent + span <= now);
        while state.sent.front().is_some_and(is_old) {
            state.sent.pop_front();
        }
        let free_at = |limit: &Limit| {
            let nth = state.sent.len().checked_sub(limit.messages)?;
            Some(*state.sent.get(nth)? + limit.within)
        };
        match self.limits.iter().filter_map(free_at).max() {
            Some(time) if time > now => Next::At(time),
            _ => {
                state.sent.push_back(now);
                Next::Now
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock()
    }
}

/// When the message at a place may be sent.
enum Next {
    Now,
    At(Instant),
    AfterOthers,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.lock().waiting.remove(&self.place);
        self.queue.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
