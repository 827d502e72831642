-- What verification found at targets, and what pruning waits for.

-- When verification found the tag, or something that it leads to, missing or wrong. The next run copies it anew.
ALTER TABLE tags ADD COLUMN damaged_at INTEGER;
-- When all that the tag leads to was last looked for; NULL where that was never since it was mirrored.
ALTER TABLE tags ADD COLUMN examined_at INTEGER;
-- Since when it is no longer at the source, or no longer selected, where tags are pruned.
ALTER TABLE tags ADD COLUMN prunable_since INTEGER;

-- Content of a repository that is not taken for held, whatever the target says, until it was written anew.
CREATE TABLE doubts (
    digest        TEXT    NOT NULL,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    refused_at    INTEGER,  -- when it was written anew and the target kept what it had
    PRIMARY KEY (digest, repository_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX doubts_by_repository ON doubts (repository_id);

-- Blobs of a registry whose bytes were read and hashed.
CREATE TABLE readings (
    registry TEXT    NOT NULL,
    digest   TEXT    NOT NULL,
    read_at  INTEGER NOT NULL,  -- in milliseconds
    is_wrong INTEGER NOT NULL,
    PRIMARY KEY (registry, digest)
) STRICT, WITHOUT ROWID;

-- Readings of all blobs of a mirror that have begun and are not complete.
CREATE TABLE rounds (
    mirror   TEXT    PRIMARY KEY,
    began_at INTEGER NOT NULL  -- in milliseconds
) STRICT, WITHOUT ROWID;
