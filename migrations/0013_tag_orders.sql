-- The order of `latest` by which a mirror was pruned last: after an upgrade that changes it, nothing is pruned once.
CREATE TABLE tag_orders (
    mirror  TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
