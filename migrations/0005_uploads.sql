-- What lets a large blob go on where it was, and what registries taught about sending them.

-- A blob that is being sent in parts.
CREATE TABLE uploads (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest        TEXT    NOT NULL,
    location      TEXT    NOT NULL,  -- where its session goes on
    offset        INTEGER NOT NULL,  -- bytes that the registry acknowledged
    hash_state    BLOB    NOT NULL,  -- of the hash over those bytes
    names_next_byte INTEGER,         -- whether the registry names the next byte; NULL where nobody knows
    at            INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE dialects (
    registry     TEXT    PRIMARY KEY,
    takes_parts  INTEGER,            -- whether blobs may be sent in parts; NULL where nobody knows
    largest_body INTEGER             -- in bytes, where a larger one was refused
) STRICT, WITHOUT ROWID;
