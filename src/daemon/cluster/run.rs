//! One run of one unit: what is behind is recorded before it is brought, and what was found is given back.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::FutureExt as _;

use crate::{
    config::{Config, Mirror},
    coordination::{
        Coordination, NOT_DUE, OwnedUnit,
        database::{LaggingTag, RunEnd},
        units_of_routes,
    },
    daemon::{
        event_loop::Event,
        runs::ending,
        services::{Services, find_mirror, now},
    },
    metrics::Metrics,
    notify::Notifier,
    oci::Repository,
    status::{RunNote, Work},
    store::{BehindTag, RunResult, Store, StoreWriter},
    sync::{MirrorReport, Refused, Scope, Sync},
};

/// When a unit is due again that this worker cannot run.
const LATER: Duration = Duration::from_secs(60);

/// What the run of a unit uses.
#[derive(Debug)]
pub(crate) struct UnitContext {
    config: Arc<Config>,
    sync: Arc<Sync>,
    pub(super) store: Store,
    pub(super) writer: Arc<StoreWriter>,
    pub(super) coordination: Arc<Coordination>,
    notifier: Arc<Notifier>,
    metrics: Arc<Metrics>,
}

impl UnitContext {
    /// The services of now: a configuration that is read meanwhile is of the next run.
    pub(crate) fn new(services: &Services) -> Self {
        Self {
            config: services.config(),
            sync: services.sync.clone(),
            store: services.store.clone(),
            writer: services.writer.clone(),
            coordination: services.coordination.clone(),
            notifier: services.notifier.clone(),
            metrics: services.metrics.clone(),
        }
    }

    /// Runs a unit, and gives it back.
    pub(crate) async fn run(self, unit: OwnedUnit) -> Event {
        let name: Arc<str> = unit.mirror().into();
        let mirror = find_mirror(&self.config, &name);
        // Whatever happens, the unit is given back.
        let ran = AssertUnwindSafe(self.run_unit(mirror, &unit)).catch_unwind();
        let (report, end) = ran.await.unwrap_or_else(|_| {
            tracing::error!("a run panicked; this is a bug");
            (None, RunEnd::unchecked(LATER))
        });
        if !unit.release(&end).await {
            self.metrics.run_lost();
        }
        Event::UnitRan(name, report)
    }

    async fn run_unit(
        &self,
        mirror: Option<&Mirror>,
        unit: &OwnedUnit,
    ) -> (Option<MirrorReport>, RunEnd) {
        match (mirror, unit.source()) {
            (Some(mirror), Some(source)) => {
                let began = Instant::now();
                self.share_suspects(unit).await;
                let report = self.run_mirror(mirror, &source, unit).await;
                self.share_suspects(unit).await;
                let lagging = match unit.lease.is_compared() {
                    true => self.behind(mirror, &source).await,
                    false => None,
                };
                let end = RunEnd {
                    lagging,
                    body: self.body(&report).await,
                    ..self.end(mirror, unit, &report, began)
                };
                (Some(report), end)
            }
            (Some(mirror), None) if unit.is_discovery() => {
                (None, self.discover(mirror, unit).await)
            }
            // Another configuration is about to be in force.
            _ => (None, RunEnd::unchecked(LATER)),
        }
    }

    /// Finds the repositories that the patterns of a mirror stand for: each is a unit of its own.
    async fn discover(&self, mirror: &Mirror, unit: &OwnedUnit) -> RunEnd {
        let began = Instant::now();
        let found = self.sync.discover(&self.config, mirror).await;
        for Refused { source, error } in &found.refused {
            tracing::warn!(mirror = %mirror.name, "{source} is not mirrored: {error}");
        }
        let is_whole = found.is_whole();
        if is_whole {
            let units = units_of_routes(mirror, &found.routes);
            unit.discovered(&units).await;
        }
        let result = match is_whole {
            true => RunResult::Ok,
            false => RunResult::Failed,
        };
        RunEnd {
            due_in: self.due_in(mirror),
            lagging: is_whole.then(Vec::new),
            tags: 0,
            failed: found.refused.len() as u64,
            checked_ago: is_whole.then(|| began.elapsed()),
            took: began.elapsed(),
            result: result.as_str().into(),
            body: String::new(),
        }
    }

    async fn run_mirror(
        &self,
        mirror: &Mirror,
        source: &Repository,
        unit: &OwnedUnit,
    ) -> MirrorReport {
        // Healthchecks match start and end by this.
        let id = Utc::now().timestamp_micros();
        let started = self.notifier.run_started(&mirror.name, id);
        let (_, report) = tokio::join!(started, self.run_recorded(mirror, source, unit));
        if !report.is_cut() {
            let (ending, text) = ending(&report);
            let ended = self.notifier.run_ended(&mirror.name, id, ending, &text);
            ended.await;
        }
        report
    }

    /// Runs, and records what is behind as soon as the source was compared: a crash does not lose
    /// since when.
    async fn run_recorded(
        &self,
        mirror: &Mirror,
        source: &Repository,
        unit: &OwnedUnit,
    ) -> MirrorReport {
        let scope = Scope::Source(source.clone());
        let (config, lease) = (&self.config, &unit.lease);
        let mut run = self.sync.run_one(config, mirror, &scope, lease).boxed();
        tokio::select! {
            report = &mut run => return report,
            () = unit.lease.compared() => {}
        }
        // A short run waits for it: a transaction that is dropped half-way costs a connection.
        let record = async {
            if let Some(tags) = self.behind(mirror, source).await {
                unit.record_lag(&tags).await;
            }
        };
        tokio::join!(run, record).0
    }

    /// What is behind one source repository, as far as it is known.
    async fn behind(&self, mirror: &Mirror, source: &Repository) -> Option<Vec<LaggingTag>> {
        self.writer.flush().await;
        let behind = self.store.behind_source(&mirror.name, source).await;
        let unread = |error: &_| tracing::warn!(%error, "what is behind is not known");
        let behind = behind.inspect_err(unread).ok()?;
        let now = now();
        Some(behind.into_iter().map(|tag| lagging(tag, now)).collect())
    }

    /// What a run did, for the report of whichever worker sends it.
    async fn body(&self, report: &MirrorReport) -> String {
        let Some(membership) = self.coordination.membership() else {
            return String::new();
        };
        let counts = &report.counts;
        let work = Work {
            runs: 1,
            failed_runs: u64::from(report.result != RunResult::Ok),
            copied_tags: counts.tags.copied,
            uploaded_bytes: counts.bytes.uploaded,
            saved_bytes: counts.bytes.saved,
            throttled: report.throttled,
        };
        // What changes in this second is of the next run.
        let until = now();
        let from = membership.take_changes_until(until);
        let note = RunNote::read(&self.store, work, from, until).await;
        let unread = |error: &_| tracing::warn!(%error, "reports of others lack this run");
        let text = note.inspect_err(unread).ok();
        let text = text.and_then(|note| serde_json::to_string(&note).ok());
        text.unwrap_or_default()
    }

    /// How a run went, without what is behind and what it did.
    fn end(
        &self,
        mirror: &Mirror,
        unit: &OwnedUnit,
        report: &MirrorReport,
        began: Instant,
    ) -> RunEnd {
        let is_compared = unit.lease.is_compared();
        let tags = &report.counts.tags;
        RunEnd {
            // One that was cut off is due at once, for whoever is there.
            due_in: match report.is_cut() {
                true => Duration::ZERO,
                false => self.due_in(mirror),
            },
            lagging: None,
            tags: tags.unchanged + tags.copied + tags.failed,
            failed: tags.failed,
            checked_ago: is_compared.then(|| began.elapsed()),
            took: began.elapsed(),
            result: report.result.as_str().into(),
            body: String::new(),
        }
    }

    /// Until the next run.
    fn due_in(&self, mirror: &Mirror) -> Duration {
        let now = Utc::now();
        let next = mirror.schedule.next_after(now, self.config.timezone);
        let wait = next.and_then(|next| (next - now).to_std().ok());
        let wait = match mirror.is_paused {
            true => None,
            false => wait,
        };
        wait.unwrap_or(NOT_DUE) + mirror.jitter.mul_f64(fastrand::f64())
    }
}

fn lagging(tag: BehindTag, now: i64) -> LaggingTag {
    let since = u64::try_from(now - tag.lagging_since).unwrap_or_default();
    let (target, name) = tag.reference.rsplit_once(':').unwrap_or_default();
    LaggingTag {
        target: target.into(),
        tag: name.into(),
        seen: String::new(),
        lagging_for: Duration::from_secs(since),
        class: tag.error_class,
        message: tag.error_message,
    }
}
