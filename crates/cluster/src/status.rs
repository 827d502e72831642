//! What pages, metrics and the command line show of a cluster.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use crate::{
    Cluster, ConfigVersion, Error,
    database::values::{seconds, span, unsigned},
};

/// How long a worker is shown after its lease.
const SHOWN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A worker, and what it holds.
#[derive(Clone, Debug)]
pub struct WorkerStatus {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whose budgets and quotas it uses.
    pub egress: String,
    /// The version of its program.
    pub version: String,
    /// What it understands.
    pub level: i32,
    /// The configuration that it runs.
    pub config: Option<ConfigVersion>,
    /// When it registered.
    pub started_at: DateTime<Utc>,
    /// What is left of its lease. Zero: it is gone.
    pub lease_left: Duration,
    /// Whether it takes nothing more.
    pub is_draining: bool,
    /// How many units it holds.
    pub units_held: u64,
}

impl WorkerStatus {
    /// Whether its lease holds. Otherwise it is gone.
    pub fn is_live(&self) -> bool {
        !self.lease_left.is_zero()
    }
}

/// A mirror, summed up over its units.
#[derive(Clone, Debug)]
pub struct MirrorStatus {
    /// Its name.
    pub mirror: String,
    /// How many units it has.
    pub units: u64,
    /// How many of them run.
    pub held: u64,
    /// How many of them are due and do not run.
    pub due: u64,
    /// How many tags are selected.
    pub tags: u64,
    /// How many tags are behind.
    pub behind: u64,
    /// How many tags failed.
    pub failed: u64,
    /// Since when the oldest tag is behind.
    pub lagging_since: Option<DateTime<Utc>>,
    /// When everything was in sync last: the oldest of the units. `None` if one of them never was.
    pub last_in_sync: Option<DateTime<Utc>>,
    /// When everything was compared last: the oldest of the units. `None` if one of them never was.
    pub last_checked: Option<DateTime<Utc>>,
    /// Since when the oldest unit that does not run is due.
    pub overdue_since: Option<DateTime<Utc>>,
    /// The target registries where tags are behind.
    pub targets: Vec<TargetLag>,
}

/// What is behind of a mirror at a target registry.
#[derive(Clone, Debug)]
pub struct TargetLag {
    /// The registry.
    pub registry: String,
    /// How many tags are behind.
    pub behind: u64,
    /// For how many of them the last attempt failed.
    pub failed: u64,
    /// Since when the oldest of them is behind.
    pub since: DateTime<Utc>,
}

/// A cluster at one moment.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The newest configuration.
    pub newest_config: Option<ConfigVersion>,
    /// The workers that live, and those that ended in the last day.
    pub workers: Vec<WorkerStatus>,
    /// The mirrors.
    pub mirrors: Vec<MirrorStatus>,
}

impl ClusterStatus {
    /// The workers that live, and those that ended and that no other of their name replaced.
    pub fn present_workers(&self) -> impl Iterator<Item = &WorkerStatus> {
        let workers = self.workers.iter();
        workers.filter(|worker| worker.is_live() || !self.is_replaced(worker))
    }

    /// Whether another worker of the same name lives, or registered later. The first counts where the
    /// clock of the database was set back.
    fn is_replaced(&self, worker: &WorkerStatus) -> bool {
        let mut others = self.workers.iter();
        others.any(|other| {
            let is_later = other.started_at > worker.started_at;
            other.name == worker.name && (other.is_live() || is_later)
        })
    }
}

/// A unit that runs.
#[derive(Clone, Debug)]
pub struct HeldUnit {
    /// Its name.
    pub key: String,
    /// Its mirror.
    pub mirror: String,
    /// When it was claimed.
    pub since: DateTime<Utc>,
}

/// A unit that is due and does not run.
#[derive(Clone, Debug)]
pub struct OverdueUnit {
    /// Its name.
    pub key: String,
    /// Its mirror.
    pub mirror: String,
    /// Since when it is due.
    pub due_at: DateTime<Utc>,
    /// The name of the worker that ran it last.
    pub last_worker: Option<String>,
}

/// A number that workers add up over their runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSum {
    /// The name of the worker.
    pub worker: String,
    /// What is counted.
    pub name: String,
    /// How much of it.
    pub sum: u64,
}

/// A change that a run left for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunChange {
    /// The name of the worker.
    pub worker: String,
    /// The change, as JSON.
    pub text: String,
}

/// A run that ended.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// The name of the unit.
    pub unit: String,
    /// Its mirror.
    pub mirror: String,
    /// The name of the worker that ran it.
    pub worker: String,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// A word for how it went.
    pub result: String,
    /// What it did.
    pub body: String,
}

impl Cluster {
    /// The state of all workers and mirrors.
    pub async fn status(&self) -> Result<ClusterStatus, Error> {
        let query = query!(
            r#"SELECT transship.clock() AS "now!",
                 (SELECT max(version) FROM transship.configs) AS newest_config"#
        );
        let head = self.database.one("read the status", query).await?;
        Ok(ClusterStatus {
            now: head.now,
            newest_config: head.newest_config.map(ConfigVersion),
            workers: self.workers().await?,
            mirrors: self.mirrors().await?,
        })
    }

    async fn workers(&self) -> Result<Vec<WorkerStatus>, Error> {
        let query = query!(
            r#"SELECT w.id, w.name, w.egress, w.version, w.level, w.config, w.is_draining, w.started_at,
                 CASE WHEN transship.lives(w.lease_until)
                     THEN extract(epoch FROM w.lease_until - transship.clock())::float8
                     ELSE 0 END AS "lease_left!",
                 (SELECT count(*) FROM transship.units u WHERE u.worker = w.id) AS "units_held!"
             FROM transship.workers w
             WHERE w.lease_until > transship.clock() - make_interval(secs => $1)
             ORDER BY w.name, w.started_at"#,
            seconds(SHOWN_AFTER)
        );
        let rows = self.database.all("read the workers", query).await?;
        let workers = rows.into_iter().map(|row| WorkerStatus {
            id: row.id,
            name: row.name,
            egress: row.egress,
            version: row.version,
            level: row.level,
            config: row.config.map(ConfigVersion),
            started_at: row.started_at,
            lease_left: span(row.lease_left),
            is_draining: row.is_draining,
            units_held: unsigned(row.units_held),
        });
        Ok(workers.collect())
    }

    async fn mirrors(&self) -> Result<Vec<MirrorStatus>, Error> {
        let query = query!(
            r#"SELECT u.mirror, count(*) AS "units!", count(w.id) AS "held!",
                 count(*) FILTER (WHERE w.id IS NULL AND u.due_at <= transship.clock()) AS "due!",
                 coalesce(sum(u.tags), 0)::bigint AS "tags!",
                 coalesce(sum(u.behind), 0)::bigint AS "behind!",
                 coalesce(sum(u.failed), 0)::bigint AS "failed!",
                 min(u.lagging_since) AS lagging_since,
                 CASE WHEN count(u.last_in_sync) = count(*) THEN min(u.last_in_sync) END
                     AS last_in_sync,
                 CASE WHEN count(u.last_checked) = count(*) THEN min(u.last_checked) END
                     AS last_checked,
                 min(u.due_at) FILTER (WHERE w.id IS NULL AND u.due_at <= transship.clock())
                     AS overdue_since
             FROM transship.units u
             LEFT JOIN transship.workers w
                 ON w.id = u.worker AND transship.lives(w.lease_until)
             GROUP BY u.mirror ORDER BY u.mirror"#
        );
        let rows = self.database.all("read the mirrors", query).await?;
        let mut targets = self.targets().await?;
        let mirrors = rows.into_iter().map(|row| MirrorStatus {
            targets: targets.remove(&row.mirror).unwrap_or_default(),
            mirror: row.mirror,
            units: unsigned(row.units),
            held: unsigned(row.held),
            due: unsigned(row.due),
            tags: unsigned(row.tags),
            behind: unsigned(row.behind),
            failed: unsigned(row.failed),
            lagging_since: row.lagging_since,
            last_in_sync: row.last_in_sync,
            last_checked: row.last_checked,
            overdue_since: row.overdue_since,
        });
        Ok(mirrors.collect())
    }

    /// What is behind at target registries, by mirror.
    async fn targets(&self) -> Result<HashMap<String, Vec<TargetLag>>, Error> {
        let query = query!(
            r#"SELECT u.mirror, split_part(l.target, '/', 1) AS "registry!", count(*) AS "behind!",
                 count(l.class) AS "failed!", min(l.since) AS "since!"
             FROM transship.lagging l JOIN transship.units u ON u.id = l.unit
             GROUP BY 1, 2 ORDER BY 1, 2"#
        );
        let rows = self.database.all("read what is behind", query).await?;
        let mut targets: HashMap<String, Vec<TargetLag>> = HashMap::new();
        for row in rows {
            targets.entry(row.mirror).or_default().push(TargetLag {
                registry: row.registry,
                behind: unsigned(row.behind),
                failed: unsigned(row.failed),
                since: row.since,
            });
        }
        Ok(targets)
    }

    /// The units that a worker runs.
    pub async fn held(&self, worker: Uuid) -> Result<Vec<HeldUnit>, Error> {
        let query = query!(
            r#"SELECT key, mirror, claimed_at AS "claimed_at!" FROM transship.units
             WHERE worker = $1 ORDER BY claimed_at, key"#,
            worker
        );
        let rows = self.database.all("read what a worker holds", query).await?;
        let units = rows.into_iter().map(|row| HeldUnit {
            key: row.key,
            mirror: row.mirror,
            since: row.claimed_at,
        });
        Ok(units.collect())
    }

    /// The units that are due and do not run, those that are due longest first.
    pub async fn overdue(&self, most: u32) -> Result<Vec<OverdueUnit>, Error> {
        let query = query!(
            "SELECT u.key, u.mirror, u.due_at, u.last_worker FROM transship.units u
             WHERE u.due_at <= transship.clock() AND NOT EXISTS (
                 SELECT 1 FROM transship.workers w
                 WHERE w.id = u.worker AND transship.lives(w.lease_until))
             ORDER BY u.due_at, u.key LIMIT $1::bigint",
            i64::from(most)
        );
        let rows = self.database.all("read what is overdue", query).await?;
        let units = rows.into_iter().map(|row| OverdueUnit {
            key: row.key,
            mirror: row.mirror,
            due_at: row.due_at,
            last_worker: row.last_worker,
        });
        Ok(units.collect())
    }

    /// The numbers in `sums` of what runs of the last time did, added up for each worker.
    pub async fn sums_since(&self, since: Duration) -> Result<Vec<RunSum>, Error> {
        let query = query!(
            r#"SELECT r.worker, s.key AS "name!", sum(s.value::bigint)::bigint AS "sum!"
             FROM transship.runs r
             CROSS JOIN LATERAL jsonb_each_text(nullif(r.body, '')::jsonb -> 'sums') s
             WHERE r.ended_at >= transship.clock() - make_interval(secs => $1)
             GROUP BY 1, 2 ORDER BY 1, 2"#,
            seconds(since)
        );
        let rows = self.database.all("add up the runs", query).await?;
        let sums = rows.into_iter().map(|row| RunSum {
            worker: row.worker,
            name: row.name,
            sum: unsigned(row.sum),
        });
        Ok(sums.collect())
    }

    /// The entries of `changes` of what runs of the last time did, those of the last runs first.
    pub async fn changes_since(&self, since: Duration, most: u32) -> Result<Vec<RunChange>, Error> {
        let query = query!(
            r#"SELECT r.worker, c.value::text AS "text!"
             FROM transship.runs r
             CROSS JOIN LATERAL jsonb_array_elements(nullif(r.body, '')::jsonb -> 'changes') c
             WHERE r.ended_at >= transship.clock() - make_interval(secs => $1)
             ORDER BY r.ended_at DESC, r.id LIMIT $2::bigint"#,
            seconds(since),
            i64::from(most)
        );
        let rows = self.database.all("read the changes", query).await?;
        let changes = rows.into_iter().map(|row| RunChange {
            worker: row.worker,
            text: row.text,
        });
        Ok(changes.collect())
    }

    /// The runs of the last time, in the order in which they ended.
    pub async fn runs_since(&self, since: Duration) -> Result<Vec<RunRow>, Error> {
        let query = query!(
            "SELECT unit, mirror, worker, ended_at, took_ms, result, body FROM transship.runs
             WHERE ended_at >= transship.clock() - make_interval(secs => $1)
             ORDER BY ended_at, id",
            seconds(since)
        );
        let rows = self.database.all("read the runs", query).await?;
        let runs = rows.into_iter().map(|row| RunRow {
            unit: row.unit,
            mirror: row.mirror,
            worker: row.worker,
            ended_at: row.ended_at,
            took: Duration::from_millis(unsigned(row.took_ms)),
            result: row.result,
            body: row.body,
        });
        Ok(runs.collect())
    }
}
