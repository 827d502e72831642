-- Which process began a run: one that did not end is under way as long as that process lives.
ALTER TABLE runs ADD COLUMN process TEXT;
