//! Content of targets that may be wrong, until it was read again and found right.

use sqlx::query;

use crate::{BlobKey, Claim, Error, SharedBlobs};

impl SharedBlobs {
    /// Records that content may be wrong. Any worker may, without a claim: doubt is the safe side.
    pub async fn suspect(&self, content: &BlobKey) -> Result<(), Error> {
        let query = query!(
            "INSERT INTO transship.suspects (registry, repository, digest, found_at)
             VALUES ($1, $2, $3, transship.clock()) ON CONFLICT DO NOTHING",
            content.registry,
            content.repository,
            content.digest
        );
        let recorded = self
            .worker
            .database()
            .execute("record a doubt", query)
            .await;
        recorded.map(|_| ())
    }

    /// Records that content was read again and is right.
    pub async fn clear_suspect(&self, claim: &Claim, content: &BlobKey) -> Result<(), Error> {
        let query = query!(
            r#"WITH owned AS (
                 SELECT id FROM transship.units
                 WHERE id = $1 AND worker = $2 AND fence = $3 FOR SHARE
             ), cleared AS (
                 DELETE FROM transship.suspects s USING owned
                 WHERE s.registry = $4 AND s.repository = $5 AND s.digest = $6
             )
             SELECT EXISTS (SELECT 1 FROM owned) AS "is_owned!""#,
            claim.unit.0,
            self.worker.id,
            claim.fence,
            content.registry,
            content.repository,
            content.digest
        );
        let row = self.worker.database().one("end a doubt", query).await?;
        claim.fenced(row.is_owned)
    }

    /// All content that may be wrong.
    pub async fn suspects(&self) -> Result<Vec<BlobKey>, Error> {
        let query = query!(
            "SELECT registry, repository, digest FROM transship.suspects
             ORDER BY registry, repository, digest"
        );
        let rows = self.worker.database().all("read the doubts", query).await?;
        let keys = rows.into_iter().map(|row| BlobKey {
            registry: row.registry,
            repository: row.repository,
            digest: row.digest,
        });
        Ok(keys.collect())
    }
}
