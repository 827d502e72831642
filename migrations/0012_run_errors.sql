-- What the first error of a run is about (a source repository, or a tag), and the registry that gave it. Older runs
-- have neither.
ALTER TABLE runs ADD COLUMN error_reference TEXT;
ALTER TABLE runs ADD COLUMN error_registry TEXT;
