//! What the daemon keeps beside the tags: the day's sums, reports, alarms.

use sqlx::{SqliteConnection, query};

use crate::{
    oci::Repository,
    store::{
        ClusterChange, Error, LagChange, Mute, Store,
        change::ChangeKind,
        lifecycle::retention,
        queries::{mirror_summary::latest, view::unsigned},
    },
};

/// What the daemon writes down of its own.
#[derive(Clone, Debug)]
pub enum Upkeep {
    /// Runs that are unfinished were killed: nobody else runs mirrors now.
    Abandoned,
    /// A daily report was made.
    Reported {
        /// The day that it ends on, as in 2026-11-21.
        day: String,
        /// When.
        at: i64,
        /// JSON.
        body: String,
    },
    /// A mirror no longer goes from a source repository to a target repository: nothing lags there.
    Left {
        /// The mirror.
        mirror: String,
        /// The source repository.
        source: String,
        /// The target repository.
        target: Repository,
    },
    /// There is trouble that was not there before.
    Raised(AlarmRecord),
    /// Trouble is over: its topic and subject.
    Cleared(String, String),
    /// Alarms of a mirror or a registry are not sent for a time; the time of the note is `now`.
    Muted {
        /// Whose, and until when.
        mute: Mute,
        /// The time.
        now: i64,
    },
    /// The lag of a mirror changed other than by the passing of time.
    LagChanged(LagChange),
    /// The list of a cluster arrived, was judged, or is forgotten.
    Cluster(ClusterChange),
    /// History ends where nobody looks any more; the time is `now`.
    Thinned {
        /// The time.
        now: i64,
    },
}

/// Alarms that were sent and are not over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `alarms`")]
pub struct AlarmRecord {
    pub topic: String,
    pub subject: String,
    pub since: i64,
    pub message: String,
}

/// What all runs of a span of time did together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sums {
    pub runs: u64,
    pub ok: u64,
    pub copied: u64,
    pub failed: u64,
    pub downloaded_bytes: u64,
    pub uploaded_bytes: u64,
    pub saved_bytes: u64,
    pub throttled: u64,
}

impl Upkeep {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Abandoned => abandoned(db).await,
            Self::Reported { day, at, body } => reported(db, day, *at, body).await,
            Self::Left {
                mirror,
                source,
                target,
            } => left(db, mirror, source, target).await,
            Self::Raised(alarm) => raised(db, alarm).await,
            Self::Cleared(topic, subject) => cleared(db, topic, subject).await,
            Self::Muted { mute, now } => mute.write(db, *now).await,
            Self::LagChanged(change) => change.write(db).await,
            Self::Cluster(change) => change.write(db).await,
            Self::Thinned { now } => retention::thin(db, *now).await,
        }
    }
}

async fn abandoned(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query!("UPDATE runs SET result = 'interrupted' WHERE result IS NULL")
        .execute(db)
        .await?;
    Ok(())
}

async fn reported(
    db: &mut SqliteConnection,
    day: &str,
    at: i64,
    body: &str,
) -> Result<(), sqlx::Error> {
    query!(
        "INSERT OR REPLACE INTO reports (day, made_at, body) VALUES (?, ?, ?)",
        day,
        at,
        body
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn left(
    db: &mut SqliteConnection,
    mirror: &str,
    source: &str,
    target: &Repository,
) -> Result<(), sqlx::Error> {
    let (registry, path) = (target.registry().as_str(), target.path());
    query!(
        "UPDATE tags SET lagging_since = NULL, error_class = NULL, error_message = NULL
         WHERE mirror = ? AND source = ? AND lagging_since IS NOT NULL AND repository_id =
             (SELECT id FROM repositories WHERE registry = ? AND path = ?)",
        mirror,
        source,
        registry,
        path
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn raised(db: &mut SqliteConnection, alarm: &AlarmRecord) -> Result<(), sqlx::Error> {
    query!(
        "INSERT OR REPLACE INTO alarms (topic, subject, since, message) VALUES (?, ?, ?, ?)",
        alarm.topic,
        alarm.subject,
        alarm.since,
        alarm.message
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn cleared(db: &mut SqliteConnection, topic: &str, subject: &str) -> Result<(), sqlx::Error> {
    query!(
        "DELETE FROM alarms WHERE topic = ? AND subject = ?",
        topic,
        subject
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// What the runs did that ended in a span of time.
    pub async fn sums(&self, from: i64, to: i64) -> Result<Sums, Error> {
        let row = query!(
            r#"SELECT COUNT(*) AS "runs!: i64", SUM(result = 'ok') AS "ok: i64",
                      SUM(copied) AS "copied: i64", SUM(failed) AS "failed: i64",
                      CAST(TOTAL(downloaded_bytes) AS INTEGER) AS "downloaded: i64",
                      CAST(TOTAL(uploaded_bytes) AS INTEGER) AS "uploaded: i64",
                      CAST(TOTAL(saved_bytes) AS INTEGER) AS "saved: i64",
                      SUM(throttled) AS "throttled: i64"
               FROM runs WHERE finished_at >= ? AND finished_at < ?"#,
            from,
            to
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let sum = |sum: Option<i64>| unsigned(sum.unwrap_or_default());
        Ok(Sums {
            runs: unsigned(row.runs),
            ok: sum(row.ok),
            copied: sum(row.copied),
            failed: sum(row.failed),
            downloaded_bytes: sum(row.downloaded),
            uploaded_bytes: sum(row.uploaded),
            saved_bytes: sum(row.saved),
            throttled: sum(row.throttled),
        })
    }

    /// The newest daily report that ends before a day: when it was made, and its JSON. One that was
    /// made later than `now` is none.
    pub async fn report_before(&self, day: &str, now: i64) -> Result<Option<(i64, String)>, Error> {
        let latest = latest(now);
        let row = query!(
            "SELECT made_at, body FROM reports WHERE day < ? AND made_at <= ?
             ORDER BY made_at DESC LIMIT 1",
            day,
            latest
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        Ok(row.map(|row| (row.made_at, row.body)))
    }

    /// From where to where tags lag: mirror, source repository, target repository.
    pub async fn lagging(&self) -> Result<Vec<(String, Repository, Repository)>, Error> {
        let rows = query!(
            r#"SELECT DISTINCT mirror, source, registry || '/' || path AS "target!: String"
               FROM tags JOIN repositories ON repositories.id = repository_id
               WHERE lagging_since IS NOT NULL"#
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let parsed = rows.into_iter().filter_map(|row| {
            Some((
                row.mirror,
                row.source.parse().ok()?,
                row.target.parse().ok()?,
            ))
        });
        Ok(parsed.collect())
    }

    /// How many changes of each kind there were in a span of time.
    pub async fn change_counts(&self, from: i64, to: i64) -> Result<Vec<(ChangeKind, u64)>, Error> {
        let rows = query!(
            r#"SELECT kind AS "kind: ChangeKind", COUNT(*) AS "count!: i64" FROM changes
               WHERE at >= ? AND at < ? GROUP BY kind"#,
            from,
            to
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let counts = rows.into_iter().map(|row| (row.kind, unsigned(row.count)));
        Ok(counts.collect())
    }

    /// Alarms that were sent and are not over.
    pub async fn alarms(&self) -> Result<Vec<AlarmRecord>, Error> {
        sqlx::query_as!(
            AlarmRecord,
            "SELECT topic, subject, since, message FROM alarms ORDER BY since, topic, subject"
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }
}
