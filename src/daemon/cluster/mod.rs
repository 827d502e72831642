//! The daemon as a worker of a cluster: it claims units that are due, runs them, and gives them back.

mod run;
mod suspects;

use std::{collections::HashSet, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Mirror, ON_DEMAND},
    coordination::{
        Coordination, DatabaseOutage, Membership, OwnedUnit,
        database::{ClusterStatus, ConfigVersion, MirrorStatus},
    },
    daemon::{
        Daemon, Error, Tasks,
        cluster::run::UnitContext,
        event_loop::Event,
        services::{Services, find_mirror, now},
    },
    metrics::WorkersSample,
    status::SharedStanding,
    sync::{MirrorReport, Scope},
    web::{SyncReply, SyncRequest},
};

/// Units that run at a time.
const UNITS: usize = 16;

/// The units that run here.
#[derive(Debug, Default)]
pub(crate) struct UnitRuns {
    running: usize,
    is_claiming: bool,
    is_settling_pulls: bool,
    /// Mirrors of which content is verified.
    verifying: HashSet<Arc<str>>,
}

/// Keeps the lease until the daemon has ended everything.
#[derive(Debug)]
pub(crate) struct LeaseKeeper {
    membership: Arc<Membership>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl LeaseKeeper {
    /// Registers, and keeps the lease. `None` on a machine that shares nothing.
    pub(crate) async fn start(coordination: &Coordination) -> Result<Option<Self>, Error> {
        let Some(membership) = coordination.membership() else {
            return Ok(None);
        };
        membership.begin().await?;
        let (membership, stop) = (membership.clone(), CancellationToken::new());
        let keeping = (membership.clone(), stop.clone());
        let task = tokio::spawn(async move { keeping.0.keep(keeping.1).await });
        Ok(Some(Self {
            membership,
            task,
            stop,
        }))
    }

    /// Gives everything back.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let _ = self.task.await;
        self.membership.leave().await;
    }
}

impl UnitRuns {
    /// Claims what is due, beside everything else, if there is room for it.
    pub(crate) fn poll(&mut self, services: &Services, work: &mut Tasks) {
        let Some(membership) = services.coordination.membership() else {
            return;
        };
        let room = u32::try_from(UNITS.saturating_sub(self.running)).unwrap_or_default();
        if self.is_claiming || room == 0 || services.stop.is_cancelled() {
            return;
        }
        self.is_claiming = true;
        let membership = membership.clone();
        work.spawn(async move {
            let claimed = membership.claim(room).await;
            Event::Claimed(claimed.unwrap_or_else(|error| {
                tracing::debug!(%error, "nothing is claimed");
                Vec::new()
            }))
        });
    }

    /// Reports pulls of shared quotas, and gives back those that nobody uses at the moment.
    pub(crate) fn settle_pulls(&mut self, services: &Services, work: &mut Tasks) {
        if services.coordination.membership().is_none() || self.is_settling_pulls {
            return;
        }
        self.is_settling_pulls = true;
        let sync = services.sync.clone();
        work.spawn(async move {
            sync.registries().settle_pulls().await;
            Event::PullsSettled
        });
    }

    /// Pulls were reported.
    pub(crate) fn pulls_settled(&mut self) {
        self.is_settling_pulls = false;
    }

    /// Runs units that were claimed.
    pub(crate) fn claimed(&mut self, units: Vec<OwnedUnit>, services: &Services, work: &mut Tasks) {
        self.is_claiming = false;
        for unit in units {
            if unit.is_takeover() {
                tracing::info!(unit = unit.key(), "taken over from a worker that is gone");
            }
            self.running += 1;
            work.spawn(UnitContext::new(services).run(unit));
        }
    }

    /// A unit was given back.
    pub(crate) fn ended(&mut self, mirror: &Arc<str>, services: &Services, work: &mut Tasks) {
        self.running = self.running.saturating_sub(1);
        let config = services.config();
        let mirror = find_mirror(&config, mirror);
        if let Some(mirror) = mirror.filter(|mirror| mirror.verify_blobs_every.is_some()) {
            self.verify(mirror, services, work);
        }
        self.poll(services, work);
    }

    /// Verifies what this worker wrote of a mirror and what is due, once at a time.
    fn verify(&mut self, mirror: &Mirror, services: &Services, work: &mut Tasks) {
        if services.stop.is_cancelled() || !self.verifying.insert(mirror.name.clone()) {
            return;
        }
        let (mirror, sync, stop) = (mirror.clone(), services.sync.clone(), services.stop.clone());
        work.spawn(async move {
            stop.run_until_cancelled(sync.verify_due(&mirror)).await;
            Event::Verified(mirror.name)
        });
    }

    /// A verification has ended.
    pub(crate) fn verified(&mut self, mirror: &Arc<str>) {
        self.verifying.remove(mirror);
    }
}

impl Services {
    /// Whether the schedule of this process starts a mirror. Workers share all but what clients of
    /// their own gateway pulled.
    pub(crate) fn schedules(&self, mirror: &Mirror) -> bool {
        self.coordination.membership().is_none() || *mirror.name == *ON_DEMAND
    }

    /// Shows how mirrors and workers stand.
    pub(crate) fn show_shared(&self) {
        let Some(membership) = self.coordination.membership() else {
            return;
        };
        let left = membership.lease_left().as_secs();
        let is_up = membership.outage(i64::MAX).is_none();
        self.metrics
            .lease(left.try_into().unwrap_or(i64::MAX), is_up);
        if let Some(status) = membership.status() {
            self.status.set_shared(SharedStanding::all(&status, now()));
            self.metrics.workers(workers_sample(&status));
        }
    }

    /// Why the database of the workers does not answer, if it has not for a while.
    pub(crate) fn outage(&self) -> Option<DatabaseOutage> {
        self.coordination.membership()?.outage(now())
    }

    /// Workers that ended without giving back what they had, and since when.
    pub(crate) fn gone_workers(&self) -> Vec<(Arc<str>, i64)> {
        let membership = self.coordination.membership();
        membership.map_or_else(Vec::new, |membership| membership.gone_workers(now()))
    }
}

impl Daemon {
    /// Answers a request for a run. A whole mirror is made due for all workers.
    pub(crate) fn requested(&mut self, request: SyncRequest) {
        let config = self.services.config();
        let mirror = find_mirror(&config, &request.mirror);
        let is_shared = mirror.is_some_and(|mirror| !self.services.schedules(mirror));
        let membership = self.services.coordination.membership();
        let membership = membership.filter(|_| is_shared && request.scope == Scope::Whole);
        let Some(membership) = membership.cloned() else {
            return self.runs.request(request, &self.services, &mut self.work);
        };
        let SyncRequest { mirror, reply, .. } = request;
        self.work.spawn(async move {
            let asked = membership.ask(&mirror).await;
            let answer = match asked {
                Ok(()) => SyncReply::Started,
                Err(error) => {
                    tracing::warn!(%error, %mirror, "the mirror was not made due");
                    SyncReply::Refused
                }
            };
            // The client may have gone away.
            let _ = reply.send(answer);
            Event::Asked
        });
    }

    /// Published mirrors are in force from now on.
    pub(crate) fn adopted(&mut self, published: Option<ConfigVersion>) {
        let membership = self.services.coordination.membership();
        if let Some((membership, version)) = membership.zip(published)
            && membership.adopted() != Some(version)
        {
            tracing::info!("the published mirrors of version {version} are in force");
            membership.adopt(version);
            self.units.poll(&self.services, &mut self.work);
        }
    }

    /// A unit has ended, and was given back.
    pub(crate) async fn unit_ran(&mut self, mirror: &Arc<str>, report: Option<MirrorReport>) {
        if let Some(report) = report {
            let tags = &report.counts.tags;
            let result = report.result.as_str();
            tracing::debug!(
                mirror = %mirror, result, copied = tags.copied, unchanged = tags.unchanged,
                failed = tags.failed, "unit ended"
            );
        }
        self.units.ended(mirror, &self.services, &mut self.work);
        self.services.refresh(mirror).await;
        self.services.status.clusters().outdate();
    }
}

fn workers_sample(status: &ClusterStatus) -> WorkersSample {
    let live = || {
        let workers = status.workers.iter();
        workers.filter(|worker| worker.is_live())
    };
    let units = |count: fn(&MirrorStatus) -> u64| status.mirrors.iter().map(count).sum::<u64>();
    let overdue = status
        .mirrors
        .iter()
        .filter_map(|mirror| mirror.overdue_since);
    let overdue = overdue
        .min()
        .map(|since| (status.now - since).num_seconds());
    WorkersSample {
        live: live().count(),
        draining: live().filter(|worker| worker.is_draining).count(),
        held: units(|mirror| mirror.held),
        due: units(|mirror| mirror.due),
        units: units(|mirror| mirror.units),
        overdue_seconds: overdue.unwrap_or_default().max(0),
    }
}

/// The mirrors of a worker's own file are what it may publish, and not what it runs.
pub(crate) fn without_own_mirrors(config: Config) -> Config {
    if config.cluster.is_none() {
        return config;
    }
    tracing::info!(
        "the mirrors are those that `transship cluster apply` published last, for all workers"
    );
    Config {
        mirrors: Vec::new(),
        ..config
    }
}
