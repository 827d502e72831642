//! This process among the workers of a cluster: it registers, renews its lease, and reads what all share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Notify, OnceCell, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use transship_cluster::{
    Cluster, ClusterStatus, ConfigVersion, Error, NoticeKey, RENEW_EVERY, RunChange, RunSum,
    Settings, Worker, WorkerInfo,
};

use crate::{
    config::WorkerConfig,
    coordination::{
        DATABASE_RETRY, Lease, LeaseClock, OwnedUnit, suspects::SuspectLog, traffic::TrafficGrants,
    },
};

/// What this version understands of units and of published configurations.
pub const LEVEL: i32 = 1;
/// How long the worker may take to give everything back at its end.
const LEAVE: Duration = Duration::from_secs(5);
/// Readings between two sweeps: an hour.
const SWEEP: u64 = 240;
/// How long the runs of all workers are kept.
const KEEP_RUNS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Seconds after which a worker that does not return is gone.
const GONE: i64 = 60;
/// Seconds without the database that are an outage: two renewals.
const OUTAGE: i64 = 30;

/// This process among the workers of a cluster.
#[derive(Debug)]
pub struct Membership {
    settings: WorkerConfig,
    clock: Arc<LeaseClock>,
    cluster: OnceCell<Cluster>,
    registration: ArcSwapOption<Registration>,
    state: Mutex<MembershipState>,
    grants: Mutex<TrafficGrants>,
    suspects: Mutex<SuspectLog>,
    /// Since when changes were not left to the others.
    changes_from: AtomicI64,
    renewed: Notify,
    /// Signals that a newer configuration was read.
    published: mpsc::Sender<()>,
}

/// One registration. A worker that lost its lease registers again, as another.
#[derive(Debug)]
struct Registration {
    worker: Worker,
    /// Cancelled once the lease is lost: all that was claimed is.
    revoked: CancellationToken,
}

#[derive(Debug, Default)]
struct MembershipState {
    failure: Option<DatabaseOutage>,
    newest: Option<ConfigVersion>,
    published: Option<PublishedConfig>,
    /// The version that is in force here.
    adopted: Option<ConfigVersion>,
    status: Option<Arc<ClusterStatus>>,
    /// Workers that ended and were not drained before, and when that was first seen.
    gone: BTreeMap<Arc<str>, i64>,
}

/// Mirrors that were published for all workers.
#[derive(Clone, Debug)]
pub struct PublishedConfig {
    /// Which one.
    pub version: ConfigVersion,
    /// Their text.
    pub text: Arc<str>,
}

/// Why the database does not answer, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseOutage {
    /// In seconds since 1970.
    pub since: i64,
    /// The last error.
    pub error: String,
}

impl Membership {
    /// A worker that did not register yet. `published` gets a message when a newer configuration was
    /// read.
    pub fn new(settings: WorkerConfig, published: mpsc::Sender<()>) -> Self {
        Self {
            settings,
            clock: Arc::new(LeaseClock::new(Duration::ZERO)),
            cluster: OnceCell::new(),
            registration: ArcSwapOption::empty(),
            state: Mutex::default(),
            grants: Mutex::default(),
            suspects: Mutex::default(),
            changes_from: AtomicI64::new(Utc::now().timestamp()),
            renewed: Notify::new(),
            published,
        }
    }

    /// The table `[cluster]` of this worker.
    pub fn settings(&self) -> &WorkerConfig {
        &self.settings
    }

    /// Registers. Fails only if trying again is of no use.
    pub async fn begin(&self) -> Result<(), Error> {
        let begun = self.renew().await;
        self.note(&begun);
        match begun {
            Err(error) if !error.is_transient() => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the lease, and reads what is shared, until `stop` is cancelled.
    pub async fn keep(&self, stop: CancellationToken) {
        let both = async { tokio::join!(self.keep_lease(), self.keep_reading()) };
        stop.run_until_cancelled(both).await;
    }

    async fn keep_lease(&self) {
        loop {
            let began = Instant::now();
            let renewed = self.renew().await;
            let next = match renewed {
                Ok(()) => RENEW_EVERY,
                Err(_) => DATABASE_RETRY,
            };
            self.note(&renewed);
            sleep(next.saturating_sub(began.elapsed())).await;
        }
    }

    async fn keep_reading(&self) {
        for reading in 0_u64.. {
            self.renewed.notified().await;
            let read = self.read(reading.is_multiple_of(SWEEP)).await;
            if let Err(error) = read {
                tracing::debug!(%error, "what the workers share was not read");
            }
        }
    }

    /// Gives everything back.
    pub async fn leave(&self) {
        let leaving = async {
            self.return_traffic().await?;
            match self.registration.swap(None) {
                Some(registration) => {
                    registration.revoked.cancel();
                    registration.worker.leave().await
                }
                None => Ok(()),
            }
        };
        if !matches!(timeout(LEAVE, leaving).await, Ok(Ok(()))) {
            tracing::warn!("the other workers take over when the lease of this one ends");
        }
    }

    /// Renews the lease, or registers where there is none.
    async fn renew(&self) -> Result<(), Error> {
        let registration = match self.registration.load_full() {
            Some(registration) => registration,
            None => self.register().await?,
        };
        match registration.worker.renew().await {
            Ok(renewal) => {
                self.clock.set(registration.worker.lease_left());
                self.lock().newest = renewal.newest_config;
                self.renewed.notify_one();
                Ok(())
            }
            Err(error @ Error::LeaseLost { .. }) => {
                tracing::warn!("the lease was lost: others may run what this worker had claimed");
                registration.revoked.cancel();
                self.registration.store(None);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn register(&self) -> Result<Arc<Registration>, Error> {
        let settings = Settings::new(self.settings.database.clone());
        let open = || Cluster::open(&settings);
        let cluster = self.cluster.get_or_try_init(open).await?;
        let names = |registries: &[crate::oci::RegistryName]| {
            registries.iter().map(ToString::to_string).collect()
        };
        let info = WorkerInfo {
            name: self.settings.name.clone(),
            egress: self.settings.egress.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            level: LEVEL,
            sources: names(&self.settings.sources),
            targets: names(&self.settings.targets),
        };
        let worker = cluster.register(info).await?;
        if let Some(version) = self.lock().adopted {
            worker.set_config(version);
        }
        let (name, server) = (&self.settings.name, cluster.server());
        tracing::info!("registered as worker {name} at {server}");
        let registration = Arc::new(Registration {
            worker,
            revoked: CancellationToken::new(),
        });
        self.registration.store(Some(registration.clone()));
        Ok(registration)
    }

    /// Reads the newest configuration, where it is newer, and how everything stands.
    async fn read(&self, is_sweep: bool) -> Result<(), Error> {
        let Some(cluster) = self.cluster.get() else {
            return Ok(());
        };
        let (newest, known) = {
            let state = self.lock();
            let known = state.published.as_ref().map(|known| known.version);
            (state.newest, known)
        };
        if newest.is_some()
            && newest != known
            && let Some(record) = cluster.newest_config(LEVEL).await?
        {
            self.lock().published = Some(PublishedConfig {
                version: record.version,
                text: record.body.into(),
            });
            // One waiting message is enough.
            let _ = self.published.try_send(());
        }
        let status = cluster.status().await?;
        {
            let mut state = self.lock();
            state.gone = gone(&status, &state.gone);
            state.status = Some(Arc::new(status));
        }
        if is_sweep {
            cluster.sweep(KEEP_RUNS).await?;
        }
        Ok(())
    }

    /// Takes note of whether the database answered.
    fn note(&self, result: &Result<(), Error>) {
        let mut state = self.lock();
        match result {
            // Another lease is to be had at once.
            Ok(()) | Err(Error::LeaseLost { .. }) => {
                if state.failure.take().is_some() {
                    tracing::info!("the database of the workers answers again");
                }
            }
            Err(error) => {
                if state.failure.is_none() {
                    tracing::warn!(%error, "the database of the workers does not answer");
                }
                let since = state.failure.take().map(|failure| failure.since);
                state.failure = Some(DatabaseOutage {
                    since: since.unwrap_or_else(|| Utc::now().timestamp()),
                    error: error.to_string(),
                });
            }
        }
    }

    /// The configuration that was published last and that this version understands.
    pub fn published(&self) -> Option<PublishedConfig> {
        self.lock().published.clone()
    }

    /// A configuration is in force from now on.
    pub fn adopt(&self, version: ConfigVersion) {
        self.lock().adopted = Some(version);
        if let Some(registration) = self.registration.load_full() {
            registration.worker.set_config(version);
        }
    }

    /// The version that is in force.
    pub fn adopted(&self) -> Option<ConfigVersion> {
        self.lock().adopted
    }

    /// How everything stood at the last reading.
    pub fn status(&self) -> Option<Arc<ClusterStatus>> {
        self.lock().status.clone()
    }

    /// Why the database does not answer, if it has not for a while.
    pub fn outage(&self, now: i64) -> Option<DatabaseOutage> {
        let failure = self.lock().failure.clone();
        failure.filter(|failure| now - failure.since >= OUTAGE)
    }

    /// How long the lease lasts if nothing renews it.
    pub fn lease_left(&self) -> Duration {
        self.clock.left()
    }

    /// The right to write for work that nobody claims.
    pub fn lease(&self) -> Lease {
        let registration = self.registration.load();
        let revoked = registration.as_ref().map(|r| r.revoked.clone());
        Lease::limited(self.clock.clone(), revoked.unwrap_or_default())
    }

    /// Claims units that are due, at most so many.
    pub async fn claim(&self, most: u32) -> Result<Vec<OwnedUnit>, Error> {
        let Some(registration) = self.registration.load_full() else {
            return Ok(Vec::new());
        };
        if self.adopted().is_none() {
            return Ok(Vec::new());
        }
        let claims = registration.worker.claim(most).await?.into_iter();
        let owned = claims.map(|claim| {
            let revoked = registration.revoked.child_token();
            OwnedUnit::new(&registration.worker, claim, self.clock.clone(), revoked)
        });
        Ok(owned.collect())
    }

    /// Makes all units of a mirror due.
    pub async fn ask(&self, mirror: &str) -> Result<(), Error> {
        if let Some(cluster) = self.cluster.get() {
            cluster.ask(Some(mirror)).await?;
        }
        Ok(())
    }

    /// Whether this worker is the first to announce something. Without the database each worker does:
    /// better twice than never.
    pub async fn announces(&self, what: &str) -> bool {
        self.sends(&notice(what)).await
    }

    /// Whether this worker is the one to send the report of a day.
    pub async fn sends_report(&self, day: &str) -> bool {
        let key = NoticeKey {
            kind: "report".into(),
            key: day.into(),
        };
        self.sends(&key).await
    }

    async fn sends(&self, key: &NoticeKey) -> bool {
        let Some(registration) = self.registration.load_full() else {
            return true;
        };
        let notices = registration.worker.notices();
        let is_first = notices.begin(key).await.unwrap_or(true);
        if is_first && let Err(error) = notices.sent(key).await {
            tracing::debug!(%error, what = key.key, "another worker may announce it again");
        }
        is_first
    }

    /// What the runs of all workers did in the last time: sums, and changes, so many at the most.
    pub async fn work_since(
        &self,
        since: Duration,
        most: u32,
    ) -> Result<(Vec<RunSum>, Vec<RunChange>), Error> {
        let Some(cluster) = self.cluster.get() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let sums = cluster.sums_since(since).await?;
        Ok((sums, cluster.changes_since(since, most).await?))
    }

    /// Since when what changed here was not left to the other workers. From now on it is.
    pub fn take_changes_until(&self, now: i64) -> i64 {
        self.changes_from.swap(now, Ordering::Relaxed)
    }

    /// Whether this worker is the first to announce that it is over.
    pub async fn announces_end(&self, what: &str) -> bool {
        let Some(registration) = self.registration.load_full() else {
            return true;
        };
        let notices = registration.worker.notices();
        notices.clear(&notice(what)).await.unwrap_or(true)
    }

    /// Workers whose lease ended and that no worker of the same name replaced, and since when.
    pub fn gone_workers(&self, now: i64) -> Vec<(Arc<str>, i64)> {
        let state = self.lock();
        let gone = state.gone.iter().filter(|(_, since)| now - **since >= GONE);
        gone.map(|(name, since)| (name.clone(), *since)).collect()
    }

    /// This process as it is registered now.
    pub(crate) fn worker(&self) -> Option<Worker> {
        let registration = self.registration.load();
        registration.as_ref().map(|known| known.worker.clone())
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, TrafficGrants> {
        self.grants.lock()
    }

    pub(crate) fn suspects(&self) -> MutexGuard<'_, SuspectLog> {
        self.suspects.lock()
    }

    fn lock(&self) -> MutexGuard<'_, MembershipState> {
        self.state.lock()
    }
}

/// The workers that ended undrained and were not replaced, each with when that was first seen.
fn gone(status: &ClusterStatus, known: &BTreeMap<Arc<str>, i64>) -> BTreeMap<Arc<str>, i64> {
    let now = Utc::now().timestamp();
    let workers = status.present_workers();
    workers
        .filter(|worker| !worker.is_live() && !worker.is_draining)
        .map(|worker| {
            let name: Arc<str> = worker.name.as_str().into();
            let since = known.get(&name).copied().unwrap_or(now);
            (name, since)
        })
        .collect()
}

/// The key of an alarm that one worker announces.
fn notice(what: &str) -> NoticeKey {
    NoticeKey {
        kind: "alarm".into(),
        key: what.into(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
