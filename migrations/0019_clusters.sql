-- Which images clusters use, by the last list that each of them sent.
CREATE TABLE clusters (
    name        TEXT    NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL   -- in seconds since 1970
) STRICT, WITHOUT ROWID;

CREATE TABLE cluster_images (
    cluster       TEXT    NOT NULL REFERENCES clusters (name) ON DELETE CASCADE,
    image         TEXT    NOT NULL,  -- as it is written there
    certainty     TEXT    NOT NULL,  -- maybe, likely, certain
    place         TEXT    NOT NULL,  -- where it was found
    places        INTEGER NOT NULL,  -- how many places there are
    running       TEXT    NOT NULL,  -- the digests that run, with spaces between them
    is_listed     INTEGER NOT NULL,  -- 0 while a list is replaced, for images that the new one has not named yet
    missing_since INTEGER,           -- when it was first found not to be mirrored; NULL while it is
    PRIMARY KEY (cluster, image)
) STRICT, WITHOUT ROWID;
