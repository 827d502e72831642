//! Runs of mirrors: when they start, when they are skipped, and what becomes of them.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::Utc;
use futures::FutureExt as _;

use super::Daemon;
use crate::{
    config::{Config, Mirror},
    daemon::{event_loop::Event, scheduler::missed_runs},
    notify::{Ending, Notifier},
    status::{MirrorStatus, RunState},
    store::RunResult,
    sync::{MirrorReport, Scope, Sync},
    web::{SyncReply, SyncRequest},
};

impl Daemon {
    /// A mirror is due. One that still runs is skipped, and counted; one of which a single image is
    /// under way runs as soon as that is done.
    pub(crate) fn tick(&mut self, name: &str) {
        let config = self.config.load_full();
        let Some(mirror) = mirror(&config, name).filter(|mirror| !mirror.is_paused) else {
            return;
        };
        match self.busy.get(name) {
            None => self.start(&mirror.name, Scope::Whole, mirror.jitter),
            Some(Scope::Image(..)) => {
                self.owed.insert(mirror.name.clone());
            }
            Some(Scope::Whole) => {
                tracing::warn!(mirror = name, "still runs, so that this run is skipped");
                for target in mirror.target_registries() {
                    self.metrics.sync(name, &target, "skipped");
                }
            }
        }
    }

    /// Somebody asks for a run.
    pub(crate) fn order(&mut self, order: SyncRequest) {
        let config = self.config.load_full();
        let answer = if mirror(&config, &order.mirror).is_none() {
            SyncReply::Refused
        } else if self.busy.contains_key(&order.mirror) {
            SyncReply::Running
        } else {
            self.start(&order.mirror, order.scope, Duration::ZERO);
            SyncReply::Started
        };
        // Who asked may have gone away.
        let _ = order.reply.send(answer);
    }

    /// Starts the runs that mirrors have missed, or never had.
    pub(crate) fn catch_up(&mut self, is_meant: impl Fn(&Mirror) -> bool) {
        let config = self.config.load_full();
        let now = Utc::now();
        for mirror in config.mirrors.iter().filter(|mirror| is_meant(mirror)) {
            let status = self.board.mirror(&config, &mirror.name, now.timestamp());
            // A run that was cut off is made up like one that never began.
            let is_whole = |status: &MirrorStatus| {
                let interrupted = RunState::Ended(RunResult::Interrupted);
                status.last_result.is_some_and(|last| last != interrupted)
            };
            let last = status.filter(is_whole);
            let last = last.and_then(|status| status.last_attempt);
            if !missed_runs::is_missed(mirror, config.timezone, last, now) {
                continue;
            }
            self.making_up.insert(mirror.name.clone(), now.timestamp());
            match self.busy.get(&mirror.name) {
                None => self.start(&mirror.name, Scope::Whole, mirror.jitter),
                Some(Scope::Image(..)) => {
                    self.owed.insert(mirror.name.clone());
                }
                Some(Scope::Whole) => {}
            }
        }
    }

    /// Starts a run after a part of its jitter.
    fn start(&mut self, name: &Arc<str>, scope: Scope, jitter: Duration) {
        self.busy.insert(name.clone(), scope.clone());
        let (name, stop) = (name.clone(), self.stop.clone());
        let (config, sync) = (self.config.clone(), self.sync.clone());
        let notifier = self.notifier.clone();
        let wait = jitter.mul_f64(fastrand::f64());
        self.work.spawn(async move {
            let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            let config = config.load_full();
            let report = match (waited, mirror(&config, &name)) {
                (Some(()), Some(mirror)) => {
                    let run = run(&config, mirror, &scope, &sync, &notifier);
                    // Whatever happens, the mirror is free again afterwards.
                    let ended = AssertUnwindSafe(run).catch_unwind().await;
                    ended
                        .inspect_err(|_| tracing::error!("a run failed; this is a bug"))
                        .ok()
                }
                _ => None,
            };
            Event::Ran(name, report)
        });
    }

    /// A run has ended, or did not begin.
    pub(crate) async fn ran(&mut self, name: &Arc<str>, report: Option<MirrorReport>) {
        if self.busy.remove(name) == Some(Scope::Whole) {
            self.making_up.remove(name);
        }
        if let Some(report) = report {
            let tags = &report.counts.tags;
            let (result, seconds) = (report.result.as_str(), report.duration_seconds.round());
            tracing::info!(
                mirror = %name, result, seconds, copied = tags.copied, unchanged = tags.unchanged,
                failed = tags.failed, "run ended"
            );
        }
        if self.owed.remove(name) && !self.stop.is_cancelled() {
            self.start(name, Scope::Whole, Duration::ZERO);
        }
        if self.outdated.remove(name) {
            // It counted for what may no longer be in the file.
            self.keep_series(&self.config.load());
        }
        self.recorder.flush().await;
        self.refresh(name).await;
        self.look().await;
    }
}

/// One run, and the telling of it to those who watch runs. A run of one image is no run of the mirror.
async fn run(
    config: &Config,
    mirror: &Mirror,
    scope: &Scope,
    sync: &Sync,
    notifier: &Notifier,
) -> MirrorReport {
    if *scope != Scope::Whole {
        return sync.run_one(config, mirror, scope).await;
    }
    // Whoever is told of runs tells them apart by this.
    let id = Utc::now().timestamp_micros();
    // A channel that hangs must not hold up the run.
    let started = notifier.run_started(&mirror.name, id);
    let (_, report) = tokio::join!(started, sync.run_one(config, mirror, scope));
    if !report.is_cut() {
        let (ending, text) = ending(&report);
        notifier.run_ended(&mirror.name, id, ending, &text).await;
        // The mirror is still busy, so that no run writes what is being read.
        sync.verify_due(mirror).await;
    }
    report
}

fn mirror<'a>(config: &'a Config, name: &str) -> Option<&'a Mirror> {
    config.mirrors.iter().find(|mirror| *mirror.name == *name)
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
        RunResult::Partial | RunResult::Failed | RunResult::Interrupted => (Ending::Failed, text),
    }
}
