-- What is behind one source repository of a mirror is read once or twice a run of it.
DROP INDEX tags_behind;
CREATE INDEX tags_behind ON tags (mirror, source) WHERE lagging_since IS NOT NULL;
