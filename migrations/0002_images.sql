-- When images were made, for `max_age`. What a digest names never changes, so that it is asked for once.
CREATE TABLE images (
    digest     TEXT    PRIMARY KEY,   -- of the manifest or index that a tag stands for
    created_at INTEGER                -- NULL where the image does not say
) STRICT, WITHOUT ROWID;
