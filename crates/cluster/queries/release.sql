-- Writes what a run found, and gives the unit back. $1 unit, $2 worker, $3 fence; $4 to $9 the tags that are behind, as
-- columns; $10 whether they are all of them; $11 to $14 the run: worker, milliseconds, result, body; $15 whether the
-- run ends; $16 seconds to the next one; $17 tags, $18 failed tags; $19 seconds since the check began, NULL without one.
WITH owned AS (
    SELECT id, key, mirror FROM transship.units
    WHERE id = $1 AND worker = $2 AND fence = $3 FOR UPDATE
), listed AS (
    SELECT DISTINCT ON (l.target, l.tag) l.*
    FROM unnest($4::text[], $5::text[], $6::text[], $7::float8[], $8::text[], $9::text[])
        AS l (target, tag, seen, lagging_for, class, message)
    ORDER BY l.target, l.tag
), gone AS (
    DELETE FROM transship.lagging g USING owned
    WHERE g.unit = owned.id AND $10 AND NOT EXISTS (
        SELECT 1 FROM listed l WHERE l.target = g.target AND l.tag = g.tag)
), kept AS (
    INSERT INTO transship.lagging (unit, target, tag, seen, since, class, message)
    SELECT owned.id, l.target, l.tag, l.seen,
        transship.clock() - make_interval(secs => l.lagging_for),
        nullif(l.class, ''), nullif(l.message, '')
    FROM owned, listed l
    ON CONFLICT (unit, target, tag) DO UPDATE
    SET seen = excluded.seen, class = excluded.class, message = excluded.message
    RETURNING since
), run AS (
    INSERT INTO transship.runs (unit, mirror, worker, ended_at, took_ms, result, body)
    SELECT owned.key, owned.mirror, $11::text, transship.clock(), $12::bigint,
        $13::text, $14::text
    FROM owned WHERE $15
)
UPDATE transship.units u
SET lagging_since = CASE WHEN $10 THEN (SELECT min(since) FROM kept)
                         ELSE u.lagging_since END,
    behind = CASE WHEN $10 THEN (SELECT count(*) FROM listed) ELSE u.behind END,
    worker = CASE WHEN $15 THEN NULL ELSE u.worker END,
    due_at = CASE WHEN NOT $15 THEN u.due_at
                  WHEN u.asked_at >= u.claimed_at THEN transship.clock()
                  ELSE transship.clock() + make_interval(secs => $16) END,
    asked_at = CASE WHEN $15 THEN NULL ELSE u.asked_at END,
    tags = CASE WHEN $15 AND $10 THEN $17 ELSE u.tags END,
    failed = CASE WHEN $15 THEN $18 ELSE u.failed END,
    last_checked = coalesce(
        transship.clock() - make_interval(secs => $19::float8), u.last_checked),
    last_in_sync = CASE WHEN $10 AND NOT EXISTS (SELECT 1 FROM listed)
        THEN coalesce(
            transship.clock() - make_interval(secs => $19::float8), u.last_in_sync)
        ELSE u.last_in_sync END
FROM owned WHERE u.id = owned.id
