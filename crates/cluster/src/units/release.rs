//! What a run found of a unit: the tags that are behind, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{query, query_file};

use crate::{
    Claim, Error, Worker,
    database::values::{seconds, signed},
};

/// A tag that is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaggingTag {
    /// The target repository.
    pub target: String,
    /// The tag.
    pub tag: String,
    /// The digest at the source.
    pub seen: String,
    /// For how long. It counts only for a tag that was not behind before: what the cluster knows of
    /// since when it is behind stays.
    pub lagging_for: Duration,
    /// The class of the error of the last attempt, if it failed.
    pub class: Option<String>,
    /// The error itself.
    pub message: Option<String>,
}

/// A tag that is behind, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaggingRecord {
    /// The target repository.
    pub target: String,
    /// The tag.
    pub tag: String,
    /// The digest at the source.
    pub seen: String,
    /// The first check that saw it behind.
    pub since: DateTime<Utc>,
    /// The class of the error of the last attempt, if it failed.
    pub class: Option<String>,
    /// The error itself.
    pub message: Option<String>,
}

/// What a run leaves behind when it releases its unit.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// When the next run is due, from now.
    pub due_in: Duration,
    /// All tags that are behind. `None` where not everything was compared: the list stays as it is.
    pub lagging: Option<Vec<LaggingTag>>,
    /// How many tags the unit selects.
    pub tags: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How long ago the check began that compared everything. `None` where it failed.
    pub checked_ago: Option<Duration>,
    /// How long the run took.
    pub took: Duration,
    /// A word for how it went.
    pub result: String,
    /// What it did, for reports: empty, or JSON. See [`crate::Cluster::sums_since`] and
    /// [`crate::Cluster::changes_since`].
    pub body: String,
}

impl RunEnd {
    /// The end of a run that compared nothing and did nothing.
    pub fn unchecked(due_in: Duration) -> Self {
        Self {
            due_in,
            lagging: None,
            tags: 0,
            failed: 0,
            checked_ago: None,
            took: Duration::ZERO,
            result: String::new(),
            body: String::new(),
        }
    }
}

/// Tags that are behind, column by column, as one statement takes them.
#[derive(Debug, Default)]
struct LaggingRows {
    targets: Vec<String>,
    tags: Vec<String>,
    seen: Vec<String>,
    lagging_for: Vec<f64>,
    /// Empty for none.
    classes: Vec<String>,
    messages: Vec<String>,
}

impl LaggingRows {
    fn new(tags: &[LaggingTag]) -> Self {
        let mut rows = Self::default();
        for tag in tags {
            rows.targets.push(tag.target.clone());
            rows.tags.push(tag.tag.clone());
            rows.seen.push(tag.seen.clone());
            rows.lagging_for.push(seconds(tag.lagging_for));
            rows.classes.push(tag.class.clone().unwrap_or_default());
            rows.messages.push(tag.message.clone().unwrap_or_default());
        }
        rows
    }
}

/// When what lags is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The run goes on.
    Middle,
    /// It has ended.
    End,
}

impl Worker {
    /// Gives a unit back, with what its run found.
    pub async fn release(&self, claim: &Claim, end: &RunEnd) -> Result<(), Error> {
        let released = self.write_lag(claim, end, Moment::End).await;
        // If it failed, the unit is claimed again, and the run is repeated.
        let mut running = self.running();
        if running.get(&claim.unit) == Some(&claim.fence) {
            running.remove(&claim.unit);
        }
        drop(running);
        released
    }

    /// Writes down what is behind while the run goes on: all of it, as soon as both sides were
    /// compared.
    pub async fn record_lag(&self, claim: &Claim, lagging: &[LaggingTag]) -> Result<(), Error> {
        let end = RunEnd {
            lagging: Some(lagging.to_vec()),
            ..RunEnd::unchecked(Duration::ZERO)
        };
        self.write_lag(claim, &end, Moment::Middle).await
    }

    /// One statement for both: a release is one query.
    async fn write_lag(&self, claim: &Claim, end: &RunEnd, moment: Moment) -> Result<(), Error> {
        let rows = LaggingRows::new(end.lagging.as_deref().unwrap_or_default());
        let query = query_file!(
            "queries/release.sql",
            claim.unit.0,
            self.id,
            claim.fence,
            &rows.targets[..],
            &rows.tags[..],
            &rows.seen[..],
            &rows.lagging_for[..],
            &rows.classes[..],
            &rows.messages[..],
            end.lagging.is_some(),
            self.name(),
            i64::try_from(end.took.as_millis()).unwrap_or(i64::MAX),
            end.result,
            end.body,
            moment == Moment::End,
            seconds(end.due_in),
            signed(end.tags),
            signed(end.failed),
            end.checked_ago.map(seconds)
        );
        let operation = match moment {
            Moment::Middle => "write what lags",
            Moment::End => "release a unit",
        };
        let written = self.database().execute(operation, query).await?;
        claim.fenced(written > 0)
    }

    /// The tags of a unit that are behind. Read them after a claim with [`Claim::was_other`], where
    /// [`Claim::behind`] is not 0.
    pub async fn lagging(&self, claim: &Claim) -> Result<Vec<LaggingRecord>, Error> {
        let query = query!(
            "SELECT target, tag, seen, since, class, message FROM transship.lagging
             WHERE unit = $1 ORDER BY since, target, tag",
            claim.unit.0
        );
        let rows = self.cluster.database.all("read what lags", query).await?;
        let records = rows.into_iter().map(|row| LaggingRecord {
            target: row.target,
            tag: row.tag,
            seen: row.seen,
            since: row.since,
            class: row.class,
            message: row.message,
        });
        Ok(records.collect())
    }
}
