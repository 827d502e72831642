-- What a run did at each target registry: one that is slow or dead does not make the others old.
CREATE TABLE run_targets (
    run_id    INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    registry  TEXT    NOT NULL,
    unchanged INTEGER NOT NULL,
    copied    INTEGER NOT NULL,
    failed    INTEGER NOT NULL,  -- what could not even be looked at included
    PRIMARY KEY (run_id, registry)
) STRICT, WITHOUT ROWID;
