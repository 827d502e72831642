-- Bytes of blobs that were moved, so that a budget of them outlives the process.

CREATE TABLE traffic (
    day      TEXT    PRIMARY KEY,  -- in the zone of the config: 2026-11-21
    sent     INTEGER NOT NULL,     -- to targets
    received INTEGER NOT NULL      -- from sources
) STRICT, WITHOUT ROWID;
