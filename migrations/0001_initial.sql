-- What transship knows of targets. All of it is a hint: a target that says otherwise is right.
-- Times are seconds since 1970 in UTC. Digests are text, algorithm included.

-- A repository of a target registry.
CREATE TABLE repositories (
    id       INTEGER PRIMARY KEY,
    registry TEXT NOT NULL,
    path     TEXT NOT NULL,
    -- Whether `blobs` names every blob that the repository holds: it was empty when first seen,
    -- and what came since was recorded. A blob not named is then known to be missing.
    is_complete INTEGER NOT NULL DEFAULT 0,
    UNIQUE (registry, path)
) STRICT;

-- A blob that a repository holds.
CREATE TABLE blobs (
    digest        TEXT    NOT NULL,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    PRIMARY KEY (digest, repository_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_by_repository ON blobs (repository_id);

-- A tag of a target repository that a mirror keeps.
CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag           TEXT    NOT NULL,
    mirror        TEXT    NOT NULL,
    source        TEXT    NOT NULL,  -- the source repository
    seen_digest   TEXT    NOT NULL,  -- the source's digest at the last check that changed something
    source_digest TEXT,              -- the source's digest that was mirrored last
    written_digest TEXT,             -- what was written for it: differs where a part was left out
    shape         TEXT    NOT NULL DEFAULT '',  -- what of the image was written, empty for all
    lagging_since INTEGER,           -- the first check that saw a difference not mirrored since
    mirrored_at   INTEGER,
    checked_at    INTEGER NOT NULL,
    verified_at   INTEGER,           -- when the target itself was last asked for its digest
    referrers_at  INTEGER,           -- when its signatures and the like were last looked for
    is_orphaned   INTEGER NOT NULL DEFAULT 0,  -- the source no longer has the tag
    error_class   TEXT,              -- why the last attempt failed, if it did
    error_message TEXT,
    PRIMARY KEY (repository_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_behind ON tags (mirror, repository_id) WHERE lagging_since IS NOT NULL;

-- One execution of one mirror. Without `finished_at` it is under way, or was killed.
CREATE TABLE runs (
    id               INTEGER PRIMARY KEY,
    mirror           TEXT    NOT NULL,
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    result           TEXT,              -- ok, partial, failed
    unchanged        INTEGER NOT NULL DEFAULT 0,
    copied           INTEGER NOT NULL DEFAULT 0,
    failed           INTEGER NOT NULL DEFAULT 0,
    orphaned         INTEGER NOT NULL DEFAULT 0,
    blobs_copied     INTEGER NOT NULL DEFAULT 0,
    blobs_mounted    INTEGER NOT NULL DEFAULT 0,
    blobs_present    INTEGER NOT NULL DEFAULT 0,
    downloaded_bytes INTEGER NOT NULL DEFAULT 0,
    uploaded_bytes   INTEGER NOT NULL DEFAULT 0,
    saved_bytes      INTEGER NOT NULL DEFAULT 0,
    source_requests  INTEGER NOT NULL DEFAULT 0,
    target_requests  INTEGER NOT NULL DEFAULT 0,
    error_class      TEXT,              -- the first error, where something failed
    error_message    TEXT
) STRICT;

CREATE INDEX runs_by_mirror ON runs (mirror, started_at);
