//! A process that takes units, and the lease under which it holds them.

pub(crate) mod lease;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use sqlx::query;
use uuid::Uuid;

use crate::{
    Cluster, ConfigVersion, Error, Notices, SharedBlobs, SharedLimits, UnitId,
    database::{Database, values::seconds},
    worker::lease::{LEASE, Lease, RENEWABLE_UNTIL},
};

/// No configuration: real ones begin with 1.
const NO_CONFIG: i64 = 0;

/// What a worker is.
#[derive(Clone, Debug)]
pub struct WorkerInfo {
    /// Its name. Two workers of one name are two workers, which share the preference for what ran
    /// under that name.
    pub name: String,
    /// Whose budgets and quotas it uses.
    pub egress: String,
    /// The version of the program, to be shown.
    pub version: String,
    /// What the program understands. It takes no unit and no configuration of a higher level.
    pub level: i32,
    /// The registries that it can read from. Empty for all.
    pub sources: Vec<String>,
    /// The registries that it can write to. Empty for all.
    pub targets: Vec<String>,
}

impl WorkerInfo {
    /// A worker that reaches every registry, by an egress of its own name.
    pub fn new(name: &str, level: i32) -> Self {
        Self {
            name: name.into(),
            egress: name.into(),
            version: String::new(),
            level,
            sources: Vec::new(),
            targets: Vec::new(),
        }
    }
}

/// What a renewal brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Whether the worker is to end what it runs and take nothing more.
    pub is_draining: bool,
    /// The newest configuration that the worker understands.
    pub newest_config: Option<ConfigVersion>,
}

/// A registered worker. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) cluster: Cluster,
    pub(crate) id: Uuid,
    registration: Arc<Registration>,
}

#[derive(Debug)]
struct Registration {
    info: WorkerInfo,
    lease: Mutex<Lease>,
    config: AtomicI64,
    /// The units that were claimed and not released, with their fences.
    running: Mutex<HashMap<UnitId, i64>>,
}

impl Cluster {
    /// Registers a worker with a new id. Its lease begins.
    pub async fn register(&self, info: WorkerInfo) -> Result<Worker, Error> {
        let id = Uuid::new_v4();
        let lease = Lease::ask();
        let query = query!(
            "INSERT INTO transship.workers
                 (id, name, egress, version, level, sources, targets, started_at, lease_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, transship.clock(),
                 transship.clock() + make_interval(secs => $8))",
            id,
            info.name,
            info.egress,
            info.version,
            info.level,
            &info.sources[..],
            &info.targets[..],
            seconds(LEASE)
        );
        self.renewals.execute("register a worker", query).await?;
        let registration = Registration {
            info,
            lease: Mutex::new(lease),
            config: AtomicI64::new(NO_CONFIG),
            running: Mutex::default(),
        };
        Ok(Worker {
            cluster: self.clone(),
            id,
            registration: Arc::new(registration),
        })
    }
}

impl Worker {
    pub(crate) fn database(&self) -> &Database {
        &self.cluster.database
    }

    /// The units that were claimed and not released, with their fences.
    pub(crate) fn running(&self) -> MutexGuard<'_, HashMap<UnitId, i64>> {
        self.registration.running.lock()
    }

    /// Its id, new at every registration.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.registration.info.name
    }

    /// Whose budgets and quotas it uses.
    pub fn egress(&self) -> &str {
        &self.registration.info.egress
    }

    /// The database that it shares with the others.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Uploads, large blobs and suspect content.
    pub fn blobs(&self) -> SharedBlobs {
        SharedBlobs::new(self.clone())
    }

    /// Budgets and quotas.
    pub fn limits(&self) -> SharedLimits {
        SharedLimits::new(self.clone())
    }

    /// Reports and alarms.
    pub fn notices(&self) -> Notices {
        Notices::new(self.clone())
    }

    /// What is surely left of the lease. Zero once it is over: everything that this worker holds
    /// may be another's. Counted from before the last renewal was sent, without the database.
    pub fn lease_left(&self) -> Duration {
        self.registration.lease.lock().left()
    }

    /// The configuration that this worker runs.
    pub fn config(&self) -> Option<ConfigVersion> {
        let version = self.registration.config.load(Ordering::Relaxed);
        (version != NO_CONFIG).then_some(ConfigVersion(version))
    }

    /// Sets the configuration that this worker runs. It claims no unit of a newer one. The next
    /// renewal shows it to the others.
    pub fn set_config(&self, version: ConfigVersion) {
        self.registration.config.store(version.0, Ordering::Relaxed);
    }

    /// Prolongs the lease. Call it every [`crate::RENEW_EVERY`].
    ///
    /// [`Error::LeaseLost`] is final: stop all runs, and register again.
    pub async fn renew(&self) -> Result<Renewal, Error> {
        let lease = Lease::ask();
        let config = self.config().map(|version| version.0);
        let query = query!(
            r#"UPDATE transship.workers w
             SET lease_until = transship.clock() + make_interval(secs => $2), config = $3
             WHERE w.id = $1 AND transship.lives(w.lease_until)
               AND w.lease_until > transship.clock() + make_interval(secs => $4)
             RETURNING w.is_draining,
                 (SELECT max(c.version) FROM transship.configs c WHERE c.level <= w.level)
                     AS newest_config"#,
            self.id,
            seconds(LEASE),
            config,
            seconds(RENEWABLE_UNTIL)
        );
        let renewed = self
            .cluster
            .renewals
            .optional("renew the lease", query)
            .await?;
        let Some(renewed) = renewed else {
            let name = self.name().to_owned();
            return Err(Error::LeaseLost { name });
        };
        *self.registration.lease.lock() = lease;
        Ok(Renewal {
            is_draining: renewed.is_draining,
            newest_config: renewed.newest_config.map(ConfigVersion),
        })
    }

    /// Gives everything back at once: the units that it still holds are due, its lease is over.
    pub async fn leave(&self) -> Result<(), Error> {
        let query = query!(
            "WITH freed AS (
                 UPDATE transship.units
                 SET worker = NULL, due_at = least(due_at, transship.clock())
                 WHERE worker = $1
             ), drawn AS (
                 DELETE FROM transship.quota_draws WHERE worker = $1
             )
             UPDATE transship.workers SET lease_until = least(lease_until, transship.clock())
             WHERE id = $1",
            self.id
        );
        let left = self.cluster.renewals.execute("leave", query).await;
        left.map(|_| ())
    }
}
