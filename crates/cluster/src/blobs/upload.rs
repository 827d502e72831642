//! Upload sessions that any worker can continue.

use sqlx::query;

use crate::{
    BlobKey, Claim, Error, SharedBlobs,
    database::values::{signed, unsigned},
};

/// Where an upload goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRecord {
    /// The URL of the session.
    pub location: String,
    /// Bytes that the registry acknowledged.
    pub offset: u64,
    /// The state of the hash over those bytes.
    pub hash_state: Vec<u8>,
    /// The encoding of that state. A worker continues only what has the encoding that it knows.
    pub hash_kind: String,
    /// Whether the registry reports the next byte, if that is known.
    pub names_next_byte: Option<bool>,
}

impl SharedBlobs {
    /// Saves how far an upload is.
    pub async fn save_upload(
        &self,
        claim: &Claim,
        blob: &BlobKey,
        upload: &UploadRecord,
    ) -> Result<(), Error> {
        let query = query!(
            "INSERT INTO transship.uploads
                 (registry, repository, digest, unit, fence, location, acknowledged, hash_state,
                  hash_kind, names_next_byte, saved_at)
             SELECT $4::text, $5::text, $6::text, u.id, u.fence, $7::text, $8::bigint, $9::bytea,
                 $10::text, $11::boolean, transship.clock()
             FROM transship.units u WHERE u.id = $1 AND u.worker = $2 AND u.fence = $3
             FOR SHARE OF u
             ON CONFLICT (registry, repository, digest) DO UPDATE
             SET unit = excluded.unit, fence = excluded.fence, location = excluded.location,
                 acknowledged = excluded.acknowledged, hash_state = excluded.hash_state,
                 hash_kind = excluded.hash_kind, names_next_byte = excluded.names_next_byte,
                 saved_at = excluded.saved_at",
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.repository,
            blob.digest,
            upload.location,
            signed(upload.offset),
            upload.hash_state,
            upload.hash_kind,
            upload.names_next_byte
        );
        let database = self.worker.database();
        claim.fenced(database.execute("save an upload", query).await? > 0)
    }

    /// Takes a saved upload over. `None` if there is none, if it has another encoding of the hash,
    /// or if the worker that saved it still runs its unit.
    pub async fn take_upload(
        &self,
        claim: &Claim,
        blob: &BlobKey,
        hash_kind: &str,
    ) -> Result<Option<UploadRecord>, Error> {
        let query = query!(
            "UPDATE transship.uploads p SET unit = mine.id, fence = mine.fence
             FROM (SELECT u.id, u.fence FROM transship.units u
                   WHERE u.id = $1 AND u.worker = $2 AND u.fence = $3) mine
             WHERE p.registry = $4 AND p.repository = $5 AND p.digest = $6 AND p.hash_kind = $7
               AND (p.unit = mine.id OR NOT EXISTS (
                   SELECT 1 FROM transship.units o JOIN transship.workers w ON w.id = o.worker
                   WHERE o.id = p.unit AND o.fence = p.fence AND transship.lives(w.lease_until)))
             RETURNING p.location, p.acknowledged, p.hash_state, p.hash_kind, p.names_next_byte",
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.repository,
            blob.digest,
            hash_kind
        );
        let database = self.worker.database();
        let row = database.optional("take an upload over", query).await?;
        Ok(row.map(|row| UploadRecord {
            location: row.location,
            offset: unsigned(row.acknowledged),
            hash_state: row.hash_state,
            hash_kind: row.hash_kind,
            names_next_byte: row.names_next_byte,
        }))
    }

    /// Forgets an upload that is complete, or that its registry has dropped.
    pub async fn forget_upload(&self, claim: &Claim, blob: &BlobKey) -> Result<(), Error> {
        let query = query!(
            r#"WITH owned AS (
                 SELECT id, fence FROM transship.units
                 WHERE id = $1 AND worker = $2 AND fence = $3 FOR SHARE
             ), gone AS (
                 DELETE FROM transship.uploads p USING owned
                 WHERE p.registry = $4 AND p.repository = $5 AND p.digest = $6
                   AND p.unit = owned.id AND p.fence = owned.fence
             )
             SELECT EXISTS (SELECT 1 FROM owned) AS "is_owned!""#,
            claim.unit.0,
            self.worker.id,
            claim.fence,
            blob.registry,
            blob.repository,
            blob.digest
        );
        let database = self.worker.database();
        claim.fenced(database.one("forget an upload", query).await?.is_owned)
    }
}
