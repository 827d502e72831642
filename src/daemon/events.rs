//! What happens while the daemon runs, and what it does then. Each step can be called alone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::Utc;
use tokio::{sync::oneshot, task::JoinError};

use super::{
    Daemon, Loading, MIRROR,
    clockwork::Signal,
    reload::{self, Loaded},
    start,
};
use crate::{
    config::Config,
    http_server::{Accepted, Order},
    notify::{Delivery, Ending},
    sync::{MirrorReport, RunResult, Scope},
};

/// How long an edit settles before it is read: editors write in steps.
const SETTLE: Duration = Duration::from_millis(300);
/// Beats of the scheduler between two looks for trouble.
const LOOK: u64 = 10;

/// Something that was under way has ended.
pub(super) enum Event {
    /// A run, or what would have been one.
    Ran(Arc<str>, Option<MirrorReport>),
    /// The reading of `mirror.toml`; nothing if it holds what it held.
    Loaded(Why, Option<Loaded>),
    /// The delivery of messages.
    Told(Vec<Delivery>),
}

/// Why `mirror.toml` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked for it.
    Asked,
    /// Its folder changed.
    Changed,
}

impl Daemon {
    /// The scheduler says something.
    pub(super) async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Beat => self.beat().await,
            Signal::Tick { name, .. } => match name.strip_prefix(MIRROR) {
                Some(mirror) => self.tick(mirror),
                None => self.make_report().await,
            },
        }
    }

    /// A mirror is due. One that still runs is skipped, and counted.
    pub(super) fn tick(&mut self, name: &str) {
        let config = self.config.load_full();
        let Some(mirror) = config.mirrors.iter().find(|mirror| *mirror.name == *name) else {
            return;
        };
        if mirror.is_paused {
            return;
        }
        if self.busy.contains(&mirror.name) {
            tracing::warn!(mirror = name, "still runs, so that this run is skipped");
            for target in mirror.target_registries() {
                self.metrics.sync(name, &target, "skipped");
            }
            return;
        }
        self.start(&mirror.name, Scope::Whole, mirror.jitter);
    }

    /// Somebody asks for a run.
    pub(super) fn order(&mut self, order: Order) {
        let config = self.config.load();
        let is_known = config
            .mirrors
            .iter()
            .any(|mirror| mirror.name == order.mirror);
        let answer = if !is_known {
            Accepted::Refused
        } else if self.busy.contains(&order.mirror) {
            Accepted::Running
        } else {
            self.start(&order.mirror, order.scope, Duration::ZERO);
            Accepted::Started
        };
        // Who asked may have gone away.
        let _: Result<_, _> = oneshot::Sender::send(order.reply, answer);
    }

    /// Starts a run after a part of its jitter.
    pub(super) fn start(&mut self, name: &Arc<str>, scope: Scope, jitter: Duration) {
        self.busy.insert(name.clone());
        let (name, stop) = (name.clone(), self.stop.clone());
        let (config, sync, notifier) = (
            self.config.clone(),
            self.sync.clone(),
            self.notifier.clone(),
        );
        let wait = jitter.mul_f64(fastrand::f64());
        self.work.spawn(async move {
            let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            let config = config.load_full();
            let mirror = config.mirrors.iter().find(|mirror| mirror.name == name);
            let report = match (waited, mirror) {
                (Some(()), Some(mirror)) => {
                    // Whoever is told of runs tells them apart by this.
                    let run = Utc::now().timestamp_micros();
                    // A channel that hangs must not hold up the run.
                    let started = notifier.run_started(&name, run);
                    let (_, report) = tokio::join!(started, sync.run_one(&config, mirror, &scope));
                    let (ending, text) = ending(&report);
                    notifier.run_ended(&name, run, ending, &text).await;
                    Some(report)
                }
                _ => None,
            };
            Event::Ran(name, report)
        });
    }

    /// Something has ended.
    pub(super) async fn joined(&mut self, event: Result<Event, JoinError>) {
        match event {
            Ok(Event::Ran(name, report)) => self.ran(&name, report).await,
            Ok(Event::Loaded(why, loaded)) => self.loaded(why, loaded).await,
            Ok(Event::Told(deliveries)) => self.told(deliveries),
            Err(error) => tracing::error!(%error, "a part of the daemon failed; this is a bug"),
        }
    }

    /// Messages were delivered, or not: a channel that fails is trouble, told by the others.
    fn told(&mut self, deliveries: Vec<Delivery>) {
        for Delivery { channel, result } in deliveries {
            match result {
                Ok(()) => self.mute.remove(&channel),
                Err(error) => self.mute.insert(channel, error.to_string()),
            };
        }
    }

    async fn ran(&mut self, name: &Arc<str>, report: Option<MirrorReport>) {
        self.busy.remove(name);
        if let Some(report) = report {
            let tags = &report.counts.tags;
            let (result, seconds) = (report.result.as_str(), report.duration_seconds.round());
            tracing::info!(
                mirror = %name, result, seconds, copied = tags.copied, unchanged = tags.unchanged,
                failed = tags.failed, "run ended"
            );
        }
        self.recorder.flush().await;
        self.refresh(name).await;
        self.look().await;
    }

    /// The scheduler moves: the watchdog is fed, and what runs is looked at.
    async fn beat(&mut self) {
        self.health.beat();
        self.service.beat();
        self.beats += 1;
        let busy: Vec<Arc<str>> = self.busy.iter().cloned().collect();
        for name in busy {
            self.refresh(&name).await;
        }
        if self.beats.is_multiple_of(LOOK) {
            self.look().await;
        }
    }

    async fn refresh(&self, name: &str) {
        let config = self.config.load_full();
        let Some(mirror) = config.mirrors.iter().find(|mirror| *mirror.name == *name) else {
            return;
        };
        if let Err(error) = self.board.refresh(&config, mirror, self.now()).await {
            tracing::warn!(%error, mirror = name, "what pages and metrics tell is old");
        }
    }

    /// Reads `mirror.toml` anew, beside everything else.
    pub(super) fn load(&mut self, why: Why) {
        if self.loading != Loading::Idle {
            self.loading = Loading::Again;
            return;
        }
        self.loading = Loading::Busy;
        if why == Why::Asked {
            self.service.reloading();
        }
        let (path, text) = (self.config.load().path.clone(), self.text.clone());
        self.work.spawn(async move {
            if why == Why::Changed {
                tokio::time::sleep(SETTLE).await;
                // What cannot be read now is told by the load.
                if tokio::fs::read_to_string(&path)
                    .await
                    .is_ok_and(|now| now == text)
                {
                    return Event::Loaded(why, None);
                }
            }
            let loaded = tokio::task::spawn_blocking(move || reload::load(&path)).await;
            let loaded =
                loaded.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            Event::Loaded(why, Some(loaded))
        });
    }

    async fn loaded(&mut self, why: Why, loaded: Option<Loaded>) {
        let is_stale = std::mem::replace(&mut self.loading, Loading::Idle) == Loading::Again;
        if let Some(Loaded { text, config }) = loaded {
            self.text = text;
            match config {
                Ok(config) => self.adopt(config).await,
                Err(error) => {
                    tracing::error!(
                        "mirror.toml is not taken up; the config before it stays in force\n{error}"
                    );
                    self.metrics.config_read(None);
                    self.board.set_config_error(Some(error.to_string()));
                }
            }
        }
        if why == Why::Asked {
            self.service.ready();
        }
        self.look().await;
        if is_stale {
            self.load(Why::Changed);
        }
    }

    /// Puts a config in force. Runs under way go on with the one they began with.
    async fn adopt(&mut self, config: Config) {
        let said = reload::differences(&self.config.load(), &config);
        for difference in &said {
            tracing::info!("mirror.toml: {difference}");
        }
        if said.is_empty() {
            tracing::info!("mirror.toml was read again; nothing that it says is different");
        }
        if !config.warnings.is_empty() {
            tracing::warn!("{}", config.warnings);
        }
        match start::notifier(&config, &self.metrics) {
            Ok(notifier) => self.notifier = Arc::new(notifier),
            Err(error) => tracing::error!(%error, "messages go where they went"),
        }
        self.sync.registries().reload(&config);
        let before = self.config.swap(Arc::new(config));
        let channels: HashSet<Arc<str>> = self.channels().collect();
        self.mute.retain(|channel, _| channels.contains(channel));
        self.board.set_config_error(None);
        self.metrics.config_read(Some(self.now()));
        if let Err(error) = self.take_up().await {
            tracing::warn!(%error, "what pages and metrics tell is old");
        }
        let known: HashSet<Arc<str>> = before.mirrors.iter().map(|m| m.name.clone()).collect();
        self.catch_up(|name| !known.contains(name));
    }

    fn channels(&self) -> impl Iterator<Item = Arc<str>> {
        let config = self.config.load_full();
        let names: Vec<Arc<str>> = config.channels.iter().map(|c| c.name.clone()).collect();
        names.into_iter()
    }
}

/// How a run ended, in a word and in a line.
fn ending(report: &MirrorReport) -> (Ending, String) {
    let tags = &report.counts.tags;
    let mut text = format!(
        "{} copied, {} unchanged, {} failed",
        tags.copied, tags.unchanged, tags.failed
    );
    for error in &report.errors {
        text.push_str(&format!("\n{}: {}", error.reference, error.message));
    }
    match report.result {
        RunResult::Ok => (Ending::Succeeded, text),
        RunResult::Partial | RunResult::Failed => (Ending::Failed, text),
    }
}
