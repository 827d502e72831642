//! Which images clusters use, by the last list that each of them sent.

use std::collections::BTreeSet;

use sqlx::{SqliteConnection, query};

use crate::store::{Error, Store};

/// An image that a cluster uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterImageRecord {
    /// As it is written there.
    pub image: String,
    /// A word for how sure it is.
    pub certainty: String,
    /// Where it was found.
    pub place: String,
    /// How many places there are.
    pub places: u64,
    /// The digests that run.
    pub running: BTreeSet<String>,
    /// When it was first found not to be mirrored, in seconds since 1970.
    pub missing_since: Option<i64>,
}

/// A cluster, and when its last list arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRecord {
    /// Its name.
    pub name: String,
    /// In seconds since 1970.
    pub received_at: i64,
}

/// What becomes of the list of a cluster.
#[derive(Clone, Debug)]
pub enum ClusterChange {
    /// A list arrived, and replaces the last one.
    Replaced(ClusterRecord, Vec<ClusterImageRecord>),
    /// An image of a cluster is not mirrored since a time, or is mirrored again.
    Missing {
        /// The cluster.
        cluster: String,
        /// The image.
        image: String,
        /// In seconds since 1970.
        since: Option<i64>,
    },
    /// The cluster is forgotten.
    Forgotten(String),
}

impl ClusterChange {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Replaced(cluster, images) => replace(db, cluster, images).await,
            Self::Missing {
                cluster,
                image,
                since,
            } => {
                query!(
                    "UPDATE cluster_images SET missing_since = ? WHERE cluster = ? AND image = ?",
                    since,
                    cluster,
                    image
                )
                .execute(db)
                .await?;
                Ok(())
            }
            Self::Forgotten(cluster) => {
                query!("DELETE FROM cluster_images WHERE cluster = ?", cluster)
                    .execute(&mut *db)
                    .await?;
                query!("DELETE FROM clusters WHERE name = ?", cluster)
                    .execute(db)
                    .await?;
                Ok(())
            }
        }
    }
}

/// Images that stay keep the time since when they are missing.
async fn replace(
    db: &mut SqliteConnection,
    cluster: &ClusterRecord,
    images: &[ClusterImageRecord],
) -> Result<(), sqlx::Error> {
    let name = &cluster.name;
    query!(
        "INSERT INTO clusters (name, received_at) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET received_at = excluded.received_at",
        name,
        cluster.received_at
    )
    .execute(&mut *db)
    .await?;
    query!(
        "UPDATE cluster_images SET is_listed = 0 WHERE cluster = ?",
        name
    )
    .execute(&mut *db)
    .await?;
    for image in images {
        let places = i64::try_from(image.places).unwrap_or(i64::MAX);
        let running: Vec<&str> = image.running.iter().map(String::as_str).collect();
        let running = running.join(" ");
        query!(
            "INSERT INTO cluster_images
                 (cluster, image, certainty, place, places, running, is_listed, missing_since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)
             ON CONFLICT (cluster, image) DO UPDATE SET
                 certainty = excluded.certainty,
                 place = excluded.place,
                 places = excluded.places,
                 running = excluded.running,
                 is_listed = 1",
            name,
            image.image,
            image.certainty,
            image.place,
            places,
            running,
            image.missing_since
        )
        .execute(&mut *db)
        .await?;
    }
    query!(
        "DELETE FROM cluster_images WHERE cluster = ? AND NOT is_listed",
        name
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Store {
    /// The clusters that sent a list, by name.
    pub async fn clusters(&self) -> Result<Vec<ClusterRecord>, Error> {
        sqlx::query_as!(
            ClusterRecord,
            "SELECT name, received_at FROM clusters ORDER BY name"
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }

    /// The images of the last list of a cluster.
    pub async fn cluster_images(&self, cluster: &str) -> Result<Vec<ClusterImageRecord>, Error> {
        let rows = query!(
            "SELECT image, certainty, place, places, running, missing_since
             FROM cluster_images WHERE cluster = ? ORDER BY image",
            cluster
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| ClusterImageRecord {
                image: row.image,
                certainty: row.certainty,
                place: row.place,
                places: row.places.try_into().unwrap_or(0),
                running: row.running.split_whitespace().map(Into::into).collect(),
                missing_since: row.missing_since,
            })
            .collect())
    }
}
