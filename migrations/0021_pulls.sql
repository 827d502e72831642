-- What clients pull: images by their digests, too, and what became of pulls. Times are seconds since 1970. Who pulled is not kept.

-- A tag, or a digest that was pulled by no tag.
ALTER TABLE demand RENAME COLUMN tag TO version;

-- Whoever mirrors it. The newest 5000 are kept.
CREATE TABLE pulled_images (
    repository TEXT    NOT NULL,  -- the source repository
    version    TEXT    NOT NULL,  -- a tag, or a digest that was pulled by no tag
    first_pull INTEGER NOT NULL,
    last_pull  INTEGER NOT NULL,
    hits       INTEGER NOT NULL,
    coalesced  INTEGER NOT NULL,
    misses     INTEGER NOT NULL,
    stale      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,  -- of the last one: hit, coalesced, miss, stale
    why        TEXT,              -- why the last stale copy was served
    PRIMARY KEY (repository, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX pulled_images_by_time ON pulled_images (last_pull);

-- Pulls of each hour. Thirty-two days are kept.
CREATE TABLE pull_hours (
    hour           INTEGER NOT NULL,  -- its start
    repository     TEXT    NOT NULL,  -- the source repository
    hits           INTEGER NOT NULL,
    coalesced      INTEGER NOT NULL,
    misses         INTEGER NOT NULL,
    stale          INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    upstream_bytes INTEGER NOT NULL,  -- of blobs, received for pulls
    client_bytes   INTEGER NOT NULL,  -- of blobs, sent to clients
    PRIMARY KEY (hour, repository)
) STRICT, WITHOUT ROWID;

-- Pulls that a rule refused. The newest 500 are kept.
CREATE TABLE refused_pulls (
    repository TEXT    NOT NULL,  -- the source repository
    reason     TEXT    NOT NULL,  -- denied, not_listed, unknown_registry
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    refusals   INTEGER NOT NULL,
    PRIMARY KEY (repository, reason)
) STRICT, WITHOUT ROWID;
