-- What the daemon keeps: what runs were about, what changed, how large images are, reports, alarms.

-- The one image that a run was about; NULL where it was the whole mirror.
ALTER TABLE runs ADD COLUMN image TEXT;
-- What of the source could not be compared: 0 is a check that succeeded.
ALTER TABLE runs ADD COLUMN unchecked INTEGER NOT NULL DEFAULT 0;
-- Answers that asked to slow down.
ALTER TABLE runs ADD COLUMN throttled INTEGER NOT NULL DEFAULT 0;

CREATE INDEX runs_by_time ON runs (started_at);
CREATE INDEX tags_by_mirror ON tags (mirror);

-- How large an image is: the blobs of all that its manifest or index names.
CREATE TABLE sizes (
    digest TEXT    PRIMARY KEY,
    bytes  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What became different at a target.
CREATE TABLE changes (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    mirror     TEXT    NOT NULL,
    source     TEXT    NOT NULL,  -- the source repository
    target     TEXT    NOT NULL,  -- the target repository
    tag        TEXT    NOT NULL,  -- its name at the target
    kind       TEXT    NOT NULL,  -- new, moved, removed (at the source), healed (at the target), reshaped
    old_digest TEXT,              -- of the source, mirrored before
    new_digest TEXT               -- of the source, mirrored now
) STRICT;

CREATE INDEX changes_by_time ON changes (at);
CREATE INDEX changes_by_mirror ON changes (mirror, at);

-- Daily reports.
CREATE TABLE reports (
    day     TEXT    PRIMARY KEY,  -- that it ends on, in the zone of the config: 2026-11-21
    made_at INTEGER NOT NULL,
    body    TEXT    NOT NULL      -- JSON
) STRICT, WITHOUT ROWID;

-- Trouble that was told, until it is over.
CREATE TABLE alarms (
    topic   TEXT    NOT NULL,
    subject TEXT    NOT NULL,     -- a mirror, a registry, or empty for the daemon itself
    since   INTEGER NOT NULL,
    message TEXT    NOT NULL,
    PRIMARY KEY (topic, subject)
) STRICT, WITHOUT ROWID;
