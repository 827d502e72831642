//! The pipeline: what is selected, what both sides hold, what is to be done, doing it, and saying
//! what became of it.

pub(crate) mod copy;
pub(crate) mod discover;
mod error;
pub(crate) mod failure_log;
pub(crate) mod index_walker;
mod lag;
pub(crate) mod mirror_limiter;
mod outcome;
pub(crate) mod plan;
pub(crate) mod prune;
mod record;
pub(crate) mod route_group;
mod scope;
mod snapshot;
mod steps;
pub(crate) mod traffic_budget;
mod verify;

use std::{sync::Arc, time::Instant};

use chrono::Utc;
use futures::{StreamExt as _, future::join_all, stream};
use tokio_util::sync::CancellationToken;

pub use crate::sync::copy::{Activity, Moving, Transfer};
pub use crate::sync::discover::{Discovered, Refused, WithDemand, with_demand};
pub use crate::sync::plan::action::{Action, Reason, Unchanged};
pub use crate::sync::plan::select::{
    Clock, Dropped, OrderedBy, OrderedTag, Selected, allows, select, undated,
};
pub use crate::sync::plan::{BlobKnowledge, Plan, Step, TargetPlan, referrers::ReferrerPlan};
pub use crate::sync::prune::decide::{Cause, Decision, Leave, Prunable, Pruned};
pub use crate::sync::prune::run::{Apply, MirrorPruning, PrunedTag, TargetPruning};
pub use crate::sync::scope::Scope;
pub use crate::sync::traffic_budget::Usage;
pub use error::Error;
pub use lag::Lag;
pub use outcome::{
    BlobCounts, ByteCounts, Counts, Failure, MirrorReport, ReferrerCounts, RequestCounts,
    RunReport, TagCounts, Totals,
};
pub use verify::{Fault, Finding, MirrorVerification, Reach};

use self::{outcome::Progress, record::Record, snapshot::View};
use crate::{
    config::{Config, Mirror, Route},
    coordination::{Coordination, Lease},
    metrics::Metrics,
    oci::Repository,
    registry::{Registries, Registry, RequestCounter},
    store::{self, Store, StoreEvent, StoreWriter},
    sync::{
        copy::{CopyContext, RunCounters, Sharing},
        discover::{Catalogs, RecentCatalogs},
        mirror_limiter::Queues,
        route_group::RouteGroup,
        snapshot::source_comparison::SourceComparison,
        traffic_budget::Budget,
    },
};

/// Mirrors of one source registry that run at a time, and routes of one mirror.
const MIRRORS: usize = 16;
const ROUTES: usize = 16;

/// Everything that runs need, and share. Each call has its own config: one that is
/// read again holds for the runs that start then.
#[derive(Debug)]
pub struct Sync {
    registries: Registries,
    store: Store,
    recorder: Arc<StoreWriter>,
    metrics: Arc<Metrics>,
    transfer: Transfer,
    /// Who may run a mirror.
    queues: Queues,
    recent: RecentCatalogs,
    stop: CancellationToken,
    abort: CancellationToken,
}

/// The registries of one group of routes.
#[derive(Debug)]
pub(crate) struct Sides {
    source: Registry,
    targets: Vec<Registry>,
}

/// How much of a group of routes is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// One image: nothing is released or pruned.
    Image,
    /// Everything.
    Whole,
}

/// One run of one mirror.
#[derive(Debug)]
struct Run<'a> {
    config: &'a Config,
    mirror: &'a Mirror,
    lease: &'a Lease,
    tally: &'a RunCounters,
    depth: Depth,
    check: SourceComparison<'a>,
}

/// The plans of one mirror.
#[derive(Debug)]
pub struct MirrorPlan {
    /// The mirror.
    pub name: Arc<str>,
    /// A plan for each route, or why there is none.
    pub routes: Vec<Result<Plan, Refused>>,
}

impl Sync {
    /// Nothing is contacted yet. When `stop` is cancelled, nothing more is begun. Transfers in flight
    /// continue until `abort` is cancelled too. What runs did not get to fails.
    pub fn new(
        registries: Registries,
        store: Store,
        recorder: Arc<StoreWriter>,
        metrics: Arc<Metrics>,
        coordination: Arc<Coordination>,
        [stop, abort]: [CancellationToken; 2],
    ) -> Self {
        let budget = Budget::new(
            registries.traffic().clone(),
            store.clone(),
            recorder.clone(),
            metrics.clone(),
            coordination,
        );
        let transfer = Transfer::new(
            store.clone(),
            recorder.clone(),
            metrics.clone(),
            budget,
            stop.clone(),
        );
        Self {
            registries,
            store,
            recorder,
            metrics,
            transfer,
            queues: Queues::default(),
            recent: RecentCatalogs::default(),
            stop,
            abort,
        }
    }

    /// What is moving now.
    pub fn activity(&self) -> &Activity {
        self.transfer.activity()
    }

    /// The registries, which take a config that was read again.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// The budget of traffic, which runs and pulls share.
    pub(crate) fn budget(&self) -> &Budget {
        self.transfer.budget()
    }

    /// How much of the budget of traffic is used; `None` where there is none.
    pub async fn usage(&self, config: &Config) -> Result<Option<Usage>, store::Error> {
        self.budget().usage(config).await
    }

    /// What a sync would do.
    pub async fn plan(&self, config: &Config, mirrors: &[&Mirror]) -> Vec<MirrorPlan> {
        let catalogs = Catalogs::default();
        let plans = stream::iter(mirrors).map(async |mirror| {
            let prune = self.prune_rule(config, mirror).await;
            let tally = RunCounters::default();
            let routes = self.routes(config, mirror, &catalogs, &tally.source).await;
            let (groups, refused) = RouteGroup::all(config, mirror, routes, prune);
            let looked = stream::iter(0..groups.len());
            let looked = looked.map(|at| self.plan_group(&groups[at], &tally));
            let looked: Vec<Result<Plan, Refused>> = looked.buffered(ROUTES).collect().await;
            let mut routes: Vec<_> = refused.into_iter().map(Err).collect();
            for plan in looked {
                match plan {
                    Ok(mut plan) => {
                        let refused = std::mem::take(&mut plan.refused);
                        routes.push(Ok(plan));
                        routes.extend(refused.into_iter().map(Err));
                    }
                    Err(refused) => routes.push(Err(refused)),
                }
            }
            MirrorPlan {
                name: mirror.name.clone(),
                routes,
            }
        });
        plans.buffered(MIRRORS).collect().await
    }

    async fn plan_group(
        &self,
        group: &RouteGroup<'_>,
        tally: &RunCounters,
    ) -> Result<Plan, Refused> {
        let looked = async {
            let sides = self.open(group, tally)?;
            let mut plan = self.look(group, &sides, Depth::Whole).await?;
            let count = plan::referrers::count(&sides.source, &group.source, group.mirror, &plan);
            plan.referrers = count.await;
            Ok::<_, Error>(plan)
        };
        let source = group.source.to_string();
        looked.await.map_err(|error| Refused { source, error })
    }

    /// Runs mirrors, all together, and says what became of them.
    pub async fn run(&self, config: &Config, mirrors: &[&Mirror]) -> RunReport {
        let started = Instant::now();
        let begun = Utc::now().with_timezone(&config.timezone).to_rfc3339();
        let (catalogs, lease) = (Catalogs::default(), Lease::unlimited());
        let runs = mirrors
            .iter()
            .map(|mirror| self.run_mirror(config, mirror, (&Scope::Whole, &lease), &catalogs));
        let reports = join_all(runs).await;
        RunReport::new(begun, reports, started.elapsed())
    }

    /// Runs one mirror, or a part of it, as long as the lease holds.
    pub async fn run_one(
        &self,
        config: &Config,
        mirror: &Mirror,
        scope: &Scope,
        lease: &Lease,
    ) -> MirrorReport {
        self.run_mirror(config, mirror, (scope, lease), &Catalogs::default())
            .await
    }

    async fn run_mirror(
        &self,
        config: &Config,
        mirror: &Mirror,
        (scope, lease): (&Scope, &Lease),
        catalogs: &Catalogs,
    ) -> MirrorReport {
        let _turn = self.queues.turn(mirror).await;
        let started = Instant::now();
        let id = record::run_begun(&self.recorder, mirror, scope).await;
        let tally = RunCounters::default();
        let routes = self.routes_in(config, mirror, scope, (catalogs, &tally.source));
        let routes = routes.await;
        let (depth, prune) = match scope {
            Scope::Whole | Scope::Source(_) => {
                (Depth::Whole, self.prune_rule(config, mirror).await)
            }
            Scope::Image(..) => (Depth::Image, None),
        };
        let (groups, refused) = RouteGroup::all(config, mirror, routes, prune);
        let run = Run {
            config,
            mirror,
            lease,
            tally: &tally,
            depth,
            check: SourceComparison::new((&self.recorder, id), lease, groups.len() + refused.len()),
        };
        if *scope == Scope::Whole && refused.is_empty() {
            self.detach(mirror, &groups).await;
        }
        let mut progress = Progress::default();
        for refused in &refused {
            let failed = self.refused(&run, refused).await;
            progress = progress.add(failed.nowhere());
        }
        let runs = stream::iter(0..groups.len()).map(|at| self.run_group(&run, &groups[at]));
        let runs = runs.buffer_unordered(ROUTES);
        let mut progress = runs
            .fold(progress, |sum, part| async { sum.add(part) })
            .await;
        if progress.nowhere > 0 {
            // What is not known fails everywhere.
            for registry in mirror.target_registries() {
                progress.targets.entry(registry).or_default();
            }
        }
        if depth == Depth::Whole {
            self.order_seen(mirror).await;
        }
        self.budget().write(config).await;
        tally.failure_log.end(&mirror.name);
        let report = MirrorReport::new(&mirror.name, progress, &tally, started.elapsed());
        if depth == Depth::Whole && !report.is_cut() {
            record::run_counted(&self.metrics, &report);
        }
        if let Some(id) = id {
            let now = Utc::now().timestamp();
            record::run_ended(&self.recorder, &report, id, now).await;
        }
        report
    }

    /// The routes that a run is about, or that it was stopped before they were known.
    async fn routes_in(
        &self,
        config: &Config,
        mirror: &Mirror,
        scope: &Scope,
        (catalogs, meter): (&Catalogs, &Arc<RequestCounter>),
    ) -> Vec<Result<Route, Refused>> {
        let routes = async {
            match scope {
                Scope::Source(source) => self.routes_of(config, mirror, source, meter).await,
                _ => self.routes(config, mirror, catalogs, meter).await,
            }
        };
        let routes = self.stop.run_until_cancelled(routes).await;
        scope.narrow(routes.unwrap_or_else(|| {
            let (source, error) = (mirror.name.to_string(), self.stopped());
            vec![Err(Refused { source, error })]
        }))
    }

    /// What cannot be looked at fails.
    async fn refused(&self, run: &Run<'_>, refused: &Refused) -> Progress {
        let (failure_log, name) = (&run.tally.failure_log, &run.mirror.name);
        let Refused { source, error } = refused;
        let failed = record::route_failed(&self.metrics, failure_log, name, source, error);
        run.check.looked(failed.unchecked == 0).await;
        failed
    }

    /// Ends what the store keeps for the mirror in repositories to which it no longer writes.
    async fn detach(&self, mirror: &Mirror, groups: &[RouteGroup<'_>]) {
        // A store that cannot be read fails every route.
        let kept = self.store.kept_repositories(&mirror.name).await;
        let is_written = |repository: &Repository| {
            let mut groups = groups.iter();
            groups.any(|group| group.targets.contains(repository))
        };
        for repository in kept.unwrap_or_default() {
            if !is_written(&repository) {
                let mirror = mirror.name.clone();
                let fact = StoreEvent::Detached { mirror, repository };
                self.recorder.record(fact).await;
            }
        }
    }

    async fn run_group(&self, run: &Run<'_>, group: &RouteGroup<'_>) -> Progress {
        let looked = async {
            let sides = self.open(group, run.tally)?;
            Ok((self.look(group, &sides, run.depth).await?, sides))
        };
        let looked = self.stop.run_until_cancelled(Box::pin(looked)).await;
        let registries = || group.targets.iter().map(Repository::registry);
        match looked.unwrap_or_else(|| Err(self.stopped())) {
            Ok((mut plan, sides)) => {
                let mut progress = Progress::default();
                let refused = std::mem::take(&mut plan.refused);
                run.check.expect(refused.len());
                for refused in &refused {
                    let failed = self.refused(run, refused).await;
                    progress = progress.add(failed.at(registries()));
                }
                let lanes = Self::lanes(run, group, &plan, &sides);
                progress.add(self.run_plan(run, &plan, &lanes).await)
            }
            Err(error) => {
                let source = group.source.to_string();
                let failed = self.refused(run, &Refused { source, error }).await;
                failed.at(registries())
            }
        }
    }

    fn open(&self, group: &RouteGroup<'_>, tally: &RunCounters) -> Result<Sides, Error> {
        let open = |repository: &Repository, meter: &Arc<RequestCounter>| {
            self.registries.open(repository.registry(), meter.clone())
        };
        let targets = group.targets.iter();
        let targets = targets.map(|target| open(target, &tally.target));
        let targets = targets.collect::<Result<_, _>>()?;
        Ok(Sides {
            source: open(&group.source, &tally.source)?,
            targets,
        })
    }

    /// Snapshot and plan of one group.
    async fn look(
        &self,
        group: &RouteGroup<'_>,
        sides: &Sides,
        depth: Depth,
    ) -> Result<Plan, Error> {
        let view = View {
            group,
            sides,
            store: &self.store,
            recorder: &self.recorder,
            now: Utc::now().timestamp(),
            is_whole: depth != Depth::Image,
        };
        let snapshot = snapshot::take(&view).await?;
        let mut plan = plan::make(group, snapshot);
        plan.memory.is_planned();
        self.confirm(&mut plan, sides).await;
        Ok(plan)
    }

    /// Where each target of a plan gets its images from.
    fn lanes<'a>(
        run: &Run<'a>,
        group: &'a RouteGroup<'a>,
        plan: &'a Plan,
        sides: &'a Sides,
    ) -> Vec<CopyContext<'a>> {
        let targets = plan.targets.iter().zip(&sides.targets);
        let lanes = targets.map(|(target, registry)| CopyContext {
            source: &sides.source,
            from: &plan.source,
            target: registry,
            to: &target.repository,
            config: run.config,
            mirror: run.mirror,
            lease: run.lease,
            group,
            listing: plan.listing.as_deref(),
            fanout: None,
            image: None,
            tag: None,
            turn: None,
            tally: run.tally,
        });
        lanes.collect()
    }

    /// Performs a plan: at each target by the context of the same place.
    async fn run_plan(&self, run: &Run<'_>, plan: &Plan, lanes: &[CopyContext<'_>]) -> Progress {
        let targets = || plan.targets.iter().zip(lanes);
        for (target, lane) in targets() {
            let record = Record::new(&self.recorder, &self.metrics, *lane);
            record.seen(target).await;
        }
        run.check.looked(plan.is_whole()).await;
        let sharing = self.transfer.share(plan);
        let fanout = sharing.as_ref().map(Sharing::fanout);
        let runs = targets().map(|(target, lane)| {
            let lane = CopyContext { fanout, ..*lane };
            self.run_target(lane, target)
        });
        let mut progress = Progress::default();
        progress.tags.absent = plan.absent.len() as u64;
        let parts = join_all(runs).await.into_iter();
        parts.fold(progress, Progress::add)
    }
}
