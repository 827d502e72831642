-- What images are made of, so that sizes count a blob once that several images share.

-- A manifest, an index or a blob.
CREATE TABLE contents (
    id     INTEGER PRIMARY KEY,
    digest TEXT    NOT NULL UNIQUE,
    bytes  INTEGER                 -- of a blob; NULL for a manifest or an index
) STRICT;

-- What a manifest or an index names.
CREATE TABLE content_parts (
    whole INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
    part  INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
    PRIMARY KEY (whole, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX content_parts_by_part ON content_parts (part);
