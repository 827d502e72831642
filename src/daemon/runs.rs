//! Runs of mirrors: when they start, when they are skipped, and what happens at their end.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use chrono::Utc;
use futures::FutureExt as _;

use crate::{
    config::{Config, Mirror, Schedule},
    coordination::Lease,
    daemon::{
        Tasks,
        event_loop::Event,
        scheduler::{Job, ScheduleEntry, Scheduler, missed_runs},
        services::{Services, find_mirror},
    },
    metrics::SyncLabel,
    notify::{Ending, Notifier},
    status::{MirrorStatus, RunState},
    store::RunResult,
    sync::{MirrorReport, Scope, Sync},
    web::{SyncReply, SyncRequest},
};

/// Most images that wait for their mirror; each is found by the mirror's next run, too.
const PULLED: usize = 1000;

/// The runs of all mirrors, and the schedule that starts them.
pub(crate) struct RunQueue {
    scheduler: Scheduler,
    /// Mirrors that run, or will once their jitter is over.
    pub(crate) running: HashMap<Arc<str>, Scope>,
    /// Those of them that started with a configuration that is no longer in force.
    outdated: HashSet<Arc<str>>,
    /// Mirrors that were due while a single image of them was copied.
    queued: HashSet<Arc<str>>,
    /// Images that clients pulled while their mirror ran: each is copied in its turn.
    pulled: VecDeque<(Arc<str>, Scope)>,
    /// Mirrors whose missed runs are made up for, and since when, in seconds since 1970.
    pub(crate) catching_up: HashMap<Arc<str>, i64>,
}

impl RunQueue {
    /// Nothing runs yet.
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            running: HashMap::new(),
            outdated: HashSet::new(),
            queued: HashSet::new(),
            pulled: VecDeque::new(),
            catching_up: HashMap::new(),
        }
    }

    /// Schedules every mirror that is not paused, and the daily report.
    pub(crate) async fn schedule(&mut self, config: &Config, services: &Services) {
        let zone = config.timezone;
        let is_started = |mirror: &&Mirror| !mirror.is_paused && services.schedules(mirror);
        let active = config.mirrors.iter().filter(is_started);
        let mirrors = active.map(|mirror| ScheduleEntry {
            job: Job::Mirror(mirror.name.clone()),
            schedule: mirror.schedule.clone(),
            zone,
        });
        let report = ScheduleEntry {
            job: Job::Report,
            schedule: Schedule::daily(config.report.at),
            zone,
        };
        let entries: Vec<ScheduleEntry> = mirrors.chain([report]).collect();
        if let Err(error) = self.scheduler.set(&entries).await {
            tracing::error!(%error, "the schedule could not be set");
        }
    }

    /// Starts a mirror that is due. One that still runs is skipped, and counted. One of which a
    /// single image is copied runs right after that.
    pub(crate) fn due(&mut self, name: &str, services: &Services, work: &mut Tasks) {
        let config = services.config();
        let mirror = find_mirror(&config, name).filter(|mirror| !mirror.is_paused);
        let Some(mirror) = mirror else {
            return;
        };
        if !self.start_or_queue(mirror, services, work) {
            tracing::warn!(
                mirror = name,
                "skipped a run: the last one is still running"
            );
            for target in mirror.target_registries() {
                services.metrics.sync(name, &target, SyncLabel::Skipped);
            }
        }
    }

    /// Answers a request for a run.
    pub(crate) fn request(&mut self, request: SyncRequest, services: &Services, work: &mut Tasks) {
        let answer = if find_mirror(&services.config(), &request.mirror).is_none() {
            SyncReply::Refused
        } else if self.running.contains_key(&request.mirror) {
            SyncReply::Running
        } else {
            self.start(
                &request.mirror,
                request.scope,
                Duration::ZERO,
                services,
                work,
            );
            SyncReply::Started
        };
        // The client may have gone away.
        let _ = request.reply.send(answer);
    }

    /// Copies an image that a client pulled, now or when its mirror is free.
    pub(crate) fn start_image(
        &mut self,
        mirror: &Arc<str>,
        image: Scope,
        services: &Services,
        work: &mut Tasks,
    ) {
        if !self.running.contains_key(mirror) {
            self.start(mirror, image, Duration::ZERO, services, work);
        } else if self.pulled.len() < PULLED
            && !self.pulled.iter().any(|(_, known)| *known == image)
        {
            self.pulled.push_back((mirror.clone(), image));
        }
    }

    /// Starts the runs that mirrors have missed, or never had.
    pub(crate) fn catch_up(
        &mut self,
        is_included: impl Fn(&Mirror) -> bool,
        services: &Services,
        work: &mut Tasks,
    ) {
        let config = services.config();
        let now = Utc::now();
        let is_started = |mirror: &&Mirror| is_included(mirror) && services.schedules(mirror);
        let mirrors = config.mirrors.iter().filter(is_started);
        for mirror in mirrors {
            let status = services
                .status
                .mirror(&config, &mirror.name, now.timestamp());
            let last = status.filter(is_complete);
            let last = last.and_then(|status| status.last_attempt);
            if missed_runs::is_missed(mirror, config.timezone, last, now) {
                self.catching_up
                    .insert(mirror.name.clone(), now.timestamp());
                self.start_or_queue(mirror, services, work);
            }
        }
    }

    /// Starts a mirror, or queues it behind the copy of a single image. Returns false if it runs.
    fn start_or_queue(&mut self, mirror: &Mirror, services: &Services, work: &mut Tasks) -> bool {
        match self.running.get(&mirror.name) {
            None => self.start(&mirror.name, Scope::Whole, mirror.jitter, services, work),
            Some(Scope::Image(..)) => {
                self.queued.insert(mirror.name.clone());
            }
            Some(Scope::Whole | Scope::Source(_)) => return false,
        }
        true
    }

    /// Starts a run after a part of its jitter.
    fn start(
        &mut self,
        name: &Arc<str>,
        scope: Scope,
        jitter: Duration,
        services: &Services,
        work: &mut Tasks,
    ) {
        self.running.insert(name.clone(), scope.clone());
        let (name, stop) = (name.clone(), services.stop.clone());
        let (active, sync) = (services.active.clone(), services.sync.clone());
        let lease = services.coordination.lease();
        let notifier = services.notifier.clone();
        let wait = jitter.mul_f64(fastrand::f64());
        work.spawn(async move {
            let waited = stop.run_until_cancelled(tokio::time::sleep(wait)).await;
            let config = active.load_full();
            let report = match (waited, find_mirror(&config, &name)) {
                (Some(()), Some(mirror)) => {
                    let run = run(&config, mirror, (&scope, &lease), &sync, &notifier);
                    // Whatever happens, the mirror is free again afterwards.
                    let ended = AssertUnwindSafe(run).catch_unwind().await;
                    ended
                        .inspect_err(|_| tracing::error!("a run panicked; this is a bug"))
                        .ok()
                }
                _ => None,
            };
            Event::Ran(name, report)
        });
    }

    /// A run has ended, or did not start.
    pub(crate) fn ended(
        &mut self,
        name: &Arc<str>,
        report: Option<MirrorReport>,
        services: &Services,
        work: &mut Tasks,
    ) {
        if self.running.remove(name) == Some(Scope::Whole) {
            self.catching_up.remove(name);
        }
        if let Some(report) = report {
            let tags = &report.counts.tags;
            let (result, seconds) = (report.result.as_str(), report.duration_seconds.round());
            tracing::info!(
                mirror = %name, result, seconds, copied = tags.copied, unchanged = tags.unchanged,
                failed = tags.failed, pruned = tags.pruned, "run ended"
            );
        }
        if self.queued.remove(name) && !services.stop.is_cancelled() {
            self.start(name, Scope::Whole, Duration::ZERO, services, work);
        }
        let next = self.pulled.iter().position(|(mirror, _)| mirror == name);
        if let Some(at) = next
            && !self.running.contains_key(name)
            && !services.stop.is_cancelled()
            && let Some((mirror, image)) = self.pulled.remove(at)
        {
            self.start(&mirror, image, Duration::ZERO, services, work);
        }
        if self.outdated.remove(name) {
            // It counted series that the configuration in force may not have.
            services.keep_series(&services.config());
        }
    }

    /// Another configuration is in force.
    pub(crate) fn outdate(&mut self) {
        self.outdated.extend(self.running.keys().cloned());
    }

    /// Stops the schedule.
    pub(crate) async fn shutdown(self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop");
        }
    }
}

/// Whether the last run started and was not cut off. One that was is made up for.
fn is_complete(status: &MirrorStatus) -> bool {
    let interrupted = RunState::Ended(RunResult::Interrupted);
    status.last_result.is_some_and(|last| last != interrupted)
}

/// Runs a mirror, and reports start and end to healthchecks. The copy of one image is no run.
async fn run(
    config: &Config,
    mirror: &Mirror,
    (scope, lease): (&Scope, &Lease),
    sync: &Sync,
    notifier: &Notifier,
) -> MirrorReport {
    if *scope != Scope::Whole {
        return sync.run_one(config, mirror, scope, lease).await;
    }
    // Healthchecks match start and end by this.
    let id = Utc::now().timestamp_micros();
    // A channel that hangs must not hold up the run.
    let started = notifier.run_started(&mirror.name, id);
    let running = sync.run_one(config, mirror, scope, lease);
    let (_, report) = tokio::join!(started, running);
    if !report.is_cut() {
        let (ending, text) = ending(&report);
        notifier.run_ended(&mirror.name, id, ending, &text).await;
        // The mirror still counts as running, so that no run writes what is being read.
        sync.verify_due(mirror).await;
    }
    report
}

/// How a run ended, and a text about it.
pub(crate) fn ending(report: &MirrorReport) -> (Ending, String) {
    let tags = &report.counts.tags;
    let mut text = format!(
        "{} copied, {} unchanged, {} failed, {} pruned",
        tags.copied, tags.unchanged, tags.failed, tags.pruned
    );
    for error in &report.errors {
        text.push_str(&format!("\n{}: {}", error.reference, error.message));
    }
    match report.result {
        RunResult::Ok => (Ending::Succeeded, text),
        RunResult::Partial | RunResult::Failed | RunResult::Interrupted => (Ending::Failed, text),
    }
}
