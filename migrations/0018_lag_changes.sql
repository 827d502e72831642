-- When the lag of a mirror changed other than by the passing of time, for its history.
CREATE TABLE lag_changes (
    mirror        TEXT    NOT NULL,
    at            INTEGER NOT NULL,
    lagging_since INTEGER,             -- since when the oldest difference stands from then on; NULL where there is none
    is_known      INTEGER NOT NULL,    -- 0 while the source is not compared as often as the schedule asks for
    PRIMARY KEY (mirror, at)
) STRICT, WITHOUT ROWID;
