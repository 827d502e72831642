-- What a registry taught counts for a time: registries change.

-- In seconds since 1970; what was learned before this column was there is learned again.
ALTER TABLE dialects ADD COLUMN learned_at INTEGER NOT NULL DEFAULT 0;
