-- What clients pull through the gateway. Times are seconds since 1970.

-- An image that no entry of mirror.toml mirrors, and that somebody pulled.
CREATE TABLE demand (
    repository TEXT    NOT NULL,  -- the source repository
    tag        TEXT    NOT NULL,
    first_pull INTEGER NOT NULL,
    last_pull  INTEGER NOT NULL,
    pulls      INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;

-- A manifest that was pulled through, until its blobs stand at the target and it can stand there, too.
CREATE TABLE pending_manifests (
    repository TEXT    NOT NULL,  -- the source repository
    digest     TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    body       BLOB    NOT NULL,
    pulled_at  INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT;

CREATE INDEX pending_manifests_by_time ON pending_manifests (pulled_at);
