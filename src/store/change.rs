//! What became different at targets: how it is written down, and read again.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query};

use crate::{
    oci::Digest,
    store::{Error, Store, TagKey},
};

/// How a tag of a target became different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is mirrored for the first time.
    New,
    /// It moved at the source, and so at the target.
    Moved,
    /// The source no longer has it; the target keeps it.
    Removed,
    /// The target had lost it, or somebody else had overwritten it.
    Healed,
    /// Other platforms or attestations of the same image were written.
    Reshaped,
    /// Verification found something of it missing or wrong at the target.
    Damaged,
    /// What verification had found was written again.
    Repaired,
    /// It was deleted at the target, as `prune` asks for.
    Pruned,
}

/// A change that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the columns of `changes`")]
pub struct Change {
    pub at: i64,
    pub mirror: String,
    pub source: String,
    pub target: String,
    pub tag: String,
    pub kind: ChangeKind,
    pub old_digest: Option<String>,
    pub new_digest: Option<String>,
}

impl ChangeKind {
    /// The word in reports and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Moved => "moved",
            Self::Removed => "removed",
            Self::Healed => "healed",
            Self::Reshaped => "reshaped",
            Self::Damaged => "damaged",
            Self::Repaired => "repaired",
            Self::Pruned => "pruned",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change to be written down.
#[derive(Clone, Debug)]
pub struct NewChange {
    /// Which tag.
    pub key: TagKey,
    /// How.
    pub kind: ChangeKind,
    /// The source's digest that was mirrored before.
    pub old: Option<Digest>,
    /// The source's digest that is mirrored now.
    pub new: Option<Digest>,
    /// When.
    pub at: i64,
}

impl NewChange {
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let key = &self.key;
        let (mirror, source, target) =
            (&*key.mirror, key.source.to_string(), key.target.to_string());
        let (tag, kind, at) = (key.tag.as_str(), self.kind, self.at);
        let old = self.old.as_ref().map(Digest::as_str);
        let new = self.new.as_ref().map(Digest::as_str);
        query!(
            "INSERT INTO changes (at, mirror, source, target, tag, kind, old_digest, new_digest)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            at,
            mirror,
            source,
            target,
            tag,
            kind,
            old,
            new
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Store {
    /// What changed in a span of time, of one mirror or of all; the last `limit` at the most,
    /// newest first; of all mirrors, what is new comes last.
    pub async fn changes(
        &self,
        mirror: Option<&str>,
        from: i64,
        to: i64,
        limit: i64,
    ) -> Result<Vec<Change>, Error> {
        sqlx::query_as!(
            Change,
            r#"SELECT at, mirror, source, target, tag, kind AS "kind: ChangeKind", old_digest,
                      new_digest
               FROM changes
               WHERE at >= ?2 AND at < ?3 AND (?1 IS NULL OR mirror = ?1)
               ORDER BY kind = 'new' AND ?1 IS NULL, at DESC, id DESC LIMIT ?4"#,
            mirror,
            from,
            to,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|e| self.read_error(e))
    }
}
