-- Whether a run has compared all of the source: known before the last image is copied.
ALTER TABLE runs ADD COLUMN is_checked INTEGER NOT NULL DEFAULT 0;

UPDATE runs SET is_checked = 1 WHERE unchecked = 0 AND result IN ('ok', 'partial', 'failed');
