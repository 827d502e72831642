-- Mirrors and registries whose alarms are not sent for a time.

CREATE TABLE mutes (
    kind  TEXT    NOT NULL,  -- mirror, registry
    name  TEXT    NOT NULL,
    until INTEGER NOT NULL,  -- in seconds since 1970
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
