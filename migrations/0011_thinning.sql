-- What nothing has named for months is forgotten. Times are seconds since 1970.

-- When a tag of the repository was last kept by a mirror that runs.
ALTER TABLE repositories ADD COLUMN named_at INTEGER NOT NULL DEFAULT 0;
-- When a tag last stood for the image, or somebody asked for it.
ALTER TABLE images ADD COLUMN named_at INTEGER NOT NULL DEFAULT 0;

UPDATE repositories SET named_at = unixepoch();
UPDATE images SET named_at = unixepoch();

-- When that was last done: one row.
CREATE TABLE thinnings (at INTEGER NOT NULL) STRICT;
INSERT INTO thinnings (at) VALUES (0);
