//! What the daemon does at each event of its loop. Each step can be called without the loop.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinError;

use crate::{
    alarms::AlarmChanges,
    config::Config,
    coordination::OwnedUnit,
    daemon::{
        Daemon,
        alarms::outbox::Notification,
        alarms::{self, CheckContext, has_channel},
        config_watcher::{ConfigSource, LoadReason},
        reload::{self, Loaded},
        scheduler::{Job, Signal},
        services::now,
    },
    notify::Delivery,
    status::RejectedConfig,
    store::{StoreEvent, Upkeep},
    sync::MirrorReport,
};

/// Mirrors that are refreshed in one tick, of those that run and of all.
const REFRESHED: usize = 8;
/// Ticks between two checks whether the path of `mirror.toml` leads to another file.
pub(crate) const COMPARE_TICKS: u64 = 5;
/// How long the end of a run waits until it is on the disk.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Ticks between two checks for alarms.
const CHECK_TICKS: u64 = 10;
/// Ticks until failed channels get their messages again: five minutes.
pub(crate) const RETRY_TICKS: u64 = 150;

/// A task that has ended.
#[expect(
    clippy::large_enum_variant,
    reason = "few exist at a time, and each is moved once"
)]
pub(crate) enum Event {
    /// A run, or what would have been one.
    Ran(Arc<str>, Option<MirrorReport>),
    /// The reading of `mirror.toml`; none if its text is the same.
    Loaded(LoadReason, Option<Loaded>),
    /// The lists of clusters are compared.
    Compared,
    /// What of the alarms this worker is to announce.
    Announced(AlarmChanges),
    /// Units of a cluster are claimed.
    Claimed(Vec<OwnedUnit>),
    /// The run of a unit of this mirror, and its return.
    UnitRan(Arc<str>, Option<MirrorReport>),
    /// Content of a mirror is verified.
    Verified(Arc<str>),
    /// A mirror was made due for all workers.
    Asked,
    /// Pulls of shared quotas were reported to the other workers.
    PullsSettled,
    /// The delivery of a notification.
    Delivered(Notification, Vec<Delivery>),
}

impl Daemon {
    /// Handles a signal of the scheduler.
    pub(crate) async fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Tick => self.tick().await,
            Signal::Due { job, .. } => match job {
                Job::Mirror(name) => {
                    self.renew_demand(&name).await;
                    self.runs.due(&name, &self.services, &mut self.work);
                }
                Job::Report => self.report().await,
            },
        }
    }

    /// Handles the end of some work.
    pub(crate) async fn joined(&mut self, event: Result<Event, JoinError>) {
        match event {
            Ok(Event::Ran(name, report)) => self.ran(&name, report).await,
            Ok(Event::Loaded(reason, loaded)) => self.loaded(reason, loaded).await,
            Ok(Event::Delivered(notification, deliveries)) => {
                let (services, work) = (&self.services, &mut self.work);
                self.alarms
                    .delivered(&notification, deliveries, services, work);
            }
            Ok(Event::Compared) => self.check_alarms().await,
            Ok(Event::Announced(changes)) => {
                alarms::announce(&changes, &self.services, &mut self.work);
            }
            Ok(Event::Claimed(units)) => {
                self.units.claimed(units, &self.services, &mut self.work);
            }
            Ok(Event::UnitRan(name, report)) => self.unit_ran(&name, report).await,
            Ok(Event::Verified(name)) => self.units.verified(&name),
            Ok(Event::PullsSettled) => self.units.pulls_settled(),
            Ok(Event::Asked) => self.units.poll(&self.services, &mut self.work),
            Err(error) => log_bug(&error),
        }
    }

    /// The scheduler moves: feeds the watchdog, and refreshes what runs. A few other mirrors are
    /// refreshed in turn, too: `transship sync` may have run one.
    async fn tick(&mut self) {
        self.services.health.beat();
        self.systemd.tick();
        self.ticks += 1;
        let config = self.services.config();
        let all = config.mirrors.iter().map(|mirror| mirror.name.clone());
        let in_turn = turn(all.collect(), self.ticks).into_iter();
        let running = turn(self.runs.running.keys().cloned().collect(), self.ticks);
        for name in in_turn.chain(running) {
            self.services.refresh(&name).await;
        }
        self.services.show_shared();
        self.units.poll(&self.services, &mut self.work);
        self.services.compare_clusters(&mut self.work);
        if self.ticks.is_multiple_of(COMPARE_TICKS) && self.watcher.has_new_file(&config.path) {
            self.load(LoadReason::Changed);
        }
        if self.ticks.is_multiple_of(CHECK_TICKS) {
            self.units.settle_pulls(&self.services, &mut self.work);
            self.check_alarms().await;
        }
        if self.ticks.is_multiple_of(RETRY_TICKS) {
            // `transship sync` may have run a mirror.
            self.services.status.clusters().outdate();
            self.alarms.retry(&self.services, &mut self.work);
        }
    }

    /// Checks for alarms, and updates the line of `systemctl status`.
    pub(crate) async fn check_alarms(&mut self) {
        let status = self.services.status();
        self.systemd
            .status(&status, self.services.config().timezone);
        for change in self.lag.changes(&status) {
            let event = StoreEvent::Upkeep(Upkeep::LagChanged(change));
            self.services.writer.note(event);
        }
        let context = CheckContext {
            status: &status,
            tick: self.ticks,
            catching_up: &self.runs.catching_up,
        };
        self.alarms
            .check(context, &self.services, &mut self.work)
            .await;
    }

    /// Makes the daily report, and sends it.
    pub(crate) async fn report(&mut self) {
        let alarms = self.alarms.active.all();
        if let Some(message) = self.services.make_report(&alarms).await {
            alarms::send(
                Notification::report(message),
                &self.services,
                &mut self.work,
            );
        }
    }

    /// A run has ended, or did not start.
    pub(crate) async fn ran(&mut self, name: &Arc<str>, report: Option<MirrorReport>) {
        self.runs
            .ended(name, report, &self.services, &mut self.work);
        // Else the next tick shows it: the scheduler stands still for no disk.
        let flush = self.services.writer.flush();
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flush).await;
        self.services.refresh(name).await;
        self.services.status.clusters().outdate();
        self.services.compare_clusters(&mut self.work);
        self.check_alarms().await;
    }

    /// Reads `mirror.toml`, beside everything else.
    pub(crate) fn load(&mut self, reason: LoadReason) {
        let config = self.services.config();
        let membership = self.services.coordination.membership();
        let source = ConfigSource::new(&config, membership);
        let is_begun = self.watcher.load(reason, source, &mut self.work);
        if is_begun && reason == LoadReason::Requested {
            self.systemd.reloading();
        }
    }

    async fn loaded(&mut self, reason: LoadReason, loaded: Option<Loaded>) {
        let again = self.watcher.loaded();
        if let Some(Loaded {
            text,
            config,
            published,
        }) = loaded
        {
            self.watcher.text = text;
            self.watcher.published = published;
            match config {
                Ok(config) => {
                    self.adopt(config).await;
                    self.adopted(published);
                }
                Err(error) => {
                    tracing::error!(
                        "mirror.toml is invalid; the old configuration stays in force\n{error}"
                    );
                    self.services.metrics.config_read(None);
                    let rejected = RejectedConfig {
                        summary: error.summary(),
                        report: error.to_string(),
                    };
                    self.services.status.set_rejected_config(Some(rejected));
                }
            }
            self.check_alarms().await;
        }
        if reason == LoadReason::Requested {
            self.services.sync.registries().forget_refusals();
            self.systemd.ready();
        }
        if let Some(reason) = again {
            self.load(reason);
        }
    }

    /// Puts a configuration in force. Runs in flight keep the one that they started with.
    async fn adopt(&mut self, config: Config) {
        let config = self.services.with_demand(config).await;
        reload::log_differences(&self.services.config(), &config);
        match self.services.notifier.replaced_by(&config) {
            Ok(notifier) => self.services.notifier = Arc::new(notifier),
            Err(error) => tracing::error!(%error, "the old channels stay in use"),
        }
        self.services
            .sync
            .registries()
            .reload(config.registry_settings());
        let timezone = config.timezone;
        let before = self.services.active.swap(Arc::new(config));
        self.runs.outdate();
        let config = self.services.config();
        let late = self.begun.waiting_for_restart(&config);
        self.services.status.set_waiting_for_restart(late);
        self.alarms.outbox.keep(|name| has_channel(&config, name));
        self.services.status.set_rejected_config(None);
        self.services.status.clusters().outdate();
        self.services.metrics.config_read(Some(now()));
        if let Err(error) = self.apply_config().await {
            tracing::warn!(%error, "status pages and metrics are stale");
        }
        let is_new = |mirror: &crate::config::Mirror| {
            let mut mirrors = before.mirrors.iter();
            let old = mirrors.find(|old| old.name == mirror.name);
            let is_unchanged = old.is_some_and(|old| {
                !old.is_paused && old.schedule == mirror.schedule && before.timezone == timezone
            });
            !is_unchanged
        };
        self.runs.catch_up(is_new, &self.services, &mut self.work);
        // A report that is due earlier now may have been due just now.
        if let Err(error) = self.make_up_for_report().await {
            tracing::warn!(%error, "whether a report is due is unknown");
        }
    }
}

/// Some of these names: others at the next tick, until it starts over.
fn turn(mut names: Vec<Arc<str>>, tick: u64) -> Vec<Arc<str>> {
    names.sort();
    let turns = names.len().div_ceil(REFRESHED).max(1);
    let at = usize::try_from(tick).unwrap_or_default() % turns;
    let chosen = names.into_iter().skip(at * REFRESHED);
    chosen.take(REFRESHED).collect()
}

/// Logs that a task panicked.
pub(crate) fn log_bug(error: &JoinError) {
    tracing::error!(%error, "a task of the daemon failed; this is a bug");
}
