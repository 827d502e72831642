//! How a mirror stands: at each target registry, and by its last runs.

use sqlx::{query, query_as};

use crate::store::{Error, RunResult, Store, locks::process, queries::view::unsigned};

/// How much later than now, in seconds, a time may be. One that is later yet was noted by a clock that
/// was ahead: it says nothing, until then.
const AHEAD: i64 = 60;

/// One mirror, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// At each target registry that holds tags of it, by name.
    pub targets: Vec<TargetStanding>,
    /// The last runs of the whole mirror, newest first; the first may be under way.
    pub runs: Vec<RunRecord>,
    /// The start of the last run in which all of the source could be compared.
    pub last_checked: Option<i64>,
    /// The end of the last run that left everything equal, as the clock said then: it may be yet to come.
    pub last_success: Option<i64>,
}

/// One mirror at one target registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetStanding {
    /// The target registry.
    pub registry: String,
    /// Tags kept, those behind and those orphaned included.
    pub tags: u64,
    /// Tags that differ from the source.
    pub behind: u64,
    /// Those of them whose last attempt failed.
    pub failed: u64,
    /// Tags that the source no longer has.
    pub orphaned: u64,
    /// Tags that verification found damaged and that a run can write again.
    pub damaged: u64,
    /// Since when the longest of those behind differs.
    pub lagging_since: Option<i64>,
    /// The start of the last run that left everything equal there.
    pub last_in_sync: Option<i64>,
    /// The end of that run.
    pub last_success: Option<i64>,
    /// Runs in succession that left something failed there.
    pub failures: u64,
}

/// A run of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `runs`")]
pub struct RunRecord {
    pub id: i64,
    pub mirror: String,
    pub image: Option<String>,
    pub started_at: i64,
    pub finished_at: Option<i64>,
    pub result: Option<RunResult>,
    pub unchanged: i64,
    pub copied: i64,
    pub failed: i64,
    pub uploaded_bytes: i64,
    pub saved_bytes: i64,
    pub error_class: Option<String>,
    pub error_message: Option<String>,
    pub error_reference: Option<String>,
    pub error_registry: Option<String>,
    pub process: Option<String>,
}

impl RunRecord {
    /// Whether it is running: it has not ended, and the process that began it lives.
    pub fn is_under_way(&self) -> bool {
        self.result.is_none() && self.process.as_deref().is_some_and(process::lives)
    }
}

/// The last look of a mirror at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLook {
    /// When the run began, in seconds since 1970.
    pub started_at: i64,
    /// Whether all of the source was compared.
    pub is_checked: bool,
    /// The run's first error.
    pub error: Option<String>,
    /// The source repository or tag that it is about.
    pub error_reference: Option<String>,
    /// The mark of what the run selected. None if an earlier version ran it, which kept none.
    pub selection: Option<String>,
}

impl Store {
    /// The last run of a whole mirror that has compared all of the source, or ended.
    pub async fn last_look(&self, mirror: &str) -> Result<Option<LastLook>, Error> {
        query_as!(
            LastLook,
            r#"SELECT started_at, is_checked AS "is_checked: bool", error_message AS error,
                      error_reference, selection
               FROM runs WHERE mirror = ? AND image IS NULL AND (is_checked OR result IS NOT NULL)
               ORDER BY id DESC LIMIT 1"#,
            mirror
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }

    /// How a mirror stands at `now`, with its last `runs` runs. Runs are in the order in which they
    /// began, whatever the clock said.
    pub async fn standing(&self, mirror: &str, runs: i64, now: i64) -> Result<Standing, Error> {
        let latest = latest(now);
        let last = query!(
            r#"SELECT MAX(started_at) FILTER (WHERE is_checked AND started_at <= ?2)
                          AS "checked: i64",
                      (SELECT finished_at FROM runs
                       WHERE mirror = ?1 AND image IS NULL AND result = 'ok'
                       ORDER BY id DESC LIMIT 1) AS "success: i64"
               FROM runs WHERE mirror = ?1 AND image IS NULL"#,
            mirror,
            latest
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(Standing {
            targets: self.targets(mirror, latest).await?,
            runs: self.runs(Some(mirror), runs).await?,
            last_checked: last.checked,
            last_success: last.success,
        })
    }

    async fn targets(&self, mirror: &str, latest: i64) -> Result<Vec<TargetStanding>, Error> {
        let rows = query!(
            r#"WITH ended AS (
                   SELECT id, registry, started_at, finished_at, run_targets.failed FROM runs
                   JOIN run_targets ON run_id = id
                   WHERE mirror = ?1 AND image IS NULL AND result <> 'interrupted'
               ), proved AS (
                   SELECT registry, MAX(id) AS id, MAX(started_at) FILTER (WHERE started_at <= ?2) AS started_at,
                          MAX(finished_at) FILTER (WHERE finished_at <= ?2) AS finished_at
                   FROM ended WHERE failed = 0 GROUP BY registry
               ), kept AS (
                   SELECT registry, COUNT(*) AS tags, COUNT(lagging_since) AS behind,
                          SUM(lagging_since IS NOT NULL AND error_class IS NOT NULL) AS failed,
                          SUM(is_orphaned) AS orphaned,
                          SUM(damaged_at IS NOT NULL AND NOT is_orphaned AND NOT is_released)
                              AS damaged,
                          MIN(lagging_since) AS lagging_since
                   FROM tags JOIN repositories ON repositories.id = repository_id
                   WHERE mirror = ?1 GROUP BY registry
               )
               SELECT names.registry AS "registry!", kept.tags AS "tags: i64",
                      kept.behind AS "behind: i64", kept.failed AS "failed: i64",
                      kept.orphaned AS "orphaned: i64", kept.damaged AS "damaged: i64",
                      kept.lagging_since AS "lagging_since: i64",
                      proved.started_at AS "last_in_sync: i64", proved.finished_at AS "last_success: i64",
                      (SELECT COUNT(*) FROM ended
                       WHERE ended.registry = names.registry AND ended.failed > 0
                         AND ended.id > COALESCE(proved.id, 0))
                          AS "failures!: i64"
               FROM (SELECT registry FROM kept UNION SELECT registry FROM ended) AS names
               LEFT JOIN kept ON kept.registry = names.registry
               LEFT JOIN proved ON proved.registry = names.registry
               ORDER BY names.registry"#,
            mirror,
            latest
        )
        .fetch_all(&self.readers);
        let rows = rows.await.map_err(|e| self.read_error(e))?.into_iter();
        Ok(rows
            .map(|row| TargetStanding {
                registry: row.registry,
                tags: count(row.tags),
                behind: count(row.behind),
                failed: count(row.failed),
                orphaned: count(row.orphaned),
                damaged: count(row.damaged),
                lagging_since: row.lagging_since,
                last_in_sync: row.last_in_sync,
                last_success: row.last_success,
                failures: unsigned(row.failures),
            })
            .collect())
    }

    /// The last runs of a mirror as a whole, or all of the last runs; newest first.
    pub async fn runs(&self, mirror: Option<&str>, limit: i64) -> Result<Vec<RunRecord>, Error> {
        let found = match mirror {
            Some(mirror) => {
                sqlx::query_as!(
                    RunRecord,
                    r#"SELECT id, mirror, image, started_at, finished_at,
                              result AS "result: RunResult", unchanged, copied, failed,
                              uploaded_bytes, saved_bytes, error_class, error_message, error_reference,
                              error_registry, process
                       FROM runs WHERE mirror = ? AND image IS NULL
                       ORDER BY id DESC LIMIT ?"#,
                    mirror,
                    limit
                )
                .fetch_all(&self.readers)
                .await
            }
            None => {
                sqlx::query_as!(
                    RunRecord,
                    r#"SELECT id, mirror, image, started_at, finished_at,
                              result AS "result: RunResult", unchanged, copied, failed,
                              uploaded_bytes, saved_bytes, error_class, error_message, error_reference,
                              error_registry, process
                       FROM runs ORDER BY id DESC LIMIT ?"#,
                    limit
                )
                .fetch_all(&self.readers)
                .await
            }
        };
        found.map_err(|e| self.read_error(e))
    }
}

/// The latest time, in seconds since 1970, that something can have been noted at by a clock that is right.
pub(crate) fn latest(now: i64) -> i64 {
    now.saturating_add(AHEAD)
}

fn count(count: Option<i64>) -> u64 {
    unsigned(count.unwrap_or_default())
}
