//! What can be learned, and how it is written down.

use chrono::NaiveDate;
use sqlx::{SqliteConnection, query};

use crate::{
    oci::{Digest, RegistryName, Repository, Tag},
    registry::LearnedCapabilities,
    store::change::NewChange,
    store::contents::{self, ContentPart},
    store::queries::{
        daily::Upkeep,
        gateway::PulledContent,
        prune::Pruning,
        release::{Release, detached},
        run::{EndedRun, run_checked, run_selects},
        traffic::{self, Moved},
        upload::{self, UploadState},
        verification::Check,
    },
};

/// Something learned about a target.
#[derive(Clone, Debug)]
pub enum StoreEvent {
    /// A repository was seen empty: from now on every blob in it is known.
    Empty(Repository),
    /// A repository holds a blob. What was doubted of it stays so: see [`Check::Verified`].
    Holds(Repository, Digest),
    /// A repository lacks a blob that it was believed to hold.
    Lacks(Repository, Digest),
    /// A repository lost what it was believed to hold; nothing is known of it any more.
    Lost(Repository),
    /// When an image was made; none where it does not say.
    Created {
        /// Its manifest or index.
        image: Digest,
        /// When.
        at: Option<i64>,
    },
    /// The source's digest of a tag was seen, and it differs from what is mirrored, or it did
    /// and no longer does.
    Seen {
        /// Which tag.
        key: TagKey,
        /// The digest at the source.
        seen: Digest,
        /// Whether the target stands for it.
        verdict: Verdict,
        /// When.
        at: i64,
    },
    /// A tag of the target stands for a digest of the source, as it was written or found.
    Mirrored {
        /// Which tag.
        key: TagKey,
        /// The digest at the source.
        source: Digest,
        /// The digest at the target.
        written: Digest,
        /// What of the image was written; empty for all of it.
        shape: String,
        /// When.
        at: i64,
        /// Whether it was written just now.
        is_new: bool,
    },
    /// A tag of a target became different from what it was.
    Changed(NewChange),
    /// How large an image is, in bytes.
    Sized(Digest, u64),
    /// What a manifest or an index names.
    Made(Digest, Vec<ContentPart>),
    /// A tag's referrers were looked for, and stand at the target.
    Referred {
        /// The target repository.
        repository: Repository,
        /// The tag.
        tag: Tag,
        /// When.
        at: i64,
    },
    /// A tag could not be mirrored.
    Failed {
        /// Which tag.
        key: TagKey,
        /// The error's class.
        class: &'static str,
        /// The error.
        message: String,
        /// When.
        at: i64,
    },
    /// No route asks for a tag any more, or (`is_orphaned`) the source no longer has it: its lag
    /// ends.
    Released(Release),
    /// No route of a mirror writes to a repository any more: its tags there belong to no mirror.
    Detached {
        /// The mirror.
        mirror: std::sync::Arc<str>,
        /// The target repository.
        repository: Repository,
    },
    /// A blob that is sent in parts got further, or is over.
    Upload(UploadState),
    /// A registry taught how it takes large blobs.
    Taught(RegistryName, LearnedCapabilities),
    /// Bytes were moved on a day.
    Moved(NaiveDate, Moved),
    /// What a run, by its id, selects: the mark of its entry.
    Selects(i64, String),
    /// A run, by its id, has compared all of the source.
    Checked(i64),
    /// A run ended.
    RunEnded(EndedRun),
    /// The gateway's own.
    Pulled(PulledContent),
    /// The daemon's own.
    Upkeep(Upkeep),
    /// Verification's own.
    Check(Check),
    /// Pruning's own.
    Pruning(Pruning),
}

/// What a check found of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target has what the source has.
    Equal,
    /// It does not.
    Differs,
    /// The target could not be asked: what was mirrored last decides.
    Unknown,
}

/// Which tag a fact is about.
#[derive(Clone, Debug)]
pub struct TagKey {
    /// The mirror that keeps it.
    pub mirror: std::sync::Arc<str>,
    /// The source repository.
    pub source: Repository,
    /// The target repository.
    pub target: Repository,
    /// The tag.
    pub tag: Tag,
    /// Its name at the source, where the mirror's rule for names gives it one.
    pub source_tag: Option<Tag>,
}

type Result = std::result::Result<(), sqlx::Error>;

impl StoreEvent {
    /// Writes the fact down, inside the caller's transaction.
    pub(crate) async fn write(&self, db: &mut SqliteConnection) -> Result {
        match self {
            Self::Empty(repository) => empty(db, repository).await,
            Self::Holds(repository, digest) => holds(db, repository, digest).await,
            Self::Lacks(repository, digest) => lacks(db, repository, digest).await,
            Self::Lost(repository) => lost(db, repository).await,
            Self::Created { image, at } => created(db, image, *at).await,
            Self::Seen {
                key,
                seen,
                verdict,
                at,
            } => crate::store::event::seen(db, key, seen, *verdict, *at).await,
            Self::Mirrored {
                key,
                source,
                written,
                shape,
                at,
                is_new,
            } => {
                mirrored(
                    db,
                    key,
                    [source, written],
                    shape,
                    *at,
                    is_new.then_some(*at),
                )
                .await
            }
            Self::Changed(change) => change.write(db).await,
            Self::Sized(image, bytes) => sized(db, image, *bytes).await,
            Self::Made(whole, parts) => contents::made(db, whole, parts).await,
            Self::Referred {
                repository,
                tag,
                at,
            } => referred(db, repository, tag, *at).await,
            Self::Failed {
                key,
                class,
                message,
                at,
            } => failed(db, key, class, message, *at).await,
            Self::Released(release) => release.write(db).await,
            Self::Detached { mirror, repository } => detached(db, mirror, repository).await,
            Self::Upload(state) => state.write(db).await,
            Self::Taught(registry, dialect) => upload::taught(db, registry, *dialect).await,
            Self::Moved(day, moved) => traffic::add(db, *day, *moved).await,
            Self::Selects(run, mark) => run_selects(db, *run, mark).await,
            Self::Checked(run) => run_checked(db, *run).await,
            Self::RunEnded(run) => run.write(db).await,
            Self::Pulled(pulled) => pulled.write(db).await,
            Self::Upkeep(upkeep) => upkeep.write(db).await,
            Self::Check(check) => check.write(db).await,
            Self::Pruning(pruning) => pruning.write(db).await,
        }
    }
}

/// The row of a repository, made if there is none.
pub(crate) async fn id(
    db: &mut SqliteConnection,
    repository: &Repository,
) -> std::result::Result<i64, sqlx::Error> {
    let (registry, path) = (repository.registry().as_str(), repository.path());
    let found = query!(
        "SELECT id FROM repositories WHERE registry = ? AND path = ?",
        registry,
        path
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(row) = found {
        return Ok(row.id);
    }
    let made = query!(
        "INSERT INTO repositories (registry, path, named_at) VALUES (?, ?, unixepoch())",
        registry,
        path
    )
    .execute(db)
    .await?;
    Ok(made.last_insert_rowid())
}

async fn empty(db: &mut SqliteConnection, repository: &Repository) -> Result {
    let id = id(db, repository).await?;
    query!(
        "UPDATE repositories SET is_complete = 1
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE repository_id = ?1)",
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn holds(db: &mut SqliteConnection, repository: &Repository, digest: &Digest) -> Result {
    let (id, digest) = (id(db, repository).await?, digest.as_str());
    query!(
        "INSERT OR IGNORE INTO blobs (digest, repository_id) VALUES (?, ?)",
        digest,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn lacks(db: &mut SqliteConnection, repository: &Repository, digest: &Digest) -> Result {
    let (id, digest) = (id(db, repository).await?, digest.as_str());
    query!(
        "DELETE FROM blobs WHERE digest = ? AND repository_id = ?",
        digest,
        id
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn lost(db: &mut SqliteConnection, repository: &Repository) -> Result {
    let id = id(db, repository).await?;
    query!("DELETE FROM blobs WHERE repository_id = ?", id)
        .execute(&mut *db)
        .await?;
    query!("UPDATE repositories SET is_complete = 0 WHERE id = ?", id)
        .execute(db)
        .await?;
    Ok(())
}

async fn created(db: &mut SqliteConnection, image: &Digest, at: Option<i64>) -> Result {
    let image = image.as_str();
    query!(
        "INSERT OR REPLACE INTO images (digest, created_at, named_at) VALUES (?, ?, unixepoch())",
        image,
        at
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn seen(
    db: &mut SqliteConnection,
    key: &TagKey,
    seen: &Digest,
    verdict: Verdict,
    at: i64,
) -> Result {
    let id = id(db, &key.target).await?;
    let (tag, mirror, source) = (key.tag.as_str(), &*key.mirror, key.source.to_string());
    let seen = seen.as_str();
    let source_tag = key.source_tag.as_ref().map(Tag::as_str);
    let (is_equal, is_unknown) = (verdict == Verdict::Equal, verdict == Verdict::Unknown);
    query!(
        "INSERT INTO tags (repository_id, tag, mirror, source, seen_digest, lagging_since, checked_at,
                           source_tag)
         VALUES (?1, ?2, ?3, ?4, ?5, CASE WHEN ?7 THEN NULL ELSE ?6 END, ?6, ?9)
         ON CONFLICT (repository_id, tag) DO UPDATE SET
             mirror = excluded.mirror,
             source = excluded.source,
             source_tag = excluded.source_tag,
             seen_digest = excluded.seen_digest,
             checked_at = excluded.checked_at,
             is_orphaned = 0,
             is_released = 0,
             prunable_since = NULL,
             kept_for = NULL,
             lagging_since = CASE
                 WHEN ?7 THEN NULL
                 -- Lag belongs to a route: another mirror or source has its own. What a clock that was
                 -- ahead saw at a time that is yet to come was seen now at the latest.
                 WHEN tags.mirror <> excluded.mirror OR tags.source <> excluded.source
                     THEN CASE WHEN NOT ?8 OR tags.source_digest IS NOT excluded.seen_digest
                               THEN excluded.checked_at END
                 WHEN ?8 AND tags.source_digest = excluded.seen_digest
                     THEN MIN(tags.lagging_since, excluded.checked_at)
                 ELSE COALESCE(MIN(tags.lagging_since, excluded.checked_at), excluded.checked_at)
             END",
        id, tag, mirror, source, seen, at,
        is_equal,
        is_unknown,
        source_tag
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn mirrored(
    db: &mut SqliteConnection,
    key: &TagKey,
    [source_digest, written]: [&Digest; 2],
    shape: &str,
    at: i64,
    mirrored_at: Option<i64>,
) -> Result {
    let id = id(db, &key.target).await?;
    let (tag, mirror, source) = (key.tag.as_str(), &*key.mirror, key.source.to_string());
    let (source_digest, written) = (source_digest.as_str(), written.as_str());
    let source_tag = key.source_tag.as_ref().map(Tag::as_str);
    // Whoever knew of the damage proved the manifest first. A tag that was written by one who did
    // not stays damaged: it stands for a suspect manifest, or stood for one when the damage was found.
    query!(
        "INSERT INTO tags (repository_id, tag, mirror, source, seen_digest, source_digest,
                           written_digest, shape, mirrored_at, checked_at, verified_at, source_tag)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?9, COALESCE(?7, ?8), ?8, ?8, ?10)
         ON CONFLICT (repository_id, tag) DO UPDATE SET
             mirror = excluded.mirror,
             source = excluded.source,
             source_tag = excluded.source_tag,
             is_released = 0,
             kept_for = NULL,
             seen_digest = excluded.seen_digest,
             source_digest = excluded.source_digest,
             written_digest = excluded.written_digest,
             shape = excluded.shape,
             mirrored_at = COALESCE(?7, tags.mirrored_at, ?8),
             referrers_at = CASE WHEN ?7 IS NULL THEN tags.referrers_at END,
             damaged_at = CASE
                 WHEN ?7 IS NULL OR EXISTS (
                     SELECT 1 FROM suspect_content WHERE repository_id = ?1
                     AND (digest = excluded.written_digest
                          OR (digest = tags.written_digest AND tags.damaged_at > ?8))
                 ) THEN tags.damaged_at
             END,
             examined_at = CASE WHEN ?7 IS NULL THEN tags.examined_at END,
             prunable_since = NULL,
             checked_at = excluded.checked_at,
             verified_at = excluded.verified_at,
             lagging_since = NULL,
             is_orphaned = 0,
             error_class = NULL,
             error_message = NULL",
        id,
        tag,
        mirror,
        source,
        source_digest,
        written,
        mirrored_at,
        at,
        shape,
        source_tag
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn sized(db: &mut SqliteConnection, image: &Digest, bytes: u64) -> Result {
    let (image, bytes) = (image.as_str(), i64::try_from(bytes).unwrap_or(i64::MAX));
    query!(
        "INSERT OR REPLACE INTO sizes (digest, bytes) VALUES (?, ?)",
        image,
        bytes
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn referred(
    db: &mut SqliteConnection,
    repository: &Repository,
    tag: &Tag,
    at: i64,
) -> Result {
    let (id, tag) = (id(db, repository).await?, tag.as_str());
    query!(
        "UPDATE tags SET referrers_at = ? WHERE repository_id = ? AND tag = ?",
        at,
        id,
        tag
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn failed(
    db: &mut SqliteConnection,
    key: &TagKey,
    class: &str,
    message: &str,
    at: i64,
) -> Result {
    let id = id(db, &key.target).await?;
    let tag = key.tag.as_str();
    query!(
        "UPDATE tags SET error_class = ?1, error_message = ?2, checked_at = ?3
         WHERE repository_id = ?4 AND tag = ?5",
        class,
        message,
        at,
        id,
        tag
    )
    .execute(db)
    .await?;
    Ok(())
}
